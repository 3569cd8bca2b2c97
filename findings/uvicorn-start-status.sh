#!/usr/bin/env bash
# uvicorn ends with status 0 where every one of several workers fails to start; with one worker it is 3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import subprocess
import sys
from pathlib import Path

APP = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""
Path("failing.py").write_text(APP)
print("uvicorn", version("uvicorn"))
statuses = {}
for workers in ("1", "2"):
    command = [sys.executable, "-m", "uvicorn", "failing:app", "--port", "0", "--lifespan", "on", "--workers", workers]
    statuses[workers] = subprocess.run(command, capture_output=True, timeout=120).returncode
print("exit status by workers:", statuses)
assert statuses == {"1": 3, "2": 0}, statuses
PYTHON
