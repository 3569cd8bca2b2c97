"""Repeats a kept answer with the definitions, concepts and chart of its day, or says what can no longer be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.definitions.texts import Texts, concepts_from, trial_from
from app.storage.kept import KeptAnswer, from_kept
from app.storage.records import Records
from cds_hooks.report import VERSION, in_form_of, report_of
from cds_hooks.words.languages import languages
from cds_hooks.words.texts import texts_of
from mappings.chart.chart import Chart
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match

_MOST = 20  # places of difference that are named


class Unrepeatable(Exception):
    """The answer cannot be repeated. `causes` say what is lost or has changed, each in a sentence.

    `is_known`: whether an answer of this id was ever given. `is_gone`: its facts are not kept any more, or never were.
    """

    def __init__(self, *causes: str, is_known: bool = True, is_gone: bool = False) -> None:
        super().__init__(" ".join(causes))
        self.causes = causes
        self.is_known = is_known
        self.is_gone = is_gone


@dataclass(frozen=True, slots=True)
class _Day:
    """Concepts and trials as they were."""

    catalogue: Catalogue
    trials: tuple[Trial, ...]


async def replay(report_id: str, records: Records, now: datetime) -> bytes:
    """The bytes of the report, made anew and equal to those that were shown; Unrepeatable otherwise."""
    content = await records.report(report_id, now)
    if content is None:
        raise await _why_there_is_nothing(report_id, records, now)
    kept = from_kept(content)
    hashes = _hashes(kept.report)
    texts = await records.definition_texts(list(hashes))
    return await asyncio.to_thread(_repeated, kept, texts)


async def _why_there_is_nothing(report_id: str, records: Records, now: datetime) -> Unrepeatable:
    shown_at = await records.shown_at(report_id)
    if shown_at is None:
        return Unrepeatable("No answer of this id was given.", is_known=False)
    if await records.is_sealed(report_id, now):
        cause = "The facts behind this answer are sealed under a secret that is no longer in TRIALCARDS_SECRET_KEY."
    elif records.keeps_facts_of(shown_at, now):
        cause = "No facts were kept behind this answer: TRIALCARDS_RETENTION_DAYS was 0 when it was given."
    else:
        cause = "The facts behind this answer have expired (TRIALCARDS_RETENTION_DAYS) and were deleted."
    return Unrepeatable(cause, is_gone=True)


def _hashes(report: Mapping[str, Any]) -> Iterator[str]:
    yield report["engine"]["concepts"]
    for entry in report["trials"]:
        yield entry["definition"]["hash"]


def _repeated(kept: KeptAnswer, texts: Texts) -> bytes:
    """`texts` are the definitions that were kept."""
    report = kept.report
    if kept.chart is None:
        raise Unrepeatable("The chart behind this answer was kept in a form that this version does not read.")
    if kept.language not in languages():
        raise Unrepeatable(f"This version has no texts of the language of that day ({kept.language}).")
    again = _evaluate(report, kept.chart, kept, _day_of(report, texts))
    if again != kept.report_bytes:
        raise Unrepeatable(*_changes(report, msgspec.json.decode(again)))
    return again


def _evaluate(report: Mapping[str, Any], chart: Chart, kept: KeptAnswer, day: _Day) -> bytes:
    as_of = datetime.fromisoformat(report["asOf"])
    zone = ZoneInfo(kept.zone)
    found = match(day.trials, chart, day.catalogue, as_of, zone, attestations=kept.attestations)
    again = report_of(found, report["id"], day.catalogue, texts_of(kept.language))
    return msgspec.json.encode(in_form_of(report, again))


def _day_of(report: Mapping[str, Any], texts: Texts) -> _Day:
    digest = report["engine"]["concepts"]
    if digest not in texts:
        raise Unrepeatable(f"The concepts of that day ({digest}) were not kept.")
    catalogue = concepts_from(texts[digest], digest)
    if catalogue is None:
        raise Unrepeatable(f"This version no longer reads the concepts of that day ({digest}).")
    trials, causes = [], []
    for entry in report["trials"]:
        trial, cause = _trial_of(entry, texts, catalogue)
        trials += [trial] if trial else []
        causes += [cause] if cause else []
    if causes:
        raise Unrepeatable(*causes)
    return _Day(catalogue, tuple(trials))


def _trial_of(entry: Mapping[str, Any], texts: Texts, catalogue: Catalogue) -> tuple[Trial | None, str | None]:
    digest = entry["definition"]["hash"]
    name = f"{entry['trial']} version {entry['definition']['version']} ({digest})"
    if digest not in texts:
        return None, f"The definition of {name} was not kept."
    trial = trial_from(texts[digest], digest, catalogue)
    return trial, None if trial else f"This version no longer reads the definition of {name}."


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Where the repeated report differs; places only, never what a chart says."""
    causes = ["The same chart, definitions and concepts give another answer now."]
    if then["engine"]["version"] != VERSION:
        causes.append(f"The engine was version {then['engine']['version']}, it is {VERSION} now.")
    places = list(_differing(then, now, ""))
    causes += [f"Different: {place}." for place in places[:_MOST]]
    return causes + ([f"And {len(places) - _MOST} more places."] if len(places) > _MOST else [])


def _differing(one: Any, other: Any, place: str) -> Iterator[str]:
    """The places at which two JSON values differ, entries of trials, cohorts and criteria by their ids."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from _differing(one[key], other[key], f"{place}.{key}" if place else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _differing(a, b, f"{place}[{_name_of(a) or number}]")
    elif one != other or type(one) is not type(other):
        yield place


def _name_of(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return None
    return next((entry[key] for key in ("trial", "cohort", "id", "resourceType") if key in entry), None)
