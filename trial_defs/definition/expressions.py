"""What a criterion asks, compiled: concepts resolved, limits in canonical units, lengths of time parsed.

A closed union of frozen values. `compiler.py` makes them of a definition's words, `evaluation.py` gives them their
meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from mappings.facts import Polarity, Sex
from mappings.time.times import Period

Comparator = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit: compare the value with `number`, in `unit` as written and `canonical` in the concept's unit.

    `times` "ULN" or "LLN" makes the number a multiple of the result's own limit of normal, and `plus` adds an amount
    to it ("<= ULN + 4 s").
    """

    comparator: Comparator
    number: Decimal
    unit: str
    canonical: Decimal
    times: Literal["ULN", "LLN"] | None = None
    plus: Decimal = Decimal(0)
    plus_unit: str = field(default="", compare=False)  # of `plus`: the concept's


@dataclass(frozen=True, slots=True)
class Between:
    """A closed range, "45..70 %"."""

    low: Bound  # >=
    high: Bound  # <=


Test = Bound | Between | Polarity


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression


@dataclass(frozen=True, slots=True)
class AtLeast:
    """At least `count` of the parts hold."""

    count: int
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Age:
    """Completed years of age."""

    test: Bound | Between


@dataclass(frozen=True, slots=True)
class SexIs:
    sex: Sex


