"""A server that answers as vLLM's does, without vLLM and without a model: what it "computes" is a hash.

    python vllm_double.py -m vllm.entrypoints.openai.api_server --model FOLDER --port N …    as vLLM is started

The logit of a token after a prompt depends on the weights' bytes, the prompt's ids and the token, so that another
adapter, a missing one and another prompt give other answers. It has vLLM's models, adapters, completions by token ids
(streamed, or one with log-probabilities over the allowed tokens), its errors and bounds, and nothing else. Only the
standard library is imported.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BASE = "base"
WORDS = ("one", "two", "three", "four", "five", "six", "seven")
NATURAL = 1000
TOKEN_S = 0.005


def weights_of(folder: Path, file: str = "adapter_model.safetensors") -> str:
    """Names a file's weights by its bytes. Raises ValueError where it is no whole safetensors file."""
    content = (folder / file).read_bytes()
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("Error while deserializing header: HeaderTooSmall") from None
    if len(content) != 8 + length + max(ends, default=0):
        raise ValueError("Error while deserializing header: MetadataIncompleteBuffer")
    return hashlib.sha256(content).hexdigest()


def logit(weights: str, prompt: Sequence[int], token: int) -> float:
    """In [-4, 4]."""
    said = hashlib.sha256(f"{weights} {list(prompt)} {token}".encode()).digest()
    return 8 * int.from_bytes(said[:8], "big") / 2**64 - 4


def log_probabilities(weights: str, prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
    """Over these tokens alone."""
    logits = [logit(weights, prompt, token) for token in tokens]
    total = math.log(sum(math.exp(each) for each in logits))
    return [each - total for each in logits]


class Double(ThreadingHTTPServer):
    """State of one server.

    adapters: folder by name; weights: by name of a model; asked: bodies of completions, oldest first
    ignores: adapters are loaded and not applied; raw: log-probabilities are over the whole vocabulary
    away: connections end unanswered
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, name: str = BASE, weights: str = BASE, key: str = "", length: int = 2048) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name, self.key, self.length = name, key, length
        self.weights = {name: weights}
        self.adapters: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.loads: list[str] = []
        self.most_logprobs = 128
        self.ignores = self.raw = self.away = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def restart(self) -> None:
        """As after a restart: without the adapters that were loaded while it ran."""
        self.adapters.clear()
        self.weights = {self.name: self.weights[self.name]}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Double

    def do_GET(self) -> None:
        if not self._allowed():
            return
        if self.path != "/v1/models":
            self._error(404, "Not Found")
            return
        double = self.server
        base = {"id": double.name, "root": double.name, "parent": None, "max_model_len": double.length}
        adapters = [
            {"id": name, "root": root, "parent": double.name, "max_model_len": None}
            for name, root in double.adapters.items()
        ]
        self._send(200, {"object": "list", "data": [base, *adapters]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self._allowed():
            return
        if self.path == "/v1/load_lora_adapter":
            self._load(body["lora_name"], body["lora_path"])
        elif self.path == "/v1/unload_lora_adapter":
            if self.server.adapters.pop(body["lora_name"], None) is None:
                self._error(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
            else:
                del self.server.weights[body["lora_name"]]
                self._text(f"Success: LoRA adapter '{body['lora_name']}' removed successfully.")
        elif self.path == "/v1/completions":
            self._complete(body)
        else:
            self._error(404, "Not Found")

    def _load(self, name: str, folder: str) -> None:
        double = self.server
        if name in double.adapters:
            self._error(400, f"The lora adapter '{name}' has already been loaded.")
        elif not Path(folder).is_dir():
            self._error(404, f"Loading lora {name} failed: No adapter found for {folder}")
        else:
            try:
                found = weights_of(Path(folder))
            except (ValueError, OSError) as error:
                self._error(500, str(error))
                return
            double.adapters[name] = folder
            double.loads.append(name)
            double.weights[name] = double.weights[double.name] if double.ignores else found
            self._text(f"Success: LoRA adapter '{name}' added successfully.")

    def _complete(self, body: dict[str, Any]) -> None:
        double = self.server
        double.asked.append(body)
        weights, prompt = double.weights.get(body["model"]), body["prompt"]
        if weights is None:
            self._error(404, f"The model `{body['model']}` does not exist.")
        elif len(prompt) + body["max_tokens"] > double.length:
            self._error(400, f"This model's maximum context length is {double.length} tokens.")
        elif body.get("logprobs", 0) > double.most_logprobs:
            self._error(
                400, f"Requested sample logprobs of {body['logprobs']}, which is greater than {double.most_logprobs}"
            )
        elif body.get("stream"):
            self._stream(body, weights)
        else:
            self._send(200, self._whole(body, weights))

    def _whole(self, body: Mapping[str, Any], weights: str) -> dict[str, Any]:
        prompt, allowed = body["prompt"], body.get("allowed_token_ids") or [0, 1]
        tokens = list(range(len(allowed))) if self.server.raw else allowed
        found = dict(zip(tokens, log_probabilities(weights, prompt, tokens), strict=True))
        told = {f"token_id:{token}": value for token, value in found.items()}
        choice = {"text": "x", "finish_reason": "length", "logprobs": {"top_logprobs": [told]}}
        return {"choices": [choice], "usage": {"prompt_tokens": len(prompt), "completion_tokens": 1}}

    def _stream(self, body: Mapping[str, Any], weights: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        most = min(body["max_tokens"], NATURAL)
        for number in range(most):
            at = int(abs(logit(weights, body["prompt"], number)) * 1000) % len(WORDS)
            ends = "length" if number == most - 1 else None
            self._event({"choices": [{"text": f" {WORDS[at]}", "finish_reason": ends}]})
            time.sleep(TOKEN_S)
        self._event({"choices": [], "usage": {"prompt_tokens": len(body["prompt"]), "completion_tokens": most}})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, fields: Mapping[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(fields).encode() + b"\n\n")
        self.wfile.flush()

    def _allowed(self) -> bool:
        if self.server.away:
            self.close_connection = True
            return False
        if self.server.key and self.headers.get("authorization") != f"Bearer {self.server.key}":
            self._send(401, {"error": "Unauthorized"})
            return False
        return True

    def _error(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "Error", "param": None, "code": status}})

    def _text(self, text: str) -> None:
        self._send(200, text)

    def _send(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def double(**fields: Any) -> Iterator[Double]:
    """One in this process."""
    server = Double(**fields)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _main(argv: Sequence[str]) -> None:
    """What VLLM_DOUBLE says first: `fails` to end at once, `sleeps` never to listen."""
    given = {name: argv[argv.index(name) + 1] for name in ("--model", "--served-model-name", "--port")}
    mood = os.environ.get("VLLM_DOUBLE", "")
    if mood == "fails":
        sys.exit("RuntimeError: Engine core initialization failed")
    if mood == "sleeps":
        time.sleep(600)
    folder = Path(given["--model"])
    weights = weights_of(folder, "model.safetensors") if (folder / "manifest.json").exists() else BASE
    server = Double(int(given["--port"]), given["--served-model-name"], weights, os.environ["VLLM_API_KEY"])
    print("started", flush=True)
    server.serve_forever(0.01)


if __name__ == "__main__":
    _main(sys.argv[1:])
