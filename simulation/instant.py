"""`python -m simulation.instant --port N`: an OpenAI-like upstream, simulated, that costs next to nothing.

It answers every POST with one chat completion, or where the body asks for a stream with PIECES of it, GAP_S apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import cast

import uvloop

PIECES, GAP_S = 8, 0.002
MODEL = "gpt-x"
TEXT = "The VPN needs the new certificate, which the portal has under Security."
HEAD = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": MODEL}
USAGE = {"prompt_tokens": 40, "completion_tokens": 16, "total_tokens": 56}


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(HEAD | {"object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _pieces() -> list[bytes]:
    size = -(-len(TEXT) // PIECES)
    found = []
    for place in range(0, len(TEXT), size):
        choice = {"index": 0, "delta": {"content": TEXT[place : place + size]}, "finish_reason": None}
        found.append(json.dumps(HEAD | {"object": "chat.completion.chunk", "choices": [choice]}))
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    found += [json.dumps(HEAD | {"object": "chat.completion.chunk", "choices": [end]}), "[DONE]"]
    lines = [f"data: {piece}\n\n".encode() for piece in found]
    return [f"{len(line):x}\r\n".encode() + line + b"\r\n" for line in lines]


WHOLE, STREAM = _whole(), _pieces()
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; a request after the other."""

    def __init__(self) -> None:
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = self._got[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self._got) < end + 4 + length:
                return
            body, self._got = self._got[end + 4 : end + 4 + length], self._got[end + 4 + length :]
            if b'"stream": true' in body or b'"stream":true' in body:
                self._transport.write(STREAM_HEAD)
                self._piece(0)
            else:
                self._transport.write(WHOLE)

    def _piece(self, number: int) -> None:
        last = number + 1 == len(STREAM)
        self._transport.write(STREAM[number] + (b"0\r\n\r\n" if last else b""))
        if not last:
            asyncio.get_running_loop().call_later(GAP_S, self._piece, number + 1)


async def serve(port: int) -> None:
    """Until the process is killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
