"""What must be on record before a cohort can be indicated, told from its gate alone.

Sound, not sharp: a chart without any of it cannot open the gate; one that has some may still leave it closed.
`needed_for` names diagnoses, which are found in raw records by their codes; `Gates` asks facts that were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts
from trial_defs.definition.expressions import (
    All,
    AnyOf,
    AtLeast,
    Condition,
    Expression,
    Treatment,
    Trial,
    Value,
    leaves_of,
)

MANY = 200  # trials: more than anybody reads one by one, so those that are not indicated are counted, not listed


def needed_for(trials: Iterable[Trial], catalogue: Catalogue) -> frozenset[str] | None:
    """The concepts of which at least one must be on record for any cohort of these trials to be indicated.

    None where a gate may open without a diagnosis (by a drug, an age, or the lack of something).
    """
    found: set[str] = set()
    for gate in (cohort.gate for trial in trials for cohort in trial.cohorts):
        concepts = _needed(gate, lambda leaf: _found_by_code(leaf, catalogue))
        if concepts is None:
            return None
        found |= concepts
    return frozenset(found)


def _needed(gate: Expression, of_leaf: Callable[[Expression], frozenset[str] | None]) -> frozenset[str] | None:
    """Concepts of which one must be on record; `of_leaf` tells those of a leaf, None where it tells nothing."""
    match gate:
        case All():
            # Every part must hold, so any one part that can be told apart will do: the one with the fewest concepts.
            known = [found for part in gate.parts if (found := _needed(part, of_leaf)) is not None]
            return min(known, key=len, default=None)
        case AnyOf() | AtLeast():
            parts = [_needed(part, of_leaf) for part in gate.parts]
            told = [part for part in parts if part is not None]
            return frozenset().union(*told) if len(told) == len(parts) else None
        case _:
            return of_leaf(gate)


def _found_by_code(leaf: Expression, catalogue: Catalogue) -> frozenset[str] | None:
    is_found = isinstance(leaf, Condition) and _is_found_by_code(leaf.concept, catalogue)
    return frozenset({leaf.concept}) if isinstance(leaf, Condition) and is_found else None


def _is_found_by_code(concept: str, catalogue: Catalogue) -> bool:
    """A drug may also be found by its name, and through a Medication elsewhere; a diagnosis only by its code."""
    entry = catalogue.concepts[concept]
    return entry.kind == "diagnosis" and all(_is_found_by_code(child, catalogue) for child in entry.includes)


@dataclass
class Gates:
    """The trials of one set of definitions by what their gates need."""

    trials: Sequence[Trial]
    _by_concept: dict[str, set[int]] = field(default_factory=dict, init=False)  # places of trials
    _by_source: dict[str, set[int]] = field(default_factory=dict, init=False)  # by concept, if its source is not read
    _always: set[int] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        for place, trial in enumerate(self.trials):
            for cohort in trial.cohorts:
                self._add(cohort.gate, place)

    def _add(self, gate: Expression, place: int) -> None:
        if (needed := _needed(gate, _read_as_facts)) is None:
            self._always.add(place)
            return
        for concept in needed:
            self._by_concept.setdefault(concept, set()).add(place)
        for concept in _open_unless_read(gate):
            self._by_source.setdefault(concept, set()).add(place)

    def open_for(self, facts: PatientFacts) -> list[Trial]:
        """The trials of which a gate may be on record, in their order; the gate of no other is."""
        places = set(self._always)
        for concept, ours in self._by_concept.items():
            if concept in facts.left_open or facts.says_something_of(concept):
                places |= ours
        for concept, ours in self._by_source.items():
            if not facts.readable(concept):
                places |= ours
        return [self.trials[place] for place in sorted(places)]


def _read_as_facts(leaf: Expression) -> frozenset[str] | None:
    """The concepts of which the chart must say something for this to be on record, or to be open for any other reason.

    A result that silence speaks for (`absent: presume`) needs none.
    """
    match leaf:
        case Condition():
            return frozenset({leaf.concept})
        case Treatment():
            return frozenset(leaf.concepts)
        case Value(absent="ask"):
            return frozenset({leaf.concept})
        case _:
            return None


def _open_unless_read(gate: Expression) -> Iterable[str]:
    """The concepts whose silence closes a gate only where their source was read; for a diagnosis it always does."""
    leaves = leaves_of(gate)
    return [name for leaf in leaves if not isinstance(leaf, Condition) for name in _read_as_facts(leaf) or ()]
