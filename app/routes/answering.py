"""Answers to what only a person can judge, as the page of a row asks for them and lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from app.people import Person
from app.storage.attestations import Given
from app.storage.records import Shown
from app.wiring import Services
from app.worklist.records import Detail, Row
from app.worklist.recounting import Settled, settled_by_people
from cds_hooks.words.wording import attested_words, criterion_words
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition import expressions as x
from trial_defs.engine.attestation import Attestation, content_of, newest, usual_days

LONGEST_WORDS = 1000
CHANGED = "The definition has changed meanwhile; read the question again. The answer was not saved."
NOT_KNOWN = "not-known"  # what a person chooses who has asked and cannot say yet
LONGEST = timedelta(days=366)  # no answer holds longer without having been given again

State = Literal["holds", "over", "ended", "asks-otherwise"]
STATES: Mapping[State, str] = {
    "holds": "counts",
    "over": "its time is over",
    "ended": "taken back or replaced",
    "asks-otherwise": "counts no more: the definition asks something else now",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A criterion that a person may answer. `content` is what it asks now; `until` the usual last day of an answer."""

    id: str
    text: str
    is_exclusion: bool
    asked: str
    content: str
    until: date


@dataclass(frozen=True, slots=True)
class Listed:
    """An answer that was given."""

    given: Given
    text: str  # of its criterion, or its id where there is none of it any more
    is_exclusion: bool
    said: str
    state: State

    @property
    def state_words(self) -> str:
        return STATES[self.state]


@dataclass(frozen=True, slots=True)
class Answers:
    """What is still asked and what was answered; the first and the last day that an answer may hold until."""

    questions: Sequence[Question]
    listed: Sequence[Listed]
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Answering:
    """What somebody sent, shown again where it could not be kept."""

    criterion: str
    outcome: str
    words: str
    until: str


class NotAnAnswer(Exception):
    """What was sent cannot be kept; the message says what would be."""


def whose(row: Row) -> Shown:
    """The patient of a row, which must be readable."""
    assert row.patient_id is not None
    return Shown(row.ehr, row.tenant, row.patient_id, "")


def answers_of(detail: Detail, trial: x.Trial | None, given: Sequence[Given], services: Services) -> Answers:
    """The part of a row's page that is about answers. A trial that is not served asks nothing."""
    today = today_of(detail.row, services)
    catalogue = services.definitions.now.catalogue
    criteria = _criteria(trial) if trial else {}
    listed = [_listed(each, criteria.get(each.answer.criterion), catalogue, today) for each in given]
    settled = {each.given.answer.criterion for each in listed if each.state == "holds"}
    asked = [(name, said) for name, said in _asked(detail, trial) if name in criteria and name not in settled]
    questions = [_question(criteria[name], said, catalogue, today) for name, said in asked]
    return Answers(questions, listed, today, today + LONGEST)


def today_of(row: Row, services: Services) -> date:
    """The calendar day where the patient is."""
    ehr = next((each for each in services.ehrs if each.name == row.ehr), None)
    zone = services.zone_of(ehr) if ehr else services.settings.zone
    return services.clock().astimezone(zone).date()


def _criteria(trial: x.Trial) -> Mapping[str, x.Criterion]:
    return {criterion.id: criterion for cohort in trial.cohorts for criterion in cohort.criteria}


def _asked(detail: Detail, trial: x.Trial | None) -> Iterable[tuple[str, str]]:
    """What the last reading left to a person; where that is kept no longer, everything that is a person's to judge."""
    if detail.findings is not None:
        found: Iterable[Mapping[str, Any]] = (each for cohort in detail.findings for each in cohort["criteria"])
        return {each["id"]: each["explanation"] for each in found if each["outcome"] == "needs-human"}.items()
    cohorts = [cohort for cohort in trial.cohorts if cohort.id == detail.row.cohort] if trial else []
    return {c.id: _of_a_person(c) for cohort in cohorts for c in cohort.criteria if _of_a_person(c)}.items()


def _of_a_person(criterion: x.Criterion) -> str:
    leaves = x.leaves_of(criterion.asks)
    words = [leaf.question if isinstance(leaf, x.Judgement) else leaf.step for leaf in leaves
             if isinstance(leaf, x.Judgement | x.Consent)]  # fmt: skip
    return "; ".join(words)


def _question(criterion: x.Criterion, asked: str, catalogue: Catalogue, today: date) -> Question:
    until = today + timedelta(days=usual_days(criterion))
    is_exclusion = criterion.kind == "exclusion"
    return Question(criterion.id, criterion.text, is_exclusion, asked, content_of(criterion, catalogue), until)


def _listed(given: Given, criterion: x.Criterion | None, catalogue: Catalogue, today: date) -> Listed:
    answer = given.answer
    text, kind = (criterion.text, criterion.kind) if criterion else (answer.criterion, "inclusion")
    said, state = attested_words(answer, kind), _state(given, criterion, catalogue, today)
    return Listed(given, text, kind == "exclusion", said, state)


def _state(given: Given, criterion: x.Criterion | None, catalogue: Catalogue, today: date) -> State:
    if given.ended_at is not None:
        return "ended"
    if today > given.answer.until:
        return "over"
    return "holds" if criterion and given.answer.answers(criterion, catalogue) else "asks-otherwise"


def attestation(sent: Answering, content: str, row: Row, person: Person, services: Services) -> Attestation:
    """The answer that was sent; NotAnAnswer where it is not one. `content`: what the criterion asked on the page."""
    served, today = services.definitions.now, today_of(row, services)
    criterion = criterion_of(sent.criterion, row, services)
    if criterion is None or content_of(criterion, served.catalogue) != content:
        raise NotAnAnswer(CHANGED)
    if sent.outcome not in ("met", "not-met"):
        raise NotAnAnswer("Choose one of the three answers; the answer was not saved.")
    if problem := words_problem(sent.words):
        raise NotAnAnswer(problem)
    until = _day(sent.until)
    if until is None or not today <= until <= today + LONGEST:
        raise NotAnAnswer(f"The last day lies between {today} and {today + LONGEST}; the answer was not saved.")
    is_met, now = sent.outcome == "met", services.clock()
    return Attestation(row.trial, criterion.id, content, is_met, person.name, sent.words, now, today, until)


def words_problem(words: str) -> str | None:
    """Why a person's own words cannot be kept; None where they can."""
    if 0 < len(words) <= LONGEST_WORDS:
        return None
    return f"Say in 1 to {LONGEST_WORDS} characters what it rests on; the answer was not saved."


def criterion_of(name: str, row: Row, services: Services) -> x.Criterion | None:
    """A criterion of the trial of a row, as it is served; None where there is none of that id."""
    trial = services.definitions.now.trials.get(row.trial)
    return _criteria(trial).get(name) if trial else None


def history_words(criterion: x.Criterion, is_met: bool) -> str:
    """ "Ruled out: Severe allergic reaction", "Refractory lupus: met"."""
    outcome = "met" if is_met else "not-met"
    if criterion.kind == "exclusion":
        return criterion_words("exclusion", criterion.text, outcome, "attested")
    return f"{criterion.text}: {'met' if is_met else 'not met'}"


def settled_with(row: Row, given: Iterable[Attestation], services: Services) -> Settled:
    """The criteria of a row's trial that these answers decide now."""
    served = services.definitions.now
    answers, now = newest(given), services.clock()
    return settled_by_people(served.trials.get(row.trial), answers, served.catalogue, now, today_of(row, services))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