Side = Literal["before", "after", "around"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The event from which a window is counted, in place of today.

    `kind`: the result of these concepts that is in use, the onset of one of these diagnoses, or the start of a course
    of one of these treatments. `side`: where the window lies. Acts that the trial plans are no anchors: they are steps.
    """

    side: Side
    kind: Literal["result", "onset", "start"]
    concepts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A result of the concept passes the test.

    `within` is the text's own look-back; `current_for` how long a result speaks for today where the text gives none.
    `pick`: the newest result; or any result in the window. `runs` consecutive newest results must all pass, each at
    least `apart` from the next. `stable_for`: the value has not changed for that long. `anchor`: the result was taken
    at least `distance` after that, under a course that went on. `clear_of`: a result that was taken within `clear_for`
    after one of these treatments does not show that the limit is reached.
    """

    concept: str
    test: Test
    within: Period | None = None
    current_for: Period | None = None
    pick: Literal["latest", "any"] = "latest"
    runs: int = 1
    apart: Period | None = None
    stable_for: Period | None = None
    absent: Literal["ask", "presume"] = "ask"
    tolerance: Decimal | None = None  # canonical unit, absolute
    tolerance_percent: Decimal | None = None
    anchor: Anchor | None = None
    distance: Period | None = None
    clear_of: tuple[str, ...] = ()
    clear_for: Period | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The newest result against an earlier one inside `over`: percent of the earlier, or in the concept's unit."""

    concept: str
    test: Bound
    over: Period
    relative: bool
    current_for: Period | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A diagnosis is on record.

    `when`: active today; ever; or present at some time within `within`. `began_within`: its onset lies inside that
    period, of today or of the `anchor`. `lasting`: its onset lies at least that long back. Records of the `excepting`
    concepts do not count.
    """

    concept: str
    when: Literal["active", "ever", "within"]
    within: Period | None = None
    began_within: Period | None = None
    lasting: Period | None = None
    excepting: tuple[str, ...] = ()
    current_for: Period | None = None  # how long an observation that states presence or absence speaks for today
    absent: Literal["ask", "presume"] = "ask"
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Treatment:
    """Exposure to a drug or drug class (to any of several), a procedure, a vaccination, a trial.

    `when`: current today; ever; or at some time within `within`, of today or of the `anchor`. `lasting`: total
    exposure of at least that length. `different`: to at least that many different ingredients, each lasting that long.
    """

    concepts: tuple[str, ...]
    when: Literal["current", "ever", "within"]
    within: Period | None = None
    lasting: Period | None = None
    different: int = 1
    absent: Literal["ask", "presume"] = "ask"
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A question that only a person can answer; `evidence` names the concepts that help."""

    question: str
    by: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """A step that the patient takes, shown as something to do."""

    step: str


Expression = All | AnyOf | Not | AtLeast | Age | SexIs | Value | Change | Condition | Treatment | Judgement | Consent


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """The direct parts of a combination; none of a leaf."""
    match expression:
        case All() | AnyOf() | AtLeast():
            return expression.parts
        case Not():
            return (expression.part,)
        case _:
            return ()


def leaves_of(expression: Expression) -> Iterator[Expression]:
    """Every leaf, in the order of the text."""
    parts = parts_of(expression)
    if not parts:
        yield expression
    for part in parts:
        yield from leaves_of(part)


def concepts_of(expression: Expression) -> tuple[str, ...]:
    """Every concept that the expression names, once, in the order of the text."""
    match expression:
        case Value(anchor=None, clear_of=()) | Change():
            return (expression.concept,)
        case Condition(excepting=(), anchor=None):
            return (expression.concept,)
        case Value():
            found: Iterable[str] = (expression.concept, *expression.clear_of, *_anchored(expression))
        case Condition():
            found = (expression.concept, *expression.excepting, *_anchored(expression))
        case Treatment():
            found = (*expression.concepts, *_anchored(expression))
        case Age():
            return ("age",)
        case SexIs():
            return ("sex",)
        case Judgement():
            found = expression.evidence
        case _:
            found = (concept for part in parts_of(expression) for concept in concepts_of(part))
    return tuple(dict.fromkeys(found))


def _anchored(leaf: Value | Condition | Treatment) -> tuple[str, ...]:
    return leaf.anchor.concepts if leaf.anchor else ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A time counted from an act that the trial plans: at most `within`, or at least `at_least`, before or after it."""

    side: Literal["before", "after"]
    act: str  # "apheresis", "infusion", "enrolment"
    within: Period | None = None
    at_least: Period | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """The smallest requirement that the text states, with its place in the source and what is asked."""

    id: str
    kind: Literal["inclusion", "exclusion"]
    source: str
    text: str
    asks: Expression
    only_if: Expression | None = None
    reading: str | None = None  # the reading that was chosen where the text is damaged or ambiguous
    step: str | None = None  # the text's own timing of an act still to come
    concepts: tuple[str, ...] = ()  # every concept that is named, guards included
    shows: tuple[str, ...] = ()  # concepts shown beside the criterion to help a person judge
    planned: Planned | None = None  # the same timing as data, where the text gives a distance


Recruiting = Literal["recruiting", "not-yet-recruiting", "unknown", "closed"]


@dataclass(frozen=True, slots=True)
class Cohort:
    """One disease arm: its gate, and all its criteria, the common ones included, in the order of the text."""

    id: str
    title: str
    gate: Expression
    criteria: tuple[Criterion, ...]
    open: bool = True


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    city: str
    country: str
    status: Recruiting


@dataclass(frozen=True, slots=True)
class SignOff:
    by: str
    on: str


@dataclass(frozen=True, slots=True)
class Approval:
    """An ethics committee's approval of the texts for patients; a field that is not stated is empty."""

    reference: str
    version: str
    language: str  # BCP 47, of the texts
    date: str  # ISO


@dataclass(frozen=True, slots=True)
class PatientPage:
    """The texts for patients, as they were written; `patient_page.py` says whether they may be shown."""

    approval: Approval
    summary: str
    asks: tuple[str, ...]
    risks: tuple[str, ...] = ()
    questions_to_ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as served: version and hash name exactly this definition."""

    id: str
    version: int
    hash: str
    title: str
    short_title: str
    sponsor: str
    phase: str
    registry_url: str | None
    document: str
    read_on: str
    status: Recruiting
    overdue_after: str | None  # ISO date: the registry's own completion date; a status after it is overdue
    sites: tuple[Site, ...]
    signed_off: SignOff | None
    missing: tuple[str, ...]  # what the document does not say
    cohorts: tuple[Cohort, ...]
    patient_page: PatientPage | None = None
