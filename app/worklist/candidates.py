"""What one reading of a chart says to the worklist: for which trials its patient is a candidate, and is no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import msgspec

from cds_hooks.cards.dismissals import what_it_said
from cds_hooks.report import trial_entry
from cds_hooks.words.wording import Titles
from mappings.facts import Person
from trial_defs.engine.findings import CohortMatch, Match, Outcome, TrialMatch, Verdict

Json = dict[str, Any]

MOST_TRIALS = 200  # of one patient; nobody talks about more
_NOT_SETTLED = frozenset({Outcome.NOT_MET.value, Outcome.UNKNOWN.value, Outcome.NEEDS_HUMAN.value})


class Left(StrEnum):
    """Why a row is no longer on the list."""

    NOT_ELIGIBLE = "not-eligible"
    NOT_INDICATED = "not-indicated"
    CLOSED = "closed"
    RULED_OUT = "ruled-out"  # by a person's answer; the chart alone would still list the row
    # These are shown in no list and no export.
    WITHHELD = "withheld"  # records with a restricted label keep it back
    NOT_APPROACHABLE = "not-approachable"
    NOT_IN_SCREEN = "not-in-screen"  # gone from the export, or no longer ill, or not to be approached: it does not say


HIDDEN = (Left.WITHHELD, Left.NOT_APPROACHABLE, Left.NOT_IN_SCREEN)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a row says of one trial. `findings` is the JSON of what is not settled, cohort by cohort."""

    trial: str
    verdict: Verdict
    cohort: str
    not_met: int
    unknown: int
    needs_human: int
    recheck_on: date | None
    definition_version: int
    definition_hash: str
    said: str
    findings: bytes

    @property
    def rank(self) -> int:
        return self.verdict.rank


class KnownPerson(msgspec.Struct, frozen=True):
    """What a row says of its patient: the days between which they were born, and their sex, where it is known."""

    born_from: date | None = None
    born_to: date | None = None
    sex: str | None = None


NOT_KNOWN = KnownPerson()


def known_person(person: Person) -> KnownPerson:
    born = person.born or (None, None)
    return KnownPerson(born[0], born[1], person.sex)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a chart says at one moment. A trial that stands nowhere here leaves for the reason `rest`, if any."""

    candidates: Sequence[Candidate] = ()
    gone: Mapping[str, Left] = field(default_factory=dict)  # trial -> why
    unclear: Iterable[str] = ()  # trials of which this reading says nothing new
    rest: Left | None = None
    # Whether it was read that nothing says not to approach the patient; else it does not undo that something said so.
    knows_refusals: bool = True
    person: KnownPerson = NOT_KNOWN

    def left(self) -> Callable[[str], str | None]:
        """Of a trial: why it leaves, "" for a candidate, None where this reading says nothing new."""
        known: dict[str, str | None] = {
            **dict.fromkeys(self.unclear),
            **self.gone,
            **dict.fromkeys((each.trial for each in self.candidates), ""),
        }
        return lambda trial: known.get(trial, self.rest)

    @property
    def says_nothing(self) -> bool:
        return not self.candidates and not self.gone and self.rest is None


NOT_TO_BE_APPROACHED = Reading(rest=Left.NOT_APPROACHABLE)


def reading_of(
    found: Match,
    withheld: Iterable[str],
    titles: Titles,
    *,
    knows_refusals: bool = True,
    person: KnownPerson = NOT_KNOWN,
) -> Reading:
    """A match as the worklist takes it; `withheld` are the trials that restricted records keep back."""
    if not found.approachable:
        return NOT_TO_BE_APPROACHED
    gone = dict.fromkeys(withheld, Left.WITHHELD)
    worth: list[TrialMatch] = []
    unclear: list[str] = []
    for trial in found.trials:
        if trial.verdict.is_candidate:
            worth.append(trial)
        elif trial.verdict is Verdict.COULD_NOT_EVALUATE:
            unclear.append(trial.trial.id)
        elif trial.verdict is not Verdict.NOT_INDICATED:
            gone[trial.trial.id] = Left(trial.verdict.value)
    worth.sort(key=lambda trial: (trial.verdict.rank, trial.trial.id))
    kept, more = worth[:MOST_TRIALS], worth[MOST_TRIALS:]
    return Reading(
        [_candidate(trial, titles, found.concepts_hash) for trial in kept],
        gone,
        [*unclear, *(trial.trial.id for trial in more)],
        # With conditions that were not read, nothing is known of the trials that are not named.
        None if unclear else Left.NOT_INDICATED,
        knows_refusals,
        person,
    )


def _candidate(found: TrialMatch, titles: Titles, concepts_hash: str) -> Candidate:
    best = min((cohort for cohort in found.cohorts if cohort.verdict is found.verdict), key=_left)
    not_met, unknown, needs_human = _left(best)
    return Candidate(
        trial=found.trial.id,
        verdict=found.verdict,
        cohort=best.cohort.id,
        not_met=not_met,
        unknown=unknown,
        needs_human=needs_human,
        recheck_on=best.recheck_on,
        definition_version=found.trial.version,
        definition_hash=found.trial.hash,
        said=what_it_said(found, concepts_hash),
        findings=msgspec.json.encode(_not_settled(trial_entry(found, titles, indicated_only=True)["cohorts"])),
    )


def _left(cohort: CohortMatch) -> tuple[int, int, int]:
    """What is not met, unknown, and for a person to judge."""
    return len(cohort.of(Outcome.NOT_MET)), len(cohort.of(Outcome.UNKNOWN)), len(cohort.of(Outcome.NEEDS_HUMAN))


def _not_settled(cohorts: Iterable[Json]) -> list[Json]:
    """The cohorts with what a coordinator has to see to; what is met is in the explanation."""
    names = ("id", "outcome", "text", "explanation")
    return [
        {
            "cohort": cohort["cohort"],
            "verdict": cohort["verdict"],
            "recheckOn": cohort["recheckOn"],
            "criteria": [
                {name: each[name] for name in names} for each in cohort["criteria"] if each["outcome"] in _NOT_SETTLED
            ],
        }
        for cohort in cohorts
    ]
