"""The vocabulary of clinical facts: what a chart can say, with unit, date and source.

`Result` is one value of one concept, `Episode` is anything that lasted or happened (a diagnosis, a drug, a procedure, a
vaccination, a trial), `Person` is the patient. All are frozen; those made by the hundred for each chart are structs,
which cost a tenth of a frozen dataclass; numbers are `Decimal`; `None` means "the chart does not
say", and only that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from mappings.time.times import Moment


class Reason(StrEnum):
    """Why something is unknown."""

    MISSING = "missing"
    STALE = "stale"
    NO_REFERENCE_RANGE = "no-reference-range"
    UNIT_UNCONVERTIBLE = "unit-unconvertible"
    IMPLAUSIBLE = "implausible"
    CONFLICTING = "conflicting"
    NOT_FINAL = "not-final"
    NOT_READABLE = "not-readable"
    NOT_UNDERSTOOD = "not-understood"
    IMPRECISE = "imprecise"
    REASON_UNRECORDED = "reason-unrecorded"


class Polarity(StrEnum):
    """What a qualitative result says."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"


Sex = Literal["female", "male"]


class Interval(Struct, frozen=True, gc=False):
    """The numbers a value may be. `None` is unbounded; an open end excludes its number. Exact: low == high, closed."""

    low: Decimal | None
    high: Decimal | None
    low_open: bool = False
    high_open: bool = False

    @staticmethod
    def exactly(value: Decimal) -> Interval:
        return Interval(value, value)

    @property
    def exact(self) -> Decimal | None:
        return self.low if self.low is not None and self.low == self.high else None


class Range(Struct, frozen=True, gc=False):
    """The limits of normal that apply to one result, in the result's unit; one-sided where a side is None."""

    low: Decimal | None
    high: Decimal | None
    origin: Literal["own", "site"]  # the result's own referenceRange, or a default that the site configured


class Result(Struct, frozen=True, gc=False, cache_hash=True):
    """One value of one concept.

    `value` and `range` are in `unit`, the concept's canonical UCUM unit; `recorded` is value and unit as the chart has
    them. `problem` says why the value cannot be used; then `value` and `polarity` may be None. A derived result names
    its formula and its inputs. A coded or textual result has `polarity`, an ordinal one (NYHA II) a number.
    """

    concept: str
    source: str  # "Observation/abc"
    taken: Moment | None
    value: Interval | None
    unit: str
    recorded: str
    polarity: Polarity | None = None
    range: Range | None = None
    problem: Reason | None = None
    formula: str | None = None
    inputs: tuple[Result, ...] = ()
    note: str | None = None  # what a reader must know: "method not stated", "which input is missing"
    only_named: bool = False  # no code that we know, but the record's text names the concept; it decides nothing


EpisodeKind = Literal["diagnosis", "drug", "procedure", "immunization", "participation", "allergy"]


class Certainty(StrEnum):
    """How far an entry may be believed. Only CONFIRMED decides; the others ask a person."""

    CONFIRMED = "confirmed"
    PROVISIONAL = "provisional"  # verificationStatus provisional, differential or unconfirmed
    TEXT_ONLY = "text-only"  # no code that we know, but the entry's text names it
    PLANNED = "planned"  # a drug that was planned, proposed or offered; whether it was taken is not recorded
    IN_REMISSION = "in-remission"  # a disease of which a person says whether it counts while it is quiet


class Dose(Struct, frozen=True, gc=False):
    """A daily dose in mg/d, as far as the dosage instruction says; `low`..`high` where it leaves a range open."""

    low: Decimal | None
    high: Decimal | None
    as_needed: bool = False
    text: str = ""
    note: str | None = None  # why it is open


