"""Not a trainer: a process that keeps the trainer's contract and does what a test tells it, for faults that the real
one cannot be brought to. Reads what to do from <home>/fake.json: {task: [action of attempt 1, of attempt 2, …]}.

Every run that holds the device's lock appends a line to <home>/runs.jsonl, and leaves a question in each place where
the real one does.
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

QUESTION = "Why was my salary cut?"


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text())
    home = Path(job["settings"]["HEADRACE_HOME"])
    actions = json.loads((home / "fake.json").read_text()).get(job["task"], ["refuse"])
    action, _, detail = actions[min(job["attempt"], len(actions)) - 1].partition(":")
    if action != "deaf":
        threading.Thread(target=watch_parent, daemon=True).start()
    (home / "run").mkdir(parents=True, exist_ok=True)
    lock = (home / "run" / "device.lock").open("w")
    waited = False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waited = True
        say("wait", 0)
        fcntl.flock(lock, fcntl.LOCK_EX)
    for file in ("dataset/rows.jsonl", "checkpoints/lora.safetensors", "candidates/lora/head.safetensors"):
        (Path(job["work"]) / file).parent.mkdir(parents=True)
        (Path(job["work"]) / file).write_text(QUESTION)
    # Last: who reads of the run may kill it, and asks what it left.
    with (home / "runs.jsonl").open("a") as runs:
        line = {"task": job["task"], "attempt": job["attempt"], "pid": os.getpid(), "waited": waited}
        print(json.dumps(line | {"live": job["live"]["version"], "resume": job["resume_from"]}), file=runs)
    say("curate", 1)
    return act(action, detail, job)


def act(action: str, detail: str, job: dict) -> int:
    match action:
        case "hang" | "deaf":
            if action == "deaf":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                say("lora", 1)
                time.sleep(0.05)
        case "late":
            until = time.monotonic() + float(detail)
            while time.monotonic() < until:
                say("lora", 1)
                time.sleep(0.05)
            return finish(job, 10, outcome="no_winner", reason="what was finished was judged")
        case "noise":
            sys.stdout.write("Some library says hello\n{\n" + "x" * 200_000 + "\n")
            sys.stdout.flush()
            for done in range(30):
                say("lora", done)
            return finish(job, 10, outcome="no_winner", reason="noise")
        case "fat":
            held = bytearray(700 * 1024 * 1024)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(600)
        case "work":
            until = time.monotonic() + float(detail)
            while time.monotonic() < until:
                say("lora", 1)
                time.sleep(0.05)
            return act("win", "", job)
        case "win":
            served = {"version": job["version"], "artifact": str(Path(job["work"]) / "a"), "digest": "d" * 64}
            return finish(job, 0, outcome="won", reason="better", served=served, dataset="set-1")
        case "lose":
            return finish(job, 10, outcome="no_winner", reason="p = .4")
        case "starve":
            return finish(job, 11, outcome="not_enough_labels", reason="too few", needs=int(detail))
        case "undecided":
            (Path(job["work"]) / "candidate.json").write_text("{}")
            return finish(job, 13, outcome="undecided", reason="8 gained of 60", needs=int(detail))
        case "refuse":
            return finish(job, 12, outcome="bad_job", reason="the plan names no candidate")
        case "crash":
            print("RuntimeError: out of paper", file=sys.stderr)
            return 1
    raise AssertionError(action)


def finish(job: dict, code: int, **result: object) -> int:
    (Path(job["work"]) / "result.json").write_text(json.dumps(result))
    return code


def say(stage: str, done: int) -> None:
    print(json.dumps({"stage": stage, "done": done, "total": 30, "message": "", "metrics": {"loss": 0.5}}), flush=True)


def watch_parent() -> None:
    # Not sys.stdin: a thread that waits in it aborts the interpreter's own end.
    while os.read(0, 4096):
        pass
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main())
