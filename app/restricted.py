"""Keeps back what rests on a record whose security label the site does not let us show."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import replace

from mappings.facts import Result
from trial_defs.engine.findings import Match, TrialMatch


def without_restricted(found: Match, restricted: frozenset[str]) -> Match:
    """The match without the trials whose evidence holds one of these sources ("Observation/abc")."""
    if not restricted:
        return found
    return replace(found, trials=tuple(trial for trial in found.trials if restricted.isdisjoint(sources_of(trial))))


def digest_of_labels(labels: Collection[tuple[str, str]]) -> str:
    """By which a screen and who takes it tell whether both know the same restricted labels (system, code)."""
    return hashlib.sha256(repr(sorted(labels)).encode()).hexdigest()


def sources_of(found: TrialMatch) -> Iterator[str]:
    """Where everything shown about a trial comes from, the inputs of calculated results included."""
    for evidence in (e for cohort in found.cohorts for finding in cohort.findings for e in finding.evidence):
        yield evidence.source
        if isinstance(evidence, Result):
            yield from (piece.source for piece in evidence.inputs)
