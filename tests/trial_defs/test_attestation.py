"""What a person has answered counts where data decide nothing, for its time, and for the criterion that was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cds_hooks.cards.trial_cards import cards_for
from cds_hooks.report import report_of
from cds_hooks.words.wording import explanation, titles_of
from mappings.chart.chart import Chart, ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests import small_trial
from tests.mappings.charts import a_bundle, a_condition, a_patient, an_observation, quantity
from trial_defs.definition import expressions as x
from trial_defs.engine.attestation import Attestation, content_of, newest
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Basis, CohortMatch, Finding, Match, Outcome, Verdict
from trial_defs.engine.silence import Silences

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
Json = dict[str, Any]
JUDGED: Json = {"judgement": {"ask": "Is the disease refractory?", "evidence": ["platelets"]}}
PLATELETS: Json = {"value": {"of": "platelets", "is": ">= 50 10*9/L"}}


def a_trial(catalogue: Catalogue, asks: Json = JUDGED, **more: Any) -> x.Trial:
    """A trial in lupus with one criterion more."""
    asked = {"id": "I2", "source": "Inclusion 2", "text": "Refractory"} | ({"include": asks} | more)
    disease = {"id": "I1", "source": "Inclusion 1", "text": "Lupus", "include": small_trial.LUPUS}
    return small_trial.a_trial(catalogue, disease, asked)


def a_chart(*resources: Json) -> Chart:
    builder = ChartBuilder(None)
    builder.add(json.dumps(a_bundle(a_patient(), a_condition(), *resources)).encode(), None)
    builder.whole_chart()
    return builder.build()


def platelets(value: float, taken: str) -> Json:
    return an_observation(value={"valueQuantity": quantity(value, "10*9/L")}, effectiveDateTime=taken)


@dataclass(frozen=True)
class Asked:
    """The trial, its chart, and what was answered."""

    catalogue: Catalogue

    def match(
        self, trial: x.Trial, chart: Chart, *answers: Attestation, as_of: datetime = NOON, zone: str = "UTC"
    ) -> Match:
        return match([trial], chart, self.catalogue, as_of, ZoneInfo(zone), None, newest(answers))

    def finding(self, trial: x.Trial, chart: Chart, *answers: Attestation, **more: Any) -> Finding:
        return self.cohort(trial, chart, *answers, **more).findings[-1]

    def cohort(self, trial: x.Trial, chart: Chart, *answers: Attestation, **more: Any) -> CohortMatch:
        return self.match(trial, chart, *answers, **more).trials[0].cohorts[0]

    def answer(self, trial: x.Trial, **more: Any) -> Attestation:
        """A yes to the last criterion, for ninety days."""
        criterion = trial.cohorts[0].criteria[-1]
        given: Json = {"is_met": True, "by": "N. N.", "words": "Three drugs failed", "at": NOON, "on": NOON.date()}
        given |= {"until": date(2027, 1, 30), "asked": content_of(criterion, self.catalogue)}
        return Attestation(trial=trial.id, criterion=criterion.id, **(given | more))


@pytest.fixture
def asked(catalogue: Catalogue) -> Asked:
    return Asked(catalogue)


def test_a_criterion_that_was_confirmed_is_met_and_says_by_whom_and_until_when(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)
    found = asked.match(trial, a_chart(), asked.answer(trial))
    said = report_of(found, "r", asked.catalogue)["trials"][0]["cohorts"][0]
    assert (said["verdict"], said["counts"]["met"], said["counts"]["needsHuman"]) == ("likely-eligible", 2, 0)
    criterion = said["criteria"][1]
    assert (criterion["outcome"], criterion["basis"]) == ("met", "attested")
    assert criterion["explanation"] == "Confirmed by N. N. on 2026-11-01, holds until 2027-01-30"


def test_a_criterion_that_a_person_calls_not_met_closes_the_cohort(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)
    found = asked.match(trial, a_chart(), asked.answer(trial, is_met=False))
    assert found.trials[0].verdict is Verdict.NOT_ELIGIBLE
    said = report_of(found, "r", asked.catalogue)["trials"][0]["cohorts"][0]["criteria"][1]
    assert (said["outcome"], said["basis"]) == ("not-met", "attested")
    assert said["explanation"] == "Not met according to N. N. on 2026-11-01, holds until 2027-01-30"


@pytest.mark.parametrize(
    ("is_met", "outcome", "words"),
    [(True, Outcome.MET, "Ruled out by N. N."), (False, Outcome.NOT_MET, "Present according to N. N.")],
)
def test_an_answer_to_an_exclusion_is_said_from_the_side_of_enrolment_and_worded_from_that_of_the_text(
    asked: Asked, is_met: bool, outcome: Outcome, words: str
) -> None:
    trial = a_trial(asked.catalogue, include=None, exclude=JUDGED)
    found = asked.finding(trial, a_chart(), asked.answer(trial, is_met=is_met))
    assert found.outcome is outcome
    assert explanation(found, titles_of(asked.catalogue)).startswith(f"{words} on 2026-11-01")


def test_what_data_decide_or_lack_is_not_a_persons_to_answer(asked: Asked) -> None:
    trial = a_trial(asked.catalogue, {"all": [PLATELETS, JUDGED]})
    answers = [asked.answer(trial, is_met=truth) for truth in (True, False)]
    low, enough = (a_chart(platelets(value, "2026-10-20")) for value in (20, 200))
    for answer in answers:
        assert asked.finding(trial, low, answer) == asked.finding(trial, low)
        assert asked.finding(trial, low, answer).outcome is Outcome.NOT_MET
        assert asked.finding(trial, a_chart(), answer).outcome is Outcome.UNKNOWN
        assert asked.finding(trial, enough, answer).basis is Basis.ATTESTED


@pytest.mark.parametrize(
    ("zone", "last", "first_without"),
    [
        ("UTC", datetime(2027, 1, 30, 23, 59, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)),
        ("Asia/Shanghai", datetime(2027, 1, 30, 15, 59, tzinfo=UTC), datetime(2027, 1, 30, 16, tzinfo=UTC)),
    ],
)
def test_an_answer_ends_at_the_start_of_the_day_after_its_last(
    asked: Asked, zone: str, last: datetime, first_without: datetime
) -> None:
    trial = a_trial(asked.catalogue)
    answer = asked.answer(trial)
    assert asked.finding(trial, a_chart(), answer, as_of=last, zone=zone).outcome is Outcome.MET
    ended = asked.finding(trial, a_chart(), answer, as_of=first_without, zone=zone)
    assert ended == asked.finding(trial, a_chart(), as_of=first_without, zone=zone)


def test_a_chart_read_at_an_earlier_moment_knows_nothing_of_the_answer(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)
    answer = asked.answer(trial)
    before = NOON - timedelta(seconds=1)
    assert asked.finding(trial, a_chart(), answer, as_of=before).outcome is Outcome.NEEDS_HUMAN
    assert asked.finding(trial, a_chart(), answer, as_of=NOON).outcome is Outcome.MET


CHANGED: Mapping[str, Json] = {
    "another question": {"asks": {"judgement": {"ask": "Is the disease refractory to two drugs?"}}},
    "a guard": {"only_if": {"sex": "female"}},
    "the other side": {"include": None, "exclude": JUDGED},
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_criterion_that_asks_something_else_now_is_not_answered(asked: Asked, change: str) -> None:
    answer = asked.answer(a_trial(asked.catalogue))
    changed = a_trial(asked.catalogue, **CHANGED[change])
    found = asked.finding(changed, a_chart(), answer)
    assert (found.criterion.id, found.attested) == (answer.criterion, None)


def test_a_new_limit_is_not_answered_by_the_answer_to_the_old_one(asked: Asked) -> None:
    def trial(limit: int) -> x.Trial:
        return a_trial(asked.catalogue, {"all": [{"value": {"of": "platelets", "is": f">= {limit} 10*9/L"}}, JUDGED]})

    chart, answer = a_chart(platelets(200, "2026-10-20")), asked.answer(trial(50))
    assert asked.finding(trial(50), chart, answer).outcome is Outcome.MET
    assert asked.finding(trial(25), chart, answer).outcome is Outcome.NEEDS_HUMAN


def test_reworded_texts_readings_and_places_keep_the_answer(asked: Asked) -> None:
    answer = asked.answer(a_trial(asked.catalogue))
    reworded = a_trial(
        asked.catalogue, text="Disease that is refractory", source="Inclusion 3", reading="as we read it"
    )
    assert asked.finding(reworded, a_chart(), answer).attested == answer


def test_an_answer_is_of_one_trial_and_one_criterion(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)
    answer = asked.answer(trial)
    for other in (replace(answer, trial="T-2"), replace(answer, criterion="I1")):
        assert asked.finding(trial, a_chart(), other).outcome is Outcome.NEEDS_HUMAN


def test_the_newest_answer_is_the_one_that_counts(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)
    yes, no = asked.answer(trial), asked.answer(trial, is_met=False, at=NOON + timedelta(minutes=1))
    later = {"as_of": NOON + timedelta(hours=1)}
    assert asked.finding(trial, a_chart(), no, yes, **later).outcome is Outcome.NOT_MET


def test_a_newer_record_than_the_answer_is_pointed_out(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)
    answer, later = asked.answer(trial), datetime(2026, 11, 20, tzinfo=UTC)
    words = "Confirmed by N. N. on 2026-11-01, holds until 2027-01-30"
    for taken, said in (("2026-11-01", words), ("2026-11-02", f"{words}; the chart has newer records since then")):
        found = asked.match(trial, a_chart(platelets(90, taken)), answer, as_of=later)
        report = report_of(found, "r", asked.catalogue)
        assert report["trials"][0]["cohorts"][0]["criteria"][1]["explanation"] == said


def test_one_patients_answer_is_not_kept_for_the_next(asked: Asked) -> None:
    """Findings that rest on no record are kept from chart to chart; an answer is none of them."""
    trial, silences = a_trial(asked.catalogue), Silences()
    answers = (newest([]), newest([asked.answer(trial)]), newest([]))
    found = [match([trial], a_chart(), asked.catalogue, NOON, UTC, silences, given) for given in answers]
    outcomes = [each.trials[0].cohorts[0].findings[-1].outcome for each in found]
    assert outcomes == [Outcome.NEEDS_HUMAN, Outcome.MET, Outcome.NEEDS_HUMAN]
    plain = asked.match(trial, a_chart(), asked.answer(trial))
    kept, anew = (msgspec.json.encode(report_of(each, "r", asked.catalogue)) for each in (found[1], plain))
    assert kept == anew


def test_the_card_counts_what_a_person_answered_and_asks_no_more(asked: Asked) -> None:
    trial = a_trial(asked.catalogue)

    def detail(*answers: Attestation) -> str:
        cards = cards_for(asked.match(trial, a_chart(), *answers), asked.catalogue, new_uuid=lambda: "u")
        return str(cards[0].body["detail"])

    assert "**Questions:**\n- Is the disease refractory?" in detail()
    said = detail(asked.answer(trial))
    assert "Questions" not in said
    assert "**Answered by a person:** 1 point." in said
    assert "Three drugs failed" not in said
