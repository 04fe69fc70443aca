"""A vLLM server that headrace starts: it comes back when it dies or hangs, with its adapters, and leaves with its host.

What is started is tests/vllm_double.py in vLLM's place; vLLM itself is started in test_vllm_real.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from stage import Upstream, gateway, until, versions
from test_vllm_engine import ASKED, plan_of
from vllm_bundles import bundle

from headrace.contract.control import Served
from headrace.errors import ArtifactError, PlanError
from headrace.plan import Plan
from serving.engines.engine import Engine, EngineFailed, final_of
from serving.engines.opening import Opener
from serving.engines.vllm.server import environment

DOUBLE = Path(__file__).parents[1] / "vllm_double.py"
OWNER = """
import asyncio, sys
from pathlib import Path
from serving.engines.vllm.server import Server, command
async def main():
    async def back(): pass
    argv = lambda port: command(sys.argv[1], Path("."), "base", "float32", port, [])
    server = Server("base", argv, Path(sys.argv[2]), {"PATH": "/bin:/usr/bin"}, 5, 60, 60, back)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """What is started as the interpreter that vLLM is installed in."""
    file = tmp_path / "python"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {DOUBLE} "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IEXEC)
    return file


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return bundle(tmp_path_factory.mktemp("store"), 1)


def started(python: Path, keys: str = "") -> Plan:
    """A plan whose engine is started by headrace."""
    return plan_of("", f'python = "{python}"\n{keys}')


def opener_of(plan: Plan, home: Path, **environ: str) -> Opener:
    return Opener(plan, {"HEADRACE_HOME": str(home), "PATH": os.environ["PATH"], **environ})


def servers() -> list[psutil.Process]:
    """Doubles that run below this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if str(DOUBLE) in child.cmdline():
                found.append(child)
    return found


async def answered(engine: Engine) -> Any:
    """The scores, from when there are some again."""
    while True:
        with suppress(EngineFailed):
            return (await final_of(engine, ASKED)).scores
        await asyncio.sleep(0.02)


async def test_a_killed_server_comes_back_with_its_adapters(python: Path, adapter: Served, tmp_path: Path) -> None:
    """Twice: a request fails at once meanwhile, and those after it get the answers from before."""
    opener = opener_of(started(python), tmp_path)
    engine = await opener.open("router", adapter)
    before = (await final_of(engine, ASKED)).scores
    for _ in range(2):
        (running,) = servers()
        running.kill()
        began = time.monotonic()
        with pytest.raises(EngineFailed, match=r"did not answer|is starting again: .* ended with SIGKILL"):
            await final_of(engine, ASKED)
        assert time.monotonic() - began < 10
        async with asyncio.timeout(120):
            assert await answered(engine) == before
        assert servers() != [running]
    await engine.close()
    assert not servers() and opener.hosts.open == 0
    log = (tmp_path / "serving" / "vllm" / "smollm2-135m-q4.log").read_text()
    assert log.count("started") == 3


async def test_no_request_of_a_gateway_fails_while_vllm_is_killed(
    python: Path, adapter: Served, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice under load: the incumbent answers meanwhile, and the version again when its server is back."""
    monkeypatch.chdir(tmp_path)  # where the server's log is written
    async with gateway(plan_of("", f'python = "{python}"', incumbent=upstream.url), tmp_path) as stage:
        await stage.promote(1, adapter)
        going = True

        async def ask() -> None:
            while going:
                await stage.route()

        clients = [asyncio.create_task(ask()) for _ in range(4)]
        for _ in range(2):
            (running,) = servers()
            done = len(stage.recorded.inferences)
            running.kill()
            await until(lambda done=done: "incumbent" in versions(stage.recorded.inferences[done:]), 120)
            await until(lambda: stage.recorded.inferences[-1].version == "router@1" and servers(), 120)
        going = False
        await asyncio.gather(*clients)
        assert versions(stage.recorded.inferences) == {"incumbent", "router@1"}
    assert not servers()


async def test_a_server_that_hangs_is_started_again(python: Path, adapter: Served, tmp_path: Path) -> None:
    """It takes connections and answers nothing."""
    opener = opener_of(started(python, "hang_s = 3.0\ntimeout_s = 2.0"), tmp_path)
    engine = await opener.open("router", adapter)
    (first,) = servers()
    os.kill(first.pid, signal.SIGSTOP)
    await until(lambda: bool(servers()) and servers() != [first], 120)
    async with asyncio.timeout(120):
        assert await answered(engine)
    await engine.close()


@pytest.mark.parametrize(
    ("mood", "keys", "said"),
    [
        ("fails", "", "vLLM for smollm2-135m-q4 ended with exit code 1; its log is .*smollm2-135m-q4.log"),
        ("sleeps", "start_s = 0.5", r"answered nothing within 0.5 s \(start_s\); its log is"),
    ],
)
async def test_a_server_that_does_not_start_is_told(
    mood: str, keys: str, said: str, python: Path, adapter: Served, tmp_path: Path
) -> None:
    """In a sentence with its log, and nothing of it is left."""
    opener = opener_of(started(python, keys), tmp_path, VLLM_DOUBLE=mood)
    with pytest.raises(ArtifactError, match=said):
        await opener.open("router", adapter)
    assert not servers() and opener.hosts.open == 0


async def test_where_vllm_is_not_installed_the_command_is_named(adapter: Served, tmp_path: Path) -> None:
    """Or the key for an address."""
    with pytest.raises(PlanError, match="make install-vllm"):
        await opener_of(started(tmp_path / "none"), tmp_path).open("router", adapter)


async def test_full_models_change_places(python: Path, tmp_path: Path) -> None:
    """The next one's server answers before the former one's stops: each answers with its own weights meanwhile."""
    opener = opener_of(started(python), tmp_path)
    blue = await opener.open("router", await asyncio.to_thread(bundle, tmp_path, 2, "full"))
    green = await opener.open("router", await asyncio.to_thread(bundle, tmp_path, 3, "full"))
    assert len(servers()) == 2 and opener.hosts.open == 2
    scores = [(await final_of(engine, ASKED)).scores for engine in (blue, green)]
    assert scores[0] != scores[1]
    await blue.close()
    assert len(servers()) == 1 and (await final_of(green, ASKED)).scores == scores[1]
    await green.close()
    assert not servers()


async def test_a_server_dies_with_a_killed_gateway(python: Path, tmp_path: Path) -> None:
    """However that went."""
    command = [sys.executable, "-c", OWNER, str(python), str(tmp_path / "log")]
    owner = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    server = psutil.Process(int(await owner.stdout.readline()))
    owner.kill()
    await owner.wait()
    await until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, 120)


def test_a_server_gets_no_secrets() -> None:
    """Of the environment what vLLM reads; its own key is no one else's."""
    given = {"PATH": "/bin", "VLLM_CPU_KVCACHE_SPACE": "1", "OPENAI_API_KEY": "s", "HEADRACE_GATEWAY_SECRET": "s"}
    found = environment(given, "k")
    assert found["PATH"] == "/bin" and found["VLLM_CPU_KVCACHE_SPACE"] == "1" and found["VLLM_API_KEY"] == "k"
    assert "s" not in found.values() and found["HF_HUB_OFFLINE"] == "1"
