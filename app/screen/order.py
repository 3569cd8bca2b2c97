"""What is to be screened, and whether it was begun or done before.

A plan names everything that decides the result: the files, the definitions, the moment. Two screens of one plan are the
same, so that one can go on where another was stopped, or take over what another has found.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from app.restricted import digest_of_labels
from app.screen.engines import Engine, LocalEngine
from app.screen.export import CHUNK, Export
from app.screen.reading import Earlier
from app.screen.shard import Question
from app.screen.spool import write_whole
from app.screen.tables import Comparison
from cds_hooks.report import VERSION, instant
from mappings.time.times import parse_moment

UNFINISHED, REPORT, UNREAD = "unfinished", "report.json", "unread.csv"
_FORM = 3  # of the tables that a later screen takes rows from; another form has everyone evaluated


class ScreenError(Exception):
    """The screen cannot start; the message says what to do."""


@dataclass(frozen=True)
class Order:
    """What is to be screened, and how."""

    export: Export
    question: Question
    out: Path
    workers: int = 1
    engine: Engine = field(default_factory=lambda: LocalEngine(1))
    since: Path | None = None  # an earlier screen to compare with
    prefilter: bool = True  # False: every patient is evaluated, also those whose gates are closed
    chunk: int = CHUNK


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Two screens into one folder would write over each other."""
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ScreenError("--out: another screen is writing there") from None
        yield
    (out / ".lock").unlink(missing_ok=True)


def plan_of(order: Order) -> dict[str, Any]:
    """What makes two screens the same: the files, the definitions, the moment."""
    question = order.question
    return {
        "engine": VERSION,
        "asOf": instant(question.as_of),
        "timezone": question.timezone,
        "concepts": question.catalogue.hash,
        "trials": {trial.id: trial.hash for trial in question.trials},
        "export": digest_of(order.export, question),
        "labels": digest_of_labels(question.labels),
        "since": _digest_of_plan(order.since) if order.since else None,
    }


def _digest_of_plan(since: Path) -> str:
    return "sha256:" + hashlib.sha256(msgspec.json.encode(_finished(since)["plan"], order="sorted")).hexdigest()


def digest_of(export: Export, question: Question) -> str:
    """Names, sizes and times of the files, and how they are to be read."""
    files = [(str(file.path), file.size, file.changed) for file in export.files]
    content = repr((files, sorted(question.complete), question.base_url))
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def planned_as_of(out: Path) -> datetime | None:
    """The moment of the screen that was not finished there: going on means going on at the same moment."""
    plan = _read_plan(out / UNFINISHED / "plan.json")
    moment = parse_moment(plan["plan"]["asOf"], UTC) if plan else None
    return moment.earliest if moment else None


def _read_plan(path: Path) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if isinstance(found, dict) and "plan" in found else None


def unfinished(order: Order, plan: dict[str, Any]) -> tuple[Path, Order]:
    """The folder of work in progress, new or found; with how it was cut up then."""
    folder = order.out / UNFINISHED
    here = _read_plan(folder / "plan.json")
    cut = {"chunk": order.chunk, "prefilter": order.prefilter, "engine": type(order.engine).__name__}
    if here is None:
        if folder.exists():
            shutil.rmtree(folder)
        for name in ("", "gates", "lines", "late", "versions", "parts"):
            (folder / name).mkdir(exist_ok=True)
        write_whole(folder / "plan.json", msgspec.json.encode({"plan": plan, "cut": cut}))
        return folder, order
    if here["plan"] != plan:
        told = ", ".join(sorted(name for name in plan if here["plan"].get(name) != plan[name]))
        raise ScreenError(
            f"--out: holds an unfinished screen of something else (other {told}); choose another folder, or --restart"
        )
    cut = here["cut"]
    return folder, replace(order, chunk=cut["chunk"], prefilter=cut["prefilter"])


def way_of_reading(question: Question, incomplete: Collection[str]) -> str:
    """What decides, beside its lines and the definitions, what is read from a chart."""
    content = (
        VERSION,
        _FORM,
        question.timezone,
        question.catalogue.hash,
        sorted(question.labels),
        sorted(question.complete),
        question.base_url,
        sorted(incomplete),
    )
    return "sha256:" + hashlib.sha256(repr(content).encode()).hexdigest()


def earlier_screen(order: Order, way: str) -> Earlier | None:
    """The earlier screen, where it read charts the same way: then rows of it may still stand."""
    if order.since is None:
        return None
    then = _finished(order.since)
    moment = parse_moment(str(then["plan"].get("asOf")), UTC)
    if then.get("wayOfReading") != way or moment is None:
        return None
    trials = dict(then["plan"].get("trials", {}))
    same = frozenset(trial.id for trial in order.question.trials if trials.get(trial.id) == trial.hash)
    return Earlier(moment.earliest, same)


def comparison(order: Order, *, stands: bool) -> Comparison | None:
    """The earlier screen as the tables need it; `stands`: whether rows are taken from it."""
    if order.since is None:
        return None
    zone, now = order.question.zone, order.question.as_of
    then = parse_moment(str(_finished(order.since)["plan"].get("asOf")), UTC)
    moment = then.earliest if then else now
    return Comparison(order.since, now.astimezone(zone).date(), moment.astimezone(zone).date(), stands)


def moment_of_same(since: Path | None, export: Export, question: Question) -> datetime | None:
    """The moment of the earlier screen, where it was one of the same export: then only definitions can have changed."""
    if since is None:
        return None
    then = _finished(since)["plan"]
    moment = parse_moment(str(then.get("asOf")), UTC)
    return moment.earliest if moment and then.get("export") == digest_of(export, question) else None


def _finished(since: Path) -> dict[str, Any]:
    """The report of a finished screen."""
    try:
        report = msgspec.json.decode((since / REPORT).read_bytes())
        return {**report, "plan": dict(report["plan"])}
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        raise ScreenError("--since: is not the folder of a finished screen") from None
