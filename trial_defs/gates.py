"""Which diagnoses must be on record before a cohort can be indicated, told from its gate alone.

Sound, not sharp: a chart without any of them cannot open the gate; one that has some may still leave it closed.
"""

from __future__ import annotations

from collections.abc import Iterable

from mappings.catalogue import Catalogue
from trial_defs.expressions import All, AnyOf, AtLeast, Condition, Expression, Trial


def needed_for(trials: Iterable[Trial], catalogue: Catalogue) -> frozenset[str] | None:
    """The concepts of which at least one must be on record for any cohort of these trials to be indicated.

    None where a gate may open without a diagnosis (by a drug, an age, or the lack of something).
    """
    found: set[str] = set()
    for gate in (cohort.gate for trial in trials for cohort in trial.cohorts):
        concepts = _needed(gate, catalogue)
        if concepts is None:
            return None
        found |= concepts
    return frozenset(found)


def _needed(gate: Expression, catalogue: Catalogue) -> frozenset[str] | None:
    match gate:
        case Condition():
            return frozenset({gate.concept}) if _is_found_by_code(gate.concept, catalogue) else None
        case All():
            # Every part must hold, so any one part that can be told apart will do: the one with the fewest concepts.
            known = [found for part in gate.parts if (found := _needed(part, catalogue)) is not None]
            return min(known, key=len, default=None)
        case AnyOf() | AtLeast():
            parts = [_needed(part, catalogue) for part in gate.parts]
            told = [part for part in parts if part is not None]
            return frozenset().union(*told) if len(told) == len(parts) else None
        case _:
            return None


def _is_found_by_code(concept: str, catalogue: Catalogue) -> bool:
    """A drug may also be found by its name, and through a Medication elsewhere; a diagnosis only by its code."""
    entry = catalogue.concepts[concept]
    return entry.kind == "diagnosis" and all(_is_found_by_code(child, catalogue) for child in entry.includes)
