"""Findings that rest on no record at all: worked out once for a criterion, and true of every chart as silent on it.

A chart says nothing about most of what a trial excludes. What such a criterion then comes to depends on nothing but
whether the sources were read completely, so the finding is the same object for every patient like that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mappings.read import PatientFacts
from trial_defs import expressions as x
from trial_defs.findings import Finding

_MOST_KINDS = 16  # of reading that are kept for one criterion; sources fail in few ways
_MOST_CRITERIA = 20_000  # about 60 MB; of more trials than that, each patient needs few


@dataclass(frozen=True, slots=True)
class _Asked:
    """What must be silent. `concepts` are asked about, `shown` are only shown."""

    criterion: x.Criterion  # held, so that its identity stays its own
    concepts: tuple[str, ...]
    shown: tuple[str, ...]
    depends_on_more: bool  # on the person, or on the history of a dose: never the same for two patients
    found: dict[tuple[bool, ...], Finding] = field(default_factory=dict)


@dataclass(slots=True)
class Silences:
    """The findings of one set of definitions that rest on no record. Begin a new one with new definitions."""

    _asked: dict[int, _Asked] = field(default_factory=dict)

    def look_up(self, criterion: x.Criterion, facts: PatientFacts) -> tuple[Finding | None, tuple[bool, ...] | None]:
        """The finding, where it is known; and, where the chart is silent on all of it, the way to remember it by."""
        asked = self._asked.get(id(criterion))
        if asked is None:
            if len(self._asked) >= _MOST_CRITERIA:
                self._asked.clear()
            asked = self._asked[id(criterion)] = _asked(criterion)
        if asked.depends_on_more:
            return None, None
        kind = []
        for concept in asked.concepts:
            if facts.says_something_of(concept):
                return None, None
            kind.append(facts.readable(concept))
        if any(facts.says_something_of(concept) for concept in asked.shown):
            return None, None
        return asked.found.get(key := tuple(kind)), key

    def remember(self, criterion: x.Criterion, kind: tuple[bool, ...], finding: Finding) -> None:
        asked = self._asked.get(id(criterion))
        if asked and len(asked.found) < _MOST_KINDS:
            asked.found[kind] = finding


def _asked(criterion: x.Criterion) -> _Asked:
    parts = [criterion.asks, *([criterion.only_if] if criterion.only_if else [])]
    leaves = [leaf for part in parts for leaf in x.leaves_of(part)]
    concepts = tuple(dict.fromkeys(concept for part in parts for concept in x.concepts_of(part)))
    return _Asked(criterion, concepts, criterion.shows, any(map(_depends_on_more, leaves)))


def _depends_on_more(leaf: x.Expression) -> bool:
    return isinstance(leaf, x.Age | x.SexIs) or (isinstance(leaf, x.Value) and leaf.stable_for is not None)
