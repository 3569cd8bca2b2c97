"""Starting and stopping the service, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.server import COMMAND, demo_server, environment


def test_the_slow_libraries_are_loaded_before_the_first_call(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from app.main import demo\n"
        "async def start():\n"
        "    app = demo()\n"
        "    async with app.router.lifespan_context(app):\n"
        "        assert {'pint', 'ucumvert', 'fhir.resources.R4B.servicerequest'} <= sys.modules.keys()\n"
        "asyncio.run(start())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path) -> None:
    with demo_server(tmp_path) as server:
        assert server.interrupt() == 0
        said = server.output.read_text("utf-8")
        assert f"{server.base}/" in said
        assert "Traceback" not in said


def test_the_demo_refuses_to_listen_beyond_this_machine(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "demo"], cwd=tmp_path, env=environment(HOST="0.0.0.0"), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "HOST: the demo listens on loopback only (127.0.0.1, ::1 or localhost)"
