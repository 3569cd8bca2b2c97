"""The records of an export, or of single charts, that were not understood, and the criteria that they leave open.

Codes and words are counted by patient. Both are patient data.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.screen.export import Broken, Export, lines_of
from app.screen.lines import LineError, LineReader, deletions, reference_of
from mappings.chart.addresses import Servers
from mappings.chart.chart import Chart, ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import concepts_in_doubt, facts_of
from mappings.resource_types import names_of
from mappings.time.clock import Clock
from mappings.understanding.classes import NotUnderstood
from trial_defs.definition.expressions import Expression, Trial, concepts_of, leaves_of

_KEPT = frozenset(names_of("person", "diagnosis", "drug-use", "drug-supply", "procedure", "vaccination", "allergy"))


@dataclass(frozen=True, slots=True)
class Gap:
    """One code, or one text without a code, that was not understood."""

    resource_type: str
    system: str | None
    code: str | None
    words: str  # those of most patients; empty where there are none
    patients: int
    patients_with_words: int  # of whom these are the words
    criteria: tuple[str, ...]  # that it may leave open: "NCT1 e-cancer", "NCT1 gate of sle"


@dataclass
class _Seen:
    patients: int = 0
    words: Counter[str] = field(default_factory=Counter)
    in_doubt: set[str] = field(default_factory=set)


@dataclass
class Gaps:
    """What was not understood in the charts that were read."""

    gaps: list[Gap] = field(default_factory=list)  # the one that does most harm first
    patients: int = 0
    unreadable: int = 0  # charts and lines that could not be read


def gaps_in(charts: Iterable[Chart | None], catalogue: Catalogue, trials: Sequence[Trial], at: Clock) -> Gaps:
    """Count over charts; None is one that could not be read."""
    seen: dict[tuple[str, str | None, str | None, str], _Seen] = {}
    found = Gaps()
    for chart in charts:
        if chart is None:
            found.unreadable += 1
            continue
        found.patients += 1
        _count(facts_of(chart, catalogue, at.as_of, at.zone).not_understood, seen, catalogue)
    opened = _Opened(trials)
    for (resource_type, system, code, _), entry in seen.items():
        words, count = entry.words.most_common(1)[0] if entry.words else ("", 0)
        criteria = opened.by(frozenset(entry.in_doubt))
        found.gaps.append(Gap(resource_type, system, code, words, entry.patients, count, criteria))
    found.gaps.sort(key=lambda gap: (-gap.patients * len(gap.criteria), -gap.patients, str(gap.system), str(gap.code)))
    return found


def _count(
    records: Sequence[NotUnderstood],
    seen: dict[tuple[str, str | None, str | None, str], _Seen],
    catalogue: Catalogue,
) -> None:
    """Add the records of one patient; each code or text counts once, with its words."""
    here: dict[tuple[str, str | None, str | None, str], set[str]] = {}
    for record in records:
        words = " ".join(record.words.split())
        key = (record.resource_type, record.system, record.code, "" if record.code else words.casefold())
        here.setdefault(key, set()).update({words} if words else ())
        seen.setdefault(key, _Seen()).in_doubt |= concepts_in_doubt(record, catalogue)
    for key, texts in here.items():
        seen[key].patients += 1
        seen[key].words.update(texts)


class _Opened:
    """The criteria and gates in which silence on a concept says something."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._by_name = {
            f"{trial.id} {criterion.id}": _presumed(criterion.asks)
            for trial in trials
            for cohort in trial.cohorts
            for criterion in cohort.criteria
        } | {
            f"{trial.id} gate of {cohort.id}": frozenset(concepts_of(cohort.gate))
            for trial in trials
            for cohort in trial.cohorts
        }
        self.by = lru_cache(maxsize=1024)(self._by)

    def _by(self, concepts: frozenset[str]) -> tuple[str, ...]:
        return tuple(name for name, asked in self._by_name.items() if not asked.isdisjoint(concepts))


def _presumed(asks: Expression) -> frozenset[str]:
    leaves = (leaf for leaf in leaves_of(asks) if getattr(leaf, "absent", "ask") == "presume")
    return frozenset(concept for leaf in leaves for concept in concepts_of(leaf))


# Where charts come from


def charts_of_files(paths: Iterable[Path]) -> Iterator[Chart | None]:
    """Each file is a Bundle with one patient's chart. OSError where one cannot be opened."""
    for path in paths:
        builder = ChartBuilder(None)
        try:
            builder.add(path.read_bytes(), None)
            builder.whole_chart()
            yield builder.build()
        except ChartError:
            yield None


def charts_of_export(export: Export, catalogue: Catalogue) -> Iterator[Chart | None]:
    """The charts of all patients, without results, in the order of their ids; None for each that cannot be read.

    The lines are kept in a temporary folder meanwhile, sorted by patient; a later file's version replaces an earlier.
    """
    with TemporaryDirectory(prefix="trialcards-gaps-") as folder, closing(sqlite3.connect(f"{folder}/lines.db")) as db:
        db.execute("CREATE TABLE line (patient TEXT, record TEXT, line BLOB, PRIMARY KEY (patient, record))")
        reader = LineReader(catalogue, None, export.base_url)
        for chunk in export.chunks():
            for place, line in lines_of(chunk):
                if isinstance(line, Broken) or not _keep(line, f"{chunk.number} {place}", reader, db):
                    yield None
        servers = Servers.at((export.base_url,))
        for (patient,) in db.execute("SELECT DISTINCT patient FROM line WHERE patient != '' ORDER BY patient"):
            yield _chart_of(patient, servers, db)


def _keep(line: bytes, place: str, reader: LineReader, db: sqlite3.Connection) -> bool:
    """Keep a line under its patient, a Medication under none; whether it could be read."""
    try:
        kind, patient, _, identity = reader.read(line)
    except LineError:
        return False
    record = f"{kind}/{identity}" if identity else place
    if kind == "Medication":
        db.execute("INSERT OR REPLACE INTO line VALUES ('', ?, ?)", (reference_of(line), line))
    elif kind == "Bundle":
        db.executemany("DELETE FROM line WHERE record = ?", [(name,) for name in deletions(line)])
    elif patient and kind in _KEPT:
        db.execute("INSERT OR REPLACE INTO line VALUES (?, ?, ?)", (patient, record, line))
    return True


def _chart_of(patient: str, servers: Servers, db: sqlite3.Connection) -> Chart | None:
    builder = ChartBuilder(patient, servers)
    _add(builder, [line for (line,) in db.execute("SELECT line FROM line WHERE patient = ?", (patient,))])
    drugs = [
        line
        for reference in builder.missing_medications()
        for (line,) in db.execute("SELECT line FROM line WHERE patient = '' AND record = ?", (reference,))
    ]
    _add(builder, drugs)
    try:
        return builder.build()
    except ChartError:
        return None


def _add(builder: ChartBuilder, lines: Sequence[bytes]) -> None:
    entries = b",".join(b'{"resource":' + line + b"}" for line in lines)
    builder.add(b'{"resourceType":"Bundle","type":"collection","entry":[' + entries + b"]}", None)
