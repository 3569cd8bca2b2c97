"""Findings that rest on no record are worked out once; whoever reads the answer must not be able to tell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

import msgspec
import pytest

from cds_hooks.cards.trial_cards import cards_for
from cds_hooks.report import report_of
from mappings.chart.chart import Chart
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import facts_of
from tests.case_files import Case, all_cases
from tests.support.silence import chart_of, charts
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Match, Outcome
from trial_defs.engine.silence import Silences


@dataclass
class Answering:
    """Answers one chart after the other, plainly or with what is silent kept from chart to chart."""

    trials: tuple[Trial, ...]
    catalogue: Catalogue
    silences: Silences | None = None

    def match(self, chart: Chart, today: date) -> Match:
        return match(self.trials, chart, self.catalogue, datetime.combine(today, time(), UTC), UTC, self.silences)

    def answer(self, chart: Chart, today: date) -> bytes:
        """Everything that leaves the service: cards, and the report, which is made after them as in a call."""
        found, numbers = self.match(chart, today), itertools.count()
        cards = cards_for(found, self.catalogue, new_uuid=lambda: str(next(numbers)), most=5)
        report = report_of(found, "report", self.catalogue)
        return msgspec.json.encode([[card.body for card in cards], report])


@pytest.fixture(scope="module")
def plain(trials: Mapping[str, Trial], catalogue: Catalogue) -> Answering:
    return Answering(tuple(trials.values()), catalogue)


def test_every_answer_is_the_same_to_the_byte(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    silences = Silences()
    for trial, chart, today in charts(catalogue):
        keeping = Answering((trials[trial],), catalogue, silences)
        assert keeping.answer(chart, today) == replace(keeping, silences=None).answer(chart, today)


def test_so_are_those_for_all_trials_at_once(plain: Answering) -> None:
    keeping = replace(plain, silences=Silences())
    for _, chart, today in itertools.islice(charts(plain.catalogue), 0, None, 5):
        assert keeping.answer(chart, today) == plain.answer(chart, today)


def test_what_is_silent_in_two_charts_is_worked_out_once(plain: Answering) -> None:
    keeping = Answering(plain.trials, plain.catalogue, Silences())
    case = all_cases()[0]
    first, again = (keeping.match(chart_of(case, plain.catalogue), case.as_of) for _ in range(2))
    pairs = [
        pair
        for one, two in zip(first.trials, again.trials, strict=True)
        for cohort, other in zip(one.cohorts, two.cohorts, strict=True)
        for pair in zip(cohort.findings, other.findings, strict=True)
    ]
    same = [one for one, two in pairs if one is two]
    assert len(same) > len(pairs) / 4
    assert not any(finding.evidence for finding in same), "a patient's records were kept for the next one"


def test_a_source_that_was_not_read_speaks_for_itself(plain: Answering) -> None:
    """What was presumed absent of one patient is not presumed of the next, whose drugs could not be read."""
    keeping = Answering(plain.trials, plain.catalogue, Silences())
    case = all_cases()[0]
    keeping.match(chart_of(case, plain.catalogue), case.as_of)
    unread = keeping.match(chart_of(case, plain.catalogue, ("MedicationRequest",)), case.as_of)
    unknown = [
        f for t in unread.trials for c in t.cohorts for f in c.findings if f.outcome is Outcome.UNKNOWN and f.reason
    ]
    assert any(finding.reason == "not-readable" for finding in unknown)


def test_a_record_of_the_next_patient_breaks_the_silence(plain: Answering) -> None:
    case = all_cases()[0]
    silent = chart_of(case, plain.catalogue)
    names = {name for trial in plain.trials for cohort in trial.cohorts for c in cohort.criteria for name in c.concepts}
    moment = datetime.combine(case.as_of, time(), UTC)
    facts = facts_of(silent, plain.catalogue, moment, UTC)
    diagnoses = sorted(
        name for name in names
        if name in plain.catalogue.concepts
        and plain.catalogue.concepts[name].kind == "diagnosis" and not facts.says_something_of(name)
    )  # fmt: skip
    keeping = Answering(plain.trials, plain.catalogue, Silences())
    keeping.match(silent, case.as_of)
    for name in diagnoses[:12]:
        chart = {**case.chart, "conditions": {**case.chart["conditions"], name: None}}
        told = chart_of(Case(**{**vars(case), "chart": chart}), plain.catalogue)
        assert keeping.answer(told, case.as_of) == plain.answer(told, case.as_of)
    assert diagnoses
