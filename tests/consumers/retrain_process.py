"""`python retrain_process.py --name …`: consumers.retrain with the fake trainer and a quicker timings."""

import sys
from pathlib import Path

from consumers.retrain.__main__ import main
from consumers.retrain.timings import Timings

PACE = Timings(
    look_s=0.1, heartbeat_s=0.5, handover_s=0.8, labels_s=0.5, waiting_s=60, retry_s=0.1, grace_s=2.0, overtime_s=1.5
)
FAKE = Path(__file__).with_name("fake_trainer.py")

if __name__ == "__main__":
    sys.exit(main(command=(sys.executable, str(FAKE)), timings=PACE))
