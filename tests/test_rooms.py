"""The rooms of the house: imports point left only, and only `app/` touches network, clock, database and environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("mappings", "trial_defs", "cds_hooks", "app")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

# Modules through which a file could reach the world outside its arguments; `urllib.parse` only takes text apart.
NETWORK = frozenset({"httpx", "http", "urllib.request", "requests", "socket", "ssl", "fastapi", "starlette", "uvicorn"})
STORAGE = frozenset({"sqlmodel", "sqlalchemy", "alembic", "sqlite3"})
MACHINE = frozenset({"os", "asyncio", "subprocess", "threading", "multiprocessing", "random", "secrets"})
WORLD = NETWORK | STORAGE | MACHINE
CLOCKS = frozenset({"now", "today", "utcnow", "uuid1", "uuid4", "monotonic", "perf_counter", "time_ns", "getenv"})
CLOCK_OF = frozenset({"time.time", "time.localtime", "time.gmtime", "time.sleep"})


def faults(room: str, source: str) -> list[str]:
    """What a file of this room must not do, each with its line."""
    tree = ast.parse(source)
    to_the_right = ROOMS[ROOMS.index(room) + 1 :]
    found = []
    for line, module in _imports(tree):
        if module.split(".")[0] in to_the_right:
            found.append(f"line {line}: {room} lies left of {module} and cannot see it")
        if room != "app" and not WORLD.isdisjoint({module, module.split(".")[0]}):
            found.append(f"line {line}: only app imports {module}")
    if room != "app":
        found += [f"line {line}: only app calls {name}" for line, name in _clock_readings(tree)]
    found += [f"line {line}: our own {module} is imported inside a function" for line, module in _hidden(tree)]
    return found


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the room, so that the direction can be read"
            # `from urllib import request` reaches urllib.request
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _clock_readings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.split(".")[-1] in CLOCKS or name in CLOCK_OF:
                yield node.lineno, name


def _hidden(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Imports of our own rooms inside functions: a cycle between files that nobody has untied."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (found for found in _imports(function) if found[1].split(".")[0] in ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_to_its_room(path: Path) -> None:
    assert faults(path.relative_to(ROOT).parts[0], path.read_text()) == []


def test_every_room_has_files() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("mappings", "from trial_defs.loader import load_trials"),
        ("mappings", "import app"),
        ("trial_defs", "from cds_hooks import cards"),
        ("cds_hooks", "def f() -> None:\n    from app.wiring import Services"),
        ("mappings", "import httpx"),
        ("mappings", "from sqlalchemy.ext.asyncio import AsyncSession"),
        ("trial_defs", "import os.path"),
        ("trial_defs", "from urllib import request"),
        ("cds_hooks", "import asyncio"),
        ("cds_hooks", "from datetime import datetime\nDAY = datetime.now()"),
        ("mappings", "from datetime import date as d\nDAY = d.today()"),
        ("mappings", "import time\nSTARTED = time.time()"),
        ("trial_defs", "from uuid import uuid4\nID = uuid4()"),
        ("app", "def f() -> None:\n    from mappings.units import convert"),
    ],
)
def test_a_file_that_leaves_its_room_is_caught(room: str, source: str) -> None:
    assert faults(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("cds_hooks", "from mappings.units import convert\nfrom trial_defs import expressions"),
        ("app", "import os, asyncio, httpx\nfrom datetime import UTC, datetime\nNOW = datetime.now(UTC)"),
        ("mappings", "from urllib.parse import urlsplit\ndef f() -> None:\n    import pint"),
    ],
)
def test_a_file_that_keeps_to_its_room_is_left_alone(room: str, source: str) -> None:
    assert faults(room, source) == []


def test_no_file_is_called_utils() -> None:
    """A name that fits everything tells nothing; the noun does."""
    tests = (ROOT / "tests").rglob("*.py")
    assert [path for path in (*FILES, *tests) if path.stem in {"utils", "util", "helpers", "misc", "common"}] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "one sentence at the top: what this file answers"
