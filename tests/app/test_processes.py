"""The processes of the service: how they start, report that they did, and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.web.examples import hook_call
from tests.hospital import settings_of
from tests.server import COMMAND, demo_server, environment, free_port, production_server

CALLS = 20


def is_listening(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(2)
        return attempt.connect_ex(("127.0.0.1", port)) == 0


async def answers_to_calls_before(base: str, stop: int) -> list[int]:
    """The status of each call that was sent, on a connection of its own, before this process was told to end."""
    async with httpx.AsyncClient(
        trust_env=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
    ) as client:
        address = f"{base}/cds-services/trial-match-patient-view"
        calls = [asyncio.create_task(client.post(address, json=hook_call("patient-view"))) for _ in range(CALLS)]
        await asyncio.sleep(0.5)
        os.kill(stop, signal.SIGTERM)
        return [answer.status_code for answer in await asyncio.gather(*calls)]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_every_call_that_was_sent_before_SIGTERM_is_answered(tmp_path: Path, workers: str) -> None:
    with demo_server(tmp_path, TRIALCARDS_WORKERS=workers) as server:
        assert await answers_to_calls_before(server.base, server.process.pid) == [200] * CALLS
        assert server.process.wait(20) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_line_reports_that_the_service_is_up(tmp_path: Path, workers: str) -> None:
    port = free_port()
    given = settings_of(tmp_path, f"sqlite:///{tmp_path}/records.db", WORKERS=workers)
    with production_server(tmp_path, port, **given) as server:
        time.sleep(1)  # for the other worker
        lines = [json.loads(line) for line in server.output.read_text("utf-8").splitlines() if '"serving"' in line]
    [line] = lines
    told = {name: line[name] for name in ("event", "url", "ehrs", "trials", "database")}
    assert told == {"event": "serving", "url": server.base, "ehrs": ["st"], "trials": 5, "database": "sqlite"}
    assert line["version"]


def test_a_port_in_use_is_named_before_any_address_is_printed(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [COMMAND, "demo"], cwd=tmp_path, env=environment(PORT=str(port)), capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"PORT: {port} is in use by another program on 127.0.0.1; choose another, like PORT={port % 65535 + 1}\n"
    )


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    given = settings_of(tmp_path, f"sqlite:///{tmp_path}/records.db")
    done = subprocess.run(
        [COMMAND, "serve"],
        cwd=tmp_path,
        env=environment(HOST="192.0.2.1", **given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "HOST: 192.0.2.1 is not an address of this machine\n")


def test_a_folder_for_the_database_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = environment(TRIALCARDS_DATABASE_URL=f"sqlite:///{tmp_path}/file/records.db")
    done = subprocess.run([COMMAND, "demo"], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"TRIALCARDS_DATABASE_URL: the folder {tmp_path}/file cannot be made (File exists)\n"


def test_workers_end_when_their_parent_was_killed(tmp_path: Path) -> None:
    with demo_server(tmp_path, TRIALCARDS_WORKERS="2") as server:
        port = int(server.base.rpartition(":")[2])
        server.process.kill()
        server.process.wait()
        until = time.monotonic() + 15
        while is_listening(port) and time.monotonic() < until:
            time.sleep(0.2)
        assert not is_listening(port)


# -- a start that fails


@asynccontextmanager
async def _fails(_: FastAPI) -> AsyncIterator[None]:
    if _:  # always; so that the rest can be reached
        raise RuntimeError("the start fails")
    yield


def broken_app() -> FastAPI:
    """A service whose start fails."""
    return FastAPI(lifespan=_fails)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_that_fails_has_an_exit_status(tmp_path: Path, workers: str) -> None:
    script = (
        "from app.commands import serve\n"
        "from app.settings import read_settings\n"
        "if __name__ == '__main__':\n"
        "    settings = read_settings('demo', port=0)\n"
        "    serve._serve('tests.app.test_processes:broken_app', settings, serve._listen(settings))\n"
    )
    (tmp_path / "start.py").write_text(script)
    root = str(Path(__file__).parents[2])
    given = environment(TRIALCARDS_WORKERS=workers, PYTHONPATH=root)
    done = subprocess.run([sys.executable, "start.py"], cwd=tmp_path, env=given, capture_output=True, timeout=60)
    assert done.returncode == 3, done.stderr.decode()
