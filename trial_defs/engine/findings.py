"""What was found: one finding per criterion, one verdict per cohort and trial, each with its evidence.

Outcomes are said from the patient's side of enrolment: MET is good, for exclusions too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct

from mappings.facts import Episode, Reason, Result, Sex, SourceReport
from trial_defs.definition.expressions import Cohort, Criterion, Expression, Trial
from trial_defs.engine.attestation import Attestation, Attestations


class Outcome(StrEnum):
    MET = "met"
    NOT_MET = "not-met"
    UNKNOWN = "unknown"
    NEEDS_HUMAN = "needs-human"
    NOT_APPLICABLE = "not-applicable"


class Basis(StrEnum):
    """What a settled outcome rests on; the weakest of what decided it."""

    RECORDED = "recorded"
    DERIVED = "derived"
    ATTESTED = "attested"
    PRESUMED = "presumed"


class Verdict(StrEnum):
    """Of a cohort or a trial, best first: code, label, whether it makes a candidate, and the tone of its badge.

    A candidate has a card, a row of the worklist and of a screen's list, and tests that would settle what is open.
    """

    label: str
    is_candidate: bool
    tone: str  # a colour of app/assets/site.css; "" is that of text
    rank: int  # 0 is best

    def __new__(cls, code: str, label: str = "", tone: str = "", is_candidate: bool = False) -> Verdict:
        verdict = str.__new__(cls, code)
        verdict._value_ = code
        verdict.label, verdict.tone, verdict.is_candidate = label, tone, is_candidate
        verdict.rank = len(cls.__members__)
        return verdict

    LIKELY_ELIGIBLE = "likely-eligible", "likely eligible", "good", True
    POSSIBLY_ELIGIBLE = "possibly-eligible", "possibly eligible", "accent", True
    NEAR_MISS = "near-miss", "near miss", "open", True
    COULD_NOT_EVALUATE = "could-not-evaluate", "could not be evaluated", "open"
    CLOSED = "closed", "closed to recruitment"
    NOT_ELIGIBLE = "not-eligible", "not eligible", "bad"
    NOT_INDICATED = "not-indicated", "not indicated"


def best_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The best of some verdicts, of which there is at least one."""
    return min(verdicts, key=attrgetter("rank"))


class PersonFact(Struct, frozen=True, gc=False):
    """Age or sex as evidence: value in words or years, from the Patient resource."""

    concept: str  # "age" or "sex"
    source: str
    value: Decimal | None
    unit: str
    recorded: str


Evidence = Result | Episode | PersonFact


class Margin(Struct, frozen=True, gc=False):
    """Distance to the limit in the limit's unit; positive is room left. `percent` of the limit, None if that is 0."""

    value: Decimal
    unit: str
    percent: Decimal | None
    limit: Decimal  # the limit in `unit`, multiples of ULN worked out
    within_tolerance: bool = False


class Open(Struct, frozen=True, gc=False):
    """One piece that is still open: a leaf, and why. `reason` is None for a judgement, a consent or a confirmation."""

    leaf: Expression
    reason: Reason | None
    ask: str | None = None  # what a person is asked to confirm
    evidence: tuple[Evidence, ...] = ()
    note: str | None = None


class Failed(Struct, frozen=True, gc=False):
    """A value that failed while an alternative to it is open. `wanted`: the truth of the leaf that would be good."""

    leaf: Expression
    wanted: bool
    evidence: tuple[Evidence, ...]
    margin: Margin | None = None


class Finding(Struct, frozen=True):
    """What the chart says about one criterion."""

    criterion: Criterion
    outcome: Outcome
    basis: Basis | None = None
    reason: Reason | None = None
    evidence: tuple[Evidence, ...] = ()
    margin: Margin | None = None
    still_open: tuple[Open, ...] = ()
    decided_by: tuple[Expression, ...] = ()  # the leaves that settled it
    near: bool = False  # not met, but within tolerance or resolving with time
    turns_on: date | None = None  # the day on which time alone changes a settled outcome, if it does
    stale_on: date | None = None  # the day on which a met result stops speaking for today
    attested: Attestation | None = None  # the answer that settled it, where its basis is ATTESTED
    failed: tuple[Failed, ...] = ()  # of an open one: the values that failed, to which others are alternatives
    # What was made of it (its JSON, its words), by anybody who made it, so that it is made once.
    kept: dict[object, Any] = msgspec.field(default_factory=dict)

    def of(self, criterion: Criterion) -> Finding:
        """The same about a criterion that asks the same, with another id, place or wording."""
        found = Finding(
            criterion,
            self.outcome,
            self.basis,
            self.reason,
            self.evidence,
            self.margin,
            self.still_open,
            self.decided_by,
            self.near,
            self.turns_on,
            self.stale_on,
            self.attested,
            self.failed,
        )
        found.kept[ALIKE] = self
        return found


ALIKE = "alike"  # under which a finding keeps the one that it was made from with `of`


@dataclass(frozen=True, slots=True)
class CohortMatch:
    cohort: Cohort
    verdict: Verdict
    findings: Sequence[Finding] = ()
    recheck_on: date | None = None
    _sorted: dict[Outcome, list[Finding]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, outcome: Outcome) -> Sequence[Finding]:
        """The findings with that outcome."""
        if not self._sorted:
            for finding in self.findings:
                self._sorted.setdefault(finding.outcome, []).append(finding)
        return self._sorted.get(outcome, ())


@dataclass(frozen=True, slots=True)
class TrialMatch:
    trial: Trial
    verdict: Verdict
    cohorts: tuple[CohortMatch, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """One chart, read at one moment, held against every trial."""

    patient: str  # "Patient/123"
    as_of: datetime
    concepts_hash: str
    sources: tuple[SourceReport, ...]
    trials: tuple[TrialMatch, ...]
    approachable: bool = True  # False: the chart declines research, or the record is no longer in use
    attestations: Attestations = field(default_factory=dict, hash=False)  # that it was made with
    unasked: frozenset[str] = frozenset()  # sources without which it would be the same
    sex: Sex | None = None  # of the patient, for what people read; criteria ask the chart


def sources_of(match: TrialMatch) -> Iterator[str]:
    """The records ("Observation/abc") behind the findings of a trial, with the inputs of calculated results."""
    for evidence in (e for cohort in match.cohorts for finding in cohort.findings for e in finding.evidence):
        yield evidence.source
        if isinstance(evidence, Result):
            yield from (piece.source for piece in evidence.inputs)
