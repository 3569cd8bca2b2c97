"""A real TrialCards server in a process of its own, as `make run` starts it, for tests that need one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

COMMAND = Path(sys.executable).with_name("trialcards")
LONGEST_START = 60  # seconds


@dataclass(frozen=True)
class Server:
    """A server that answers at `base`; its output is in `output`."""

    base: str
    process: subprocess.Popen[bytes]
    output: Path

    def interrupt(self) -> int:
        """What Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def environment(**settings: str) -> dict[str, str]:
    """That of this process without any setting of the service, and with these."""
    bare = {key: value for key, value in os.environ.items() if key not in ("HOST", "PORT")}
    return {key: value for key, value in bare.items() if not key.startswith("TRIALCARDS_")} | settings


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def demo_server(folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    """`trialcards demo` on a free port, working in `folder`, ready to answer."""
    with _started(["demo", *options], folder, free_port(), settings) as server:
        yield server


@contextmanager
def production_server(folder: Path, port: int, **settings: str) -> Iterator[Server]:
    """`trialcards serve` on this port, working in `folder`, ready to answer."""
    with _started(["serve"], folder, port, settings) as server:
        yield server


@contextmanager
def _started(command: Sequence[str], folder: Path, port: int, settings: Mapping[str, str]) -> Iterator[Server]:
    output = folder / "server.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [COMMAND, *command], cwd=folder, env=environment(PORT=str(port), **settings), stdout=file, stderr=file
        )
    server = Server(f"http://127.0.0.1:{port}", process, output)
    try:
        wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until_ready(server: Server, longest: float = LONGEST_START) -> None:
    until = time.monotonic() + longest
    while time.monotonic() < until:
        assert server.process.poll() is None, server.output.read_text("utf-8")
        with suppress(httpx.TransportError):
            if httpx.get(f"{server.base}/readyz", trust_env=False, timeout=10).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"not ready within {longest:g} s: {server.output.read_text('utf-8')}")
