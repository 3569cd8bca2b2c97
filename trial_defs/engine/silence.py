"""Findings that rest on no record at all: worked out once for a criterion, and true of every chart as silent on it.

A chart says nothing about most of what a trial excludes. What such a criterion then comes to depends on nothing but
whether the sources were read completely, so the finding is the same object for every patient like that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Finding

_MOST_KINDS = 16  # of reading that are kept for one criterion; sources fail in few ways
_MOST_CRITERIA = 20_000  # about 60 MB; of more trials than that, each patient needs few


Unread = frozenset[str]  # the resource types that were not read completely, and the concepts that are left open


@dataclass(frozen=True, slots=True)
class _Asked:
    """What must be silent. `concepts` are asked about or shown, `sources` is where what is asked about would stand."""

    criterion: x.Criterion  # held, so that its identity stays its own
    concepts: frozenset[str]
    sources: frozenset[str]
    depends_on_more: bool  # on the person, or on the history of a dose: never the same for two patients
    found: dict[Unread, Finding] = field(default_factory=dict)


@dataclass(slots=True)
class Silences:
    """The findings of one set of definitions that rest on no record. Begin a new one with new definitions."""

    _asked: dict[int, _Asked] = field(default_factory=dict)

    def look_up(self, criterion: x.Criterion, facts: PatientFacts) -> tuple[Finding | None, Unread | None]:
        """The finding, where it is known; and, where the chart is silent on all of it, the way to remember it by."""
        asked = self._asked.get(id(criterion))
        if asked is None:
            if len(self._asked) >= _MOST_CRITERIA:
                self._asked.clear()
            asked = self._asked[id(criterion)] = _asked(criterion, facts.catalogue)
        if asked.depends_on_more or not facts.is_silent_on(asked.concepts):
            return None, None
        unread = (asked.sources - facts.read_completely) | (asked.concepts & facts.left_open)
        return asked.found.get(unread), unread

    def remember(self, criterion: x.Criterion, unread: Unread, finding: Finding) -> None:
        asked = self._asked.get(id(criterion))
        if asked and len(asked.found) < _MOST_KINDS:
            asked.found[unread] = finding


def _asked(criterion: x.Criterion, catalogue: Catalogue) -> _Asked:
    parts = [criterion.asks, *([criterion.only_if] if criterion.only_if else [])]
    leaves = [leaf for part in parts for leaf in x.leaves_of(part)]
    concepts = {concept for part in parts for concept in x.concepts_of(part)}
    asked = [catalogue.concepts[name] for name in concepts if name in catalogue.concepts]
    concepts |= {name for entry in asked for name in entry.ruled_out_by}
    sources = frozenset(source for leaf in leaves for source in _sources(leaf, catalogue))
    more = any(map(_depends_on_more, leaves)) or any(entry.asked_until is not None for entry in asked)
    return _Asked(criterion, frozenset({*concepts, *criterion.shows}), sources, more)


def _sources(leaf: x.Expression, catalogue: Catalogue) -> frozenset[str]:
    where = catalogue.where_of_value if isinstance(leaf, x.Value | x.Change) else catalogue.where
    return frozenset(source for concept in x.concepts_of(leaf) for source in where(concept))


def _depends_on_more(leaf: x.Expression) -> bool:
    return isinstance(leaf, x.Age | x.SexIs) or (isinstance(leaf, x.Value) and leaf.stable_for is not None)
