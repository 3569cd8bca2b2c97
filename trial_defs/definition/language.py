"""The definition language: the words that a study coordinator writes, checked in form (`compiler.py`: in sense).

Every expression is a mapping with exactly one verb, so that it reads aloud. Unknown keys are refused; every problem is
reported with file, path and what would be accepted. `README.md` beside this file shows each verb by example.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from mappings.concepts.catalogue import PeriodText
from mappings.facts import Sex
from mappings.time.times import parse_period
from trial_defs.definition import expressions as x
from trial_defs.definition.patient_page import PatientPageWords

_NUMBER = r"-?\d+(?:\.\d+)?"
BOUND = re.compile(rf"^(<=|>=|<|>) ({_NUMBER}) (\S+)$", re.ASCII)
TIMES_NORMAL = re.compile(rf"^(<=|>=|<|>)(?: ({_NUMBER}))? (ULN|LLN)(?: \+ ({_NUMBER}) (\S+))?$", re.ASCII)
BETWEEN = re.compile(rf"^({_NUMBER})\.\.({_NUMBER}) (\S+)$", re.ASCII)
TOLERANCE = re.compile(rf"^({_NUMBER}) (\S+)$", re.ASCII)
LIMIT_FORMS = '">= 25 10*9/L", "45..70 %", "<= 3 ULN", "< LLN", "<= ULN + 4 s" or "positive"'


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _limit(text: str) -> str:
    if text in ("positive", "negative") or any(form.match(text) for form in (BOUND, TIMES_NORMAL, BETWEEN)):
        return text
    raise ValueError(f"is not a limit; write it like {LIMIT_FORMS}")


class AgeWords(_Words):
    is_: str = Field(alias="is")
    _check = field_validator("is_")(_limit)


ANCHOR_FORMS = '"{result: hemoglobin}", "{onset: dermatomyositis}" or "{start: [methotrexate, leflunomide]}"'
Names = str | tuple[str, ...]


class AnchorWords(_Words):
    """The event from which a window is counted: exactly one of the three."""

    result: Names | None = None  # the result that is in use: the newest, while it is current
    onset: Names | None = None
    start: Names | None = None

    @model_validator(mode="after")
    def _one_event(self) -> AnchorWords:
        if sum(each is not None for each in (self.result, self.onset, self.start)) != 1:
            raise ValueError(f"names exactly one event: {ANCHOR_FORMS}")
        return self


class _Anchored(_Words):
    before: AnchorWords | None = None
    after: AnchorWords | None = None
    around: AnchorWords | None = None

    @property
    def anchor(self) -> tuple[x.Side, AnchorWords] | None:
        """The side on which the window lies, and the event."""
        sides: tuple[tuple[x.Side, AnchorWords | None], ...]
        sides = (("before", self.before), ("after", self.after), ("around", self.around))
        return next(((side, words) for side, words in sides if words), None)

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if sum(each is not None for each in (self.before, self.after, self.around)) > 1:
            raise ValueError("has one of before, after and around")
        return self


class ClearWords(_Words):
    of: Names
    for_: PeriodText = Field(alias="for")


class ValueWords(_Anchored):
    of: str
    is_: str = Field(alias="is")
    within: PeriodText | None = None
    pick: Literal["latest", "any"] = "latest"
    runs: int = Field(default=1, ge=1, le=9)
    apart: PeriodText | None = None
    stable_for: PeriodText | None = None
    absent: Literal["ask", "presume"] = "ask"
    at_least: PeriodText | None = None  # how long after the anchor the result was taken
    clear_of: ClearWords | None = None
    _check = field_validator("is_")(_limit)


class ChangeWords(_Words):
    of: str
    is_: str = Field(alias="is")
    over: PeriodText
    _check = field_validator("is_")(_limit)


WHEN = re.compile(r"^within (.+)$")


def _when(text: str) -> str:
    if match := WHEN.match(text):
        parse_period(match[1])
    elif text not in ("active", "current", "ever"):
        raise ValueError('is one of "active" (conditions), "current" (treatments), "ever", "within 6 mo"')
    return text


class ConditionWords(_Anchored):
    is_: str = Field(alias="is")
    when: str = "active"
    began_within: PeriodText | None = None
    lasting: PeriodText | None = None
    excepting: tuple[str, ...] = ()
    absent: Literal["ask", "presume"] = "ask"
    _check = field_validator("when")(_when)


class TreatmentWords(_Anchored):
    of: str | tuple[str, ...]
    when: str
    lasting: PeriodText | None = None
    different: int = Field(default=1, ge=1, le=9)
    absent: Literal["ask", "presume"] = "ask"
    _check = field_validator("when")(_when)


class JudgementWords(_Words):
    ask: str
    by: str = "investigator"
    evidence: tuple[str, ...] = ()


class AtLeastWords(_Words):
    n: int = Field(ge=1)
    of: tuple[Words, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _enough(self) -> AtLeastWords:
        if self.n > len(self.of):
            raise ValueError(f"asks for {self.n} of {len(self.of)}")
        return self


class AllVerb(_Words):
    all: tuple[Words, ...] = Field(min_length=1)


class AnyVerb(_Words):
    any: tuple[Words, ...] = Field(min_length=1)


class NotVerb(_Words):
    not_: Words = Field(alias="not")


class AtLeastVerb(_Words):
    at_least: AtLeastWords


class AgeVerb(_Words):
    age: AgeWords


class SexVerb(_Words):
    sex: Sex


class ValueVerb(_Words):
    value: ValueWords


class ChangeVerb(_Words):
    change: ChangeWords


class ConditionVerb(_Words):
    condition: ConditionWords


class TreatmentVerb(_Words):
    treatment: TreatmentWords


class JudgementVerb(_Words):
    judgement: JudgementWords


class ConsentVerb(_Words):
    consent: str = Field(min_length=1)


VERBS = (
    "all",
    "any",
    "not",
    "at_least",
    "age",
    "sex",
    "value",
    "change",
    "condition",
    "treatment",
    "judgement",
    "consent",
)


def _verb(raw: object) -> str | None:
    """The verb of an expression; a mapping with none or with several is refused with the list of verbs."""
    if isinstance(raw, dict) and len(raw) == 1:
        key = str(next(iter(raw)))
        return key if key in VERBS else None
    if isinstance(raw, BaseModel):
        return next(iter(type(raw).model_fields)).rstrip("_")
    return None


Words = Annotated[
    Annotated[AllVerb, Tag("all")]
    | Annotated[AnyVerb, Tag("any")]
    | Annotated[NotVerb, Tag("not")]
    | Annotated[AtLeastVerb, Tag("at_least")]
    | Annotated[AgeVerb, Tag("age")]
    | Annotated[SexVerb, Tag("sex")]
    | Annotated[ValueVerb, Tag("value")]
    | Annotated[ChangeVerb, Tag("change")]
    | Annotated[ConditionVerb, Tag("condition")]
    | Annotated[TreatmentVerb, Tag("treatment")]
    | Annotated[JudgementVerb, Tag("judgement")]
    | Annotated[ConsentVerb, Tag("consent")],
    Discriminator(
        _verb,
        custom_error_type="verb",
        custom_error_message="is a mapping with exactly one verb: " + ", ".join(VERBS),
    ),
]

for _model in (AtLeastWords, AllVerb, AnyVerb, NotVerb, AtLeastVerb):
    _model.model_rebuild()


class DraftedWords(_Words):
    """Where an imported criterion was read; the reviewer's, not the engine's."""

    span: str = Field(pattern=r"^\d+\.\.\d+$")  # characters of the document's eligibility text, the end excluded
    confidence: Literal["high", "medium", "low"] | None = None  # of drafts by earlier releases; nothing reads it
    words: str  # the document's own words at that span
    sentence: str | None = None  # the whole sentence, where it says more
    under: tuple[str, ...] = ()  # the lines of the document under which it stands


class StepWords(_Words):
    """A timing that counts from an act the trial plans: in words, and as data."""

    text: str = Field(min_length=1)
    within: PeriodText | None = None
    at_least: PeriodText | None = None
    before: str | None = Field(default=None, min_length=1)  # the act: apheresis, infusion, enrolment
    after: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_distance(self) -> StepWords:
        if (self.within is None) == (self.at_least is None):
            raise ValueError("has exactly one distance, within or at_least")
        if (self.before is None) == (self.after is None):
            raise ValueError("has exactly one act, before or after which it is counted")
        return self


class CriterionWords(_Words):
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")
    source: str = Field(min_length=1)
    text: str = Field(min_length=1)
    include: Words | None = None
    exclude: Words | None = None
    only_if: Words | None = None
    reading: str | None = None
    step: str | StepWords | None = None
    near: str | None = None
    evidence: tuple[str, ...] = ()
    drafted: DraftedWords | None = None
    question: str | None = None  # what a reviewer has to answer before the definition can be signed

    @model_validator(mode="after")
    def _one_side(self) -> CriterionWords:
        if (self.include is None) == (self.exclude is None):
            raise ValueError("has exactly one of include and exclude")
        return self


class SiteWords(_Words):
    name: str
    city: str
    country: str
    status: x.Recruiting = "unknown"


class RecruitingWords(_Words):
    status: x.Recruiting
    overdue_after: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    sites: tuple[SiteWords, ...] = ()


class SignOffWords(_Words):
    by: str
    on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")


class SourceWords(_Words):
    document: str  # file name or address of the text that was read
    read_on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    registry_url: str | None = Field(default=None, pattern=r"^https://")
    compared: str | None = None  # file name of the newer text that a refresh has compared
    imported: bool = False  # drafted by the importer: not served before a person has signed it


class CohortWords(_Words):
    title: str
    gate: Words
    question: str | None = None  # what a reviewer has to answer about the gate before the definition can be signed
    open: bool = True
    criteria: tuple[CriterionWords, ...] = ()  # stand between the common criteria `before` and `after`
    closing: tuple[CriterionWords, ...] = ()  # stand after the common criteria `after`
    without: tuple[str, ...] = ()  # common criteria that this cohort replaces with its own


class TrialWords(_Words):
    """A whole definition file."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")
    version: int = Field(ge=1)
    title: str = Field(min_length=1)
    short_title: str = Field(min_length=1, max_length=60)
    sponsor: str = "not stated"
    phase: str = "not stated"
    source: SourceWords
    recruiting: RecruitingWords
    signed_off: SignOffWords | None = None
    missing: tuple[str, ...] = ()
    before: tuple[CriterionWords, ...] = ()  # common criteria that the text states before the cohort's own
    after: tuple[CriterionWords, ...] = ()  # common criteria that the text states after them
    cohorts: dict[str, CohortWords] = Field(min_length=1)
    patient_page: PatientPageWords | None = None

    @property
    def is_draft(self) -> bool:
        """Imported, and signed by nobody: read and checked, but not served."""
        return self.source.imported and self.signed_off is None

    @property
    def questions(self) -> tuple[str, ...]:
        """The criteria, by id, and the gates that still ask something of a reviewer."""
        own = (c for cohort in self.cohorts.values() for c in (*cohort.criteria, *cohort.closing))
        asking = (c.id for c in (*self.before, *own, *self.after) if c.question)
        gates = (f"the gate of cohort {name}" for name, cohort in self.cohorts.items() if cohort.question)
        return tuple(dict.fromkeys((*asking, *gates)))

    @model_validator(mode="after")
    def _answered(self) -> TrialWords:
        if self.signed_off and self.questions:
            raise ValueError(f"is signed, but these still have a question: {', '.join(self.questions)}")
        placeholders = [name for name, cohort in self.cohorts.items() if isinstance(cohort.gate, JudgementVerb)]
        if self.signed_off and self.source.imported and placeholders:
            raise ValueError(
                f"is signed, but the gate of cohort {', '.join(placeholders)} is a question, which lets every patient "
                "in; name the disease that opens it"
            )
        return self
