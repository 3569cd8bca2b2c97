"""The script behind `make run`: which Python it takes, and when it makes the environment again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "setup.sh"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def setup(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Make the environment in `folder`, without its packages."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    command = [str(SCRIPT), str(folder), "venv"]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=120)


def other_python(path: Path, version: str) -> Path:
    """A program that reports this version, as `python -c` would, and can do nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def version_in(folder: Path) -> str:
    return subprocess.check_output([folder / "bin" / "python", "-V"], text=True).split()[1]


def test_another_python_is_refused_in_one_line_that_says_what_is_needed(tmp_path: Path) -> None:
    done = setup(tmp_path / "venv", PYTHON=str(other_python(tmp_path / "python", "3.10")))
    assert done.returncode == 1
    assert re.fullmatch(
        r"TrialCards needs Python 3\.11, 3\.12 or 3\.13; \S+ is Python 3\.10\. "
        r"To choose another: make run PYTHON=python3\.1[123]\n",
        done.stderr,
    )
    assert not (tmp_path / "venv").exists()


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "; nopython cannot be run. " in setup(tmp_path / "venv", PYTHON="nopython").stderr


def test_an_environment_of_another_version_is_replaced_and_a_good_one_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    other_python(folder / "bin" / "python", "3.10")
    first = setup(folder, PYTHON=sys.executable)
    assert first.returncode == 0, first.stderr
    assert "is of another Python version and is made again" in first.stdout
    assert version_in(folder).startswith(HERE)
    assert setup(folder, PYTHON=sys.executable).stdout == ""


def test_what_PYTHON_chose_is_kept_by_a_call_without_it(tmp_path: Path) -> None:
    folder, chosen = tmp_path / "venv", "3.13" if HERE != "3.13" else "3.12"
    other_python(folder / "bin" / "python", chosen)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (folder / ".chosen").touch()
    assert setup(folder, PATH=path).stdout == ""
    (folder / ".chosen").unlink()
    assert "is made again" in setup(folder, PATH=path).stdout
    assert version_in(folder).startswith(HERE)


def test_the_script_takes_the_versions_that_the_package_takes() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    supported = re.search(r'^supported="([^"]*)"', SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert required == ">=3.11,<3.14"
    assert supported
    assert supported[1].split() == ["3.11", "3.12", "3.13"]
