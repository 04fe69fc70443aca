"""The demo's first act with a causal model on vLLM: tuned, gated, promoted, answering, killed twice, rolled back.

Run by `make acceptance` where `make install-vllm` has been run; half an hour on two cores.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console
from vllm_plan import PYTHON, vllm_plan
from warm_processes import HEADRACE

from headrace.embedded.clickhouse import ClickHouseServer
from headrace.embedded.supervisor import Supervisor
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.demo.acts import GaveUp, Pace
from simulation.demo.report import TASK
from simulation.demo.run import Options, run
from simulation.demo.traffic import Traffic

PACE = Pace(incumbent=40, busy=20, training=0.5, rollout=2, fresh=3, fresh_questions=60, patience_s=2400)
AGAIN = 20
"""Answers by the version after vLLM came back."""
BACK_S = 900.0

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.end_to_end,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not PYTHON.exists(), reason="vLLM is not installed; make install-vllm installs it"),
]


@dataclass
class Killing:
    """What happens once the version serves everyone: vLLM is killed twice, and the version is rolled back.

    answered: by whom, from each kill until vLLM answered again
    ended: vLLM's processes that were gone once the version was rolled back
    """

    supervisors: list[Supervisor] = field(default_factory=list)
    answered: list[dict[str, int]] = field(default_factory=list)
    version: str = ""
    killed: int = 0
    ended: int = 0

    async def play(self, traffic: Traffic) -> None:
        """Between the acts; raises GaveUp, for there is no second one."""
        ((self.version, _),) = [key for key in traffic.answered_by if key[0] != f"{TASK}@0"]
        for whose in ("server", "engine"):
            before = _by_version(traffic)
            victims = self._servers() if whose == "server" else self._engines()
            assert victims, whose
            for victim in victims:
                self.killed += 1
                victim.send_signal(signal.SIGKILL)
            await _answers(traffic, f"{TASK}@0", 1)
            await _answers(traffic, self.version, AGAIN)
            self.answered.append({name: count - before[name] for name, count in _by_version(traffic).items()})
        servers = self._servers()
        said = await asyncio.to_thread(self._headrace, "rollback", TASK, "--reason", "a test", "--wait", "60")
        assert said.returncode == 0, said
        await _answers(traffic, f"{TASK}@0", AGAIN)
        gone, alive = await asyncio.to_thread(psutil.wait_procs, servers, BACK_S)
        assert not alive, alive
        self.ended = len(gone)
        raise GaveUp("the first act is all that is played")

    def _gateway(self) -> psutil.Process:
        pid = next(part.pid for part in self.supervisors[0].status().parts if part.name.startswith("serving"))
        return psutil.Process(pid)

    def _servers(self) -> list[psutil.Process]:
        found = self._gateway().children(recursive=True)
        return [one for one in found if "vllm.entrypoints.openai.api_server" in one.cmdline()]

    def _engines(self) -> list[psutil.Process]:
        return [child for server in self._servers() for child in server.children(recursive=True)]

    def _headrace(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, *HEADRACE, *words]
        return subprocess.run(argv, env=self._gateway().environ(), capture_output=True, text=True, timeout=120)


def _by_version(traffic: Traffic) -> dict[str, int]:
    return {f"{TASK}@0": 0} | {version: count for (version, _), count in traffic.answered_by.items()}


async def _answers(traffic: Traffic, version: str, more: int) -> None:
    """Return once the version has given so many more."""
    wanted, deadline = _by_version(traffic)[version] + more, time.monotonic() + BACK_S
    while _by_version(traffic)[version] < wanted:
        assert time.monotonic() < deadline, f"{more} answers of {version} did not come within {BACK_S:.0f} s"
        await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Killing, Path]:
    home = tmp_path_factory.mktemp("vllm") / "demo"
    killing = Killing()
    options = Options(
        seed=11, home=home, plan=vllm_plan(), pace=PACE, started=killing.supervisors.append, between_acts=killing.play
    )
    with pytest.MonkeyPatch.context() as patch:
        # GiB; by default it takes half of the machine's memory, which others use as well.
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        return run(options, Console()), killing, home


def test_a_causal_model_is_tuned_gated_and_promoted(turned: tuple[dict[str, Any], Killing, Path]) -> None:
    """By the wheel itself: the trigger, the job, the gate, the rollout."""
    report, killing, _ = turned
    assert report["conditions"]["ended"] == "the first act is all that is played"
    act = report["acts"][0]
    assert (act["trigger"]["kind"], act["winner"]) == ("cheaper", "adapted")
    assert killing.version == f"{TASK}@1"


def test_no_request_fails_while_vllm_is_killed_twice(turned: tuple[dict[str, Any], Killing, Path]) -> None:
    """The big model stands in, and the version answers again by itself. Every answer is stored."""
    report, killing, _ = turned
    assert killing.killed >= 2 and len(killing.answered) == 2
    for answered in killing.answered:
        assert answered[f"{TASK}@0"] > 0 and answered[killing.version] >= AGAIN
    assert report["requests"]["total"] > 1500 and report["requests"]["failed"] == 0
    assert report["events"]["missing"] == report["events"]["duplicated"] == 0
    print(f"{report['requests']}, {report['events']}, answered while vLLM was away: {killing.answered}")


def test_it_is_rolled_back(turned: tuple[dict[str, Any], Killing, Path]) -> None:
    """By one command: the big model answers everyone, and vLLM ends, for nothing needs it."""
    _, killing, home = turned
    assert killing.ended == 1
    with ClickHouseServer(home) as server:
        warehouse = Warehouse.connect(Settings(home=home, clickhouse=server.url))
        (last,) = warehouse.rows("SELECT live, step FROM promotions FINAL ORDER BY generation DESC LIMIT 1")
    assert f'"{TASK}@0"' in last["live"] and last["step"] == "steady"
