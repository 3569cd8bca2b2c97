"""The rooms of the house and their floors: imports point left and down only, and never in a circle.

Only `app/` touches network, clock, database and environment.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("mappings", "trial_defs", "cds_hooks", "app")
# The floors of each room from the ground up: a file imports from its own floor and from those before it in this list.
# A floor is a folder, or a file beside the folders.
FLOORS: Mapping[str, tuple[str, ...]] = {
    "mappings": (
        "lazily", "near_words", "yaml_files", "clean_text", "resource_types", "time", "facts", "concepts", "chart",
        "values", "understanding", "readers", "derived", "patient_facts", "draft_orders",
    ),
    "trial_defs": ("definition", "engine", "planning", "export", "registry"),
    "cds_hooks": ("protocol", "words", "report", "fhir", "cards", "explanation"),
    "app": (
        "errors", "people", "languages",
        "addresses", "client_key", "hashes", "restricted", "logs", "traces", "profile", "metrics",
        "toml_files", "ehrs", "outbound", "storage", "settings", "site_profile", "web", "tokens", "auth", "definitions",
        "judge", "oauth", "login", "screen", "bulk", "worklist", "wiring", "demo", "calls", "routes", "main",
        "commands", "cli",
    ),
}  # fmt: skip
# Alembic runs these scripts, which must know the tables of every floor; no module imports them.
SCRIPTS = ("app.storage.migrations.",)
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


def floor_faults(module: str, source: str) -> list[str]:
    """The imports of this module that lead up a stair within its room, each with its line."""
    room, *rest = module.split(".")
    if not rest or module.startswith(SCRIPTS):
        return []
    floors = FLOORS[room]
    if rest[0] not in floors:
        return [f"{module}: {rest[0]} has no place in FLOORS"]
    above = floors[floors.index(rest[0]) + 1 :]
    return [
        f"line {line}: {module} lies below {imported} and cannot see it"
        for line, imported in _imports(ast.parse(source))
        if imported.split(".")[:1] == [room] and imported.split(".")[1:2] and imported.split(".")[1] in above
    ]


def circle(sources: Mapping[str, str]) -> Sequence[str]:
    """Modules that import each other in a circle, the first again as the last; empty where there is none."""
    graph = {
        module: {name for _, name in _imports(ast.parse(source)) if name in sources and name != module}
        for module, source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return ()


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_to_its_floor(path: Path) -> None:
    assert floor_faults(_module_of(path), path.read_text()) == []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports for type checking count too: they bind two files as much as any other."""
    assert circle({_module_of(path): path.read_text() for path in FILES}) == ()


def test_every_floor_has_files() -> None:
    present = {tuple(_module_of(path).split(".")[:2]) for path in FILES}
    assert [(room, floor) for room in ROOMS for floor in FLOORS[room] if (room, floor) not in present] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mappings.chart.fhir", "from mappings.readers import index"),
        ("mappings.facts", "import mappings.chart.fhir"),
        ("mappings.derived.estimates", "if TYPE_CHECKING:\n    from mappings.patient_facts import PatientFacts"),
        ("trial_defs.definition.lint", "from trial_defs import engine"),
        ("cds_hooks.words.wording", "from cds_hooks.cards.detail import detail_of"),
        ("app.storage.database", "from app.web import forms"),
        ("app.helpers", "import ast"),
    ],
)
def test_a_file_that_imports_from_a_floor_above_is_caught(module: str, source: str) -> None:
    assert floor_faults(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mappings.chart.chart", "from mappings.chart import fhir\nfrom mappings.facts import Result"),
        ("app.routes.cds", "from app.calls.answer import answer_cards\nfrom trial_defs.engine import evaluation"),
        ("app", "import ast"),
    ],
)
def test_a_file_that_imports_from_its_floor_or_below_is_left_alone(module: str, source: str) -> None:
    assert floor_faults(module, source) == []


def test_a_circle_of_files_is_caught() -> None:
    one, other = "import mappings.b", "def f() -> None: ...\nif TYPE_CHECKING:\n    from mappings.a import X"
    assert set(circle({"mappings.a": one, "mappings.b": other})) == {"mappings.a", "mappings.b"}
    assert circle({"mappings.a": one, "mappings.b": "import ast"}) == ()


def test_every_room_has_files() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("mappings", "from trial_defs.definition.loader import load_trials"),
        ("mappings", "import app"),
        ("trial_defs", "from cds_hooks.cards import trial_cards as cards"),
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
        ("app", "def f() -> None:\n    from mappings.values.units import convert"),
    ],
)
def test_a_file_that_leaves_its_room_is_caught(room: str, source: str) -> None:
    assert faults(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("cds_hooks", "from mappings.values.units import convert\nfrom trial_defs import expressions"),
        ("app", "import os, asyncio, httpx\nfrom datetime import UTC, datetime\nNOW = datetime.now(UTC)"),
        ("mappings", "from urllib.parse import urlsplit\ndef f() -> None:\n    import pint"),
    ],
)
def test_a_file_that_keeps_to_its_room_is_left_alone(room: str, source: str) -> None:
    assert faults(room, source) == []


# Who may hold a chart against definitions: the door that every answer passes, which keeps back what may not be shown;
# and replays, which repeat what was shown.
ENGINE = frozenset({"match", "match_facts", "match_many", "evaluate"})
MAY_MATCH = frozenset({"app/judge.py", "app/calls/replay.py", "app/calls/replay_diff.py"})
ONLY_THE_DOOR = frozenset({"effects_of"})


def engine_imports(source: str, names: frozenset[str] = ENGINE) -> list[str]:
    """The names of the engine that a file imports, or its module as a whole."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("trial_defs", "cds_hooks")):
            found += [alias.name for alias in node.names if alias.name in names | {"evaluation"}]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.endswith(".evaluation")]
    return found


@pytest.mark.parametrize(("names", "allowed"), [(ENGINE, MAY_MATCH), (ONLY_THE_DOOR, {"app/judge.py"})])
def test_only_the_door_and_the_replay_call_the_engine(names: frozenset[str], allowed: frozenset[str]) -> None:
    outside = [path for path in FILES if path.relative_to(ROOT).parts[0] != "trial_defs"]
    using = {str(path.relative_to(ROOT)) for path in outside if engine_imports(path.read_text(), names)}
    assert [name for name in using if name not in allowed] == []
    assert "app/judge.py" in using


@pytest.mark.parametrize(
    "source",
    [
        "from trial_defs.engine.evaluation import match_facts as m",
        "from trial_defs.engine import evaluation",
        "import trial_defs.evaluation",
        "def f() -> None:\n    from trial_defs.engine.evaluation import evaluate",
    ],
)
def test_another_way_to_the_engine_is_caught(source: str) -> None:
    assert engine_imports(source)


def test_no_file_is_called_utils() -> None:
    """A name that fits everything tells nothing; the noun does."""
    tests = (ROOT / "tests").rglob("*.py")
    assert [path for path in (*FILES, *tests) if path.stem in {"utils", "util", "helpers", "misc", "common"}] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "one sentence at the top: what this file answers"