class DoseStep(Struct, frozen=True, gc=False):
    """A step of a taper: from the first day on which it may apply to the last (None: open)."""

    first: date | None
    last: date | None
    dose: Dose | None

    def may_apply(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


class Episode(Struct, frozen=True, gc=False, cache_hash=True):
    """Something that lasted or happened: diagnosis, drug exposure, procedure, vaccination, participation in a trial.

    `start` and `end` are None where the chart does not say. `ongoing` is True (active), False (over), or None (the
    chart does not say). For a diagnosis `start` is its onset; `recorded` is when it was written down, which bounds the
    onset from above. `member` is the most specific concept or ingredient that was found: "prednisone" under
    `glucocorticoid`.
    """

    concept: str
    source: str  # "Condition/abc"
    kind: EpisodeKind
    label: str  # the entry's own words; text from the chart, to be escaped wherever it is shown
    start: Moment | None = None
    end: Moment | None = None
    ongoing: bool | None = None
    remission: bool = False  # clinicalStatus inactive or remission: the disease is on record, but quiet
    certainty: Certainty = Certainty.CONFIRMED
    member: str | None = None
    dose: Dose | None = None
    recorded: Moment | None = None
    ended_because: Literal["ineffective", "intolerance", "other"] | None = None
    has_status: bool = True  # a diagnosis without a clinical status is read as going on
    is_old_order: bool = False  # of an infusion, still open after so long that it does not say when the last was given
    was_over: bool = False  # it was over when it was written down: "history of"
    resource_type: str = ""  # of a drug: whether it was ordered, stated or given. A source need not name its type
    steps: tuple[DoseStep, ...] = ()  # of a taper; `dose` is then that of the day of reading
    regimen: int | None = None  # alike for orders and statements that give the same instructions
    replaces: tuple[str, ...] = ()  # logical ids of the orders that this one replaces
    instance_of: tuple[str, ...] = ()  # logical ids of the orders of which this one is an instance
    forms: tuple[str, ...] = ()  # the salts or forms of the drug that the record names
    contradiction: str | None = None  # how the record contradicts itself; what it contradicts is left open

    @property
    def id(self) -> str:
        """The logical id of its record, which ends its source."""
        return id_in(self.source)

    def dose_on(self, day: date) -> Dose | None:
        """The dose of a day on which the drug is taken: a range where more than one step may apply."""
        return range_of(self.steps, day) if self.steps else self.dose


def id_in(reference: str) -> str:
    """The logical id in a reference, an address or a `urn:uuid:`, without its version."""
    return reference.partition("/_history/")[0].rpartition("/")[2].rpartition(":")[2]


def range_of(steps: Iterable[DoseStep], day: date | None = None) -> Dose:
    """What the steps that may apply on that day leave open (None: all of them); nothing between two of them."""
    doses = [step.dose or Dose(None, None) for step in steps if day is None or step.may_apply(day)]
    if len(doses) < 2:
        return doses[0] if doses else Dose(Decimal(0), Decimal(0))
    lows, highs = [dose.low for dose in doses], [dose.high for dose in doses]
    low = min((low for low in lows if low is not None), default=None) if None not in lows else None
    high = max((high for high in highs if high is not None), default=None) if None not in highs else None
    note = next((dose.note for dose in doses if dose.note), None)
    as_needed = any(dose.as_needed for dose in doses)
    text = "; ".join(dict.fromkeys(dose.text for dose in doses if dose.text))
    return Dose(low, high, as_needed, text, note if low == high else note or "which step of a taper applies is open")


@dataclass(frozen=True, slots=True)
class Person:
    """The patient. `born` is the range of days of birth; `sex` is administrative gender where it is female or male."""

    reference: str  # "Patient/123"
    born: tuple[date, date] | None
    sex: Sex | None
    deceased: bool
    active: bool


SourceState = Literal["complete", "incomplete", "failed", "not-requested"]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What was read of one resource type: how complete, how many entries, how many left out and why."""

    resource_type: str
    state: SourceState
    count: int
    excluded: tuple[tuple[str, int], ...] = ()
    unreadable: tuple[str, ...] = ()  # where: "Observation/abc", or "entry 12" where it has no id; never content
    not_understood: tuple[tuple[str | None, int], ...] = ()  # code system and number of records; None: no code
