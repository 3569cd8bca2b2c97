"""What orders do to matches: which trial, until when, by reading the same chart with and without them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.definitions.served import Definitions, Served
from cds_hooks.cards.dismissals import of_the_order_alone, says_the_same, warns_of_the_same, what_the_order_would_do
from cds_hooks.cards.order_cards import EFFECT_EXTENSION, order_cards_for
from cds_hooks.cards.trial_cards import ranked, response
from mappings.chart.chart import Chart, ChartBuilder
from mappings.draft_orders import as_if_given, planned, read_drafts
from mappings.time.clock import Clock
from tests.builders import PATIENT, body_of
from tests.case_files import Case, all_cases
from tests.cds_hooks.matches import numbered
from tests.cds_hooks.oracle import check_response
from tests.orders import a_drug_order, a_service_order, a_vaccine_due, body, coded, daily, for_days
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Match, Outcome
from trial_defs.planning.order_effect import OrderEffect, effects_of

Json = dict[str, Any]
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LUPUS = "NCT06680388"


@pytest.fixture(scope="module")
def served() -> Served:
    return Definitions().now


@pytest.fixture(scope="module")
def fits() -> Case:
    """A chart that fits the lupus cohort of the trial with the washouts."""
    return next(case for case in all_cases() if case.trial == LUPUS and case.verdict == "likely-eligible")


def chart_of(case: Case, served: Served, **more: Json) -> Chart:
    spec = dict(case.chart) | {name: dict(case.chart[name]) | value for name, value in more.items()}
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(spec, case.as_of, served.catalogue), None)
    builder.whole_chart()
    return builder.build()


def matched(chart: Chart, served: Served, now: datetime = NOW) -> Match:
    found = match(served.trials.values(), chart, served.catalogue, now, UTC)
    return replace(found, trials=tuple(ranked(found, served.catalogue)))


def effects(chart: Chart, served: Served, *orders: Json) -> dict[str, OrderEffect]:
    clock = Clock(NOW, UTC)
    found = planned(read_drafts(body(*orders), PATIENT), chart, served.catalogue, clock)
    return {e.now.trial.id: e for e in effects_of(matched(chart, served), chart, found, served.catalogue, UTC)}


def ids(effect: OrderEffect) -> list[str]:
    return [finding.criterion.id for finding in effect.changed]


PULSE = a_drug_order("methylprednisolone", {"text": "1000 mg IV once"})
WEEKLY = {"timing": {"repeat": {"count": 4, "frequency": 1, "period": 1, "periodUnit": "wk"}}}


@pytest.mark.parametrize(
    ("order", "criterion", "until"),
    [
        (a_drug_order("rituximab"), "E4.1.b-cell-depletion", "2026-12-02"),
        (a_drug_order("obinutuzumab"), "E4.1.b-cell-depletion", "2026-12-02"),
        (a_drug_order("rituximab", WEEKLY), "E4.1.b-cell-depletion", "2026-12-23"),
        (a_drug_order("ivig"), "E4.2.ivig", "2026-12-02"),
        (a_drug_order("telitacicept"), "E4.5.telitacicept", "2026-11-16"),
        (a_drug_order("belimumab"), "E4.5.belimumab", "2026-11-23"),
        (a_vaccine_due("live-vaccine"), "E17.live-vaccine", "2026-12-14"),
        (a_service_order("organ-transplant"), "E11.organ-transplant", None),
        (PULSE, "E4.4.glucocorticoid-pulse", "2026-11-16"),
    ],
)
def test_an_order_closes_the_trial_that_asks_about_it_until_its_washout_ends(
    served: Served, fits: Case, order: Json, criterion: str, until: str | None
) -> None:
    effect = effects(chart_of(fits, served), served, order)[LUPUS]
    assert criterion in ids(effect)
    assert effect.until == (date.fromisoformat(until) if until else None)
    assert effect.closes
    assert not effect.goes_on


@pytest.mark.parametrize("concept", ["rituximab", "ivig", "belimumab", "live-vaccine"])
def test_the_end_is_the_first_day_on_which_the_chart_with_the_order_reads_as_without(
    served: Served, fits: Case, concept: str
) -> None:
    chart, clock = chart_of(fits, served), Clock(NOW, UTC)
    order = a_drug_order(concept)
    effect = effects(chart, served, order)[LUPUS]
    given = as_if_given(
        chart, planned(read_drafts(body(order), PATIENT), chart, served.catalogue, clock), served.catalogue, clock
    )
    assert effect.until
    for day, is_over in ((effect.until - timedelta(1), False), (effect.until, True)):
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        without, with_it = (_outcomes(matched(c, served, moment), effect) for c in (chart, given))
        assert (without == with_it) is is_over


def _outcomes(found: Match, effect: OrderEffect) -> list[Outcome]:
    trial = next(t for t in found.trials if t.trial.id == effect.now.trial.id)
    cohort = next(c for c in trial.cohorts if c.cohort.id == effect.before.cohort.id)
    return [f.outcome for f in cohort.findings if f.criterion.id in ids(effect)]


@pytest.mark.parametrize(
    "order",
    [
        a_drug_order("hydroxychloroquine", daily(400)),
        a_drug_order("prednisone", daily(10)),
        a_drug_order("prednisone", daily(10, **for_days(30))),
        a_drug_order("mycophenolate", daily(1400)),  # 1.4 to 1.94 g of mofetil, whichever form it is
        a_drug_order("no-such-concept"),
        a_service_order("transfusion", doNotPerform=True),
    ],
)
def test_an_order_that_changes_nothing_has_no_effect(served: Served, fits: Case, order: Json) -> None:
    assert LUPUS not in effects(chart_of(fits, served), served, order)


def test_only_a_trial_that_the_patient_may_fit_can_be_closed(served: Served, fits: Case) -> None:
    chart = chart_of(fits, served, results={"platelets": "5 10*9/L"})
    assert LUPUS not in effects(chart, served, a_drug_order("rituximab"))


def test_a_drug_without_an_end_closes_while_it_is_given_and_then_for_the_washout(served: Served, fits: Case) -> None:
    effect = effects(chart_of(fits, served), served, a_drug_order("belimumab", {"text": "200 mg SC weekly"}))[LUPUS]
    assert (effect.goes_on, effect.until) == (True, date(2026, 11, 23))
    assert not effect.lasts_while_given


def test_a_dose_over_the_limit_closes_while_it_is_given(served: Served, fits: Case) -> None:
    effect = effects(chart_of(fits, served), served, a_drug_order("prednisone", daily(40)))[LUPUS]
    assert ids(effect) == ["I2.1.4.glucocorticoid-dose", "E4.3.glucocorticoid-dose"]
    assert effect.lasts_while_given


def test_a_changed_dose_ends_by_standing_even_though_the_drug_goes_on(served: Served, fits: Case) -> None:
    effect = effects(chart_of(fits, served), served, a_drug_order("prednisone", daily(15)))["CT1190B-SLE-SSC"]
    assert ids(effect) == ["I2.stable-glucocorticoid"]
    assert (effect.goes_on, effect.until) == (False, date(2026, 11, 15))


def test_an_order_is_told_from_the_harmless_one_beside_it(served: Served, fits: Case) -> None:
    found = effects(chart_of(fits, served), served, a_drug_order("hydroxychloroquine"), a_drug_order("rituximab"))
    assert [order.concepts for order in found[LUPUS].orders] == [("rituximab",)]


def test_an_order_for_a_later_day_closes_from_that_day(served: Served, fits: Case) -> None:
    later = a_drug_order("rituximab", {"timing": {"event": ["2026-11-20"]}})
    effect = effects(chart_of(fits, served), served, later)[LUPUS]
    assert (effect.since, effect.until) == (date(2026, 11, 20), date(2026, 12, 21))


def test_of_orders_for_different_days_the_last_end_is_told(served: Served, fits: Case) -> None:
    later = a_drug_order("rituximab", {"timing": {"event": ["2027-01-29"]}})
    found = effects(chart_of(fits, served), served, a_vaccine_due("live-vaccine"), later)[LUPUS]
    assert (found.since, found.until) == (date(2026, 11, 1), date(2027, 3, 1))
    assert ids(found) == ["E17.live-vaccine"]
    assert [finding.criterion.id for finding in found.later] == ["E4.1.b-cell-depletion"]
    assert [order.concepts for order in found.orders] == [("live-vaccine",), ("rituximab",)]
    (card,) = [
        c for c in cards(chart_of(fits, served), served, a_vaccine_due("live-vaccine"), later) if LUPUS in str(c)
    ]
    assert card["summary"].endswith("until 2027-03-01")
    assert "Rituximab, read as given on 2027-01-29" in card["detail"]


def test_the_last_of_many_days_is_looked_at(served: Served, fits: Case) -> None:
    days = [f"2026-11-{day:02}" for day in (2, 9, 16, 23, 30)] + ["2027-03-01"]
    orders = [a_drug_order("rituximab", {"timing": {"event": [day]}}, id=day) for day in days]
    assert effects(chart_of(fits, served), served, *orders)[LUPUS].until == date(2027, 4, 2)


def test_an_order_without_an_end_after_one_with_an_end_has_none(served: Served, fits: Case) -> None:
    endless = {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": "2027-01-29"}}}
    }
    found = effects(chart_of(fits, served), served, a_vaccine_due("live-vaccine"), a_drug_order("rituximab", endless))
    assert found[LUPUS].goes_on


def test_a_second_dose_puts_a_near_miss_off(served: Served, fits: Case) -> None:
    given = {"rituximab": {"since": "2026-10-20", "until": "2026-10-20"}}
    effect = effects(chart_of(fits, served, treatments=given), served, a_drug_order("rituximab"))[LUPUS]
    assert effect.postpones
    assert effect.until == date(2026, 12, 2)


def test_a_drug_that_lowers_the_lymphocytes_leaves_their_count_open(served: Served, fits: Case) -> None:
    chart = chart_of(fits, served, results={"lymphocytes": "1.2 10*9/L"})
    for concept in ("fludarabine", "cyclophosphamide"):
        effect = effects(chart, served, a_drug_order(concept))["NCT06711146"]
        assert ids(effect) == ["I9.lymphocytes"]
        assert not effect.closes
        assert effect.until is None


# -- cards ------------------------------------------------------------------------------------------------------------


def cards(chart: Chart, served: Served, *orders: Json, **more: Any) -> list[Json]:
    found = list(effects(chart, served, *orders).values())
    made = order_cards_for(found, matched(chart, served), served.catalogue, new_uuid=numbered(), **more)
    answer: Json = json.loads(response([card for card, _ in made]))
    check_response(answer, f"Patient/{PATIENT}")
    return list(answer["cards"])


def test_a_card_says_which_trial_until_when_and_what_would_keep_it_open(served: Served, fits: Case) -> None:
    (card,) = cards(chart_of(fits, served), served, a_drug_order("rituximab"))
    assert card["summary"].startswith("Rituximab would close ")
    assert card["summary"].endswith("(NCT06680388) until 2026-12-02")
    assert card["source"]["topic"]["code"] == LUPUS
    assert card["indicator"] == "info"
    for said in (
        "read as given on 2026-11-01",
        "from likely eligible to near miss",
        "B-cell depletion",
        "**Lasts:** until 2026-12-02",
        "a treatment other than B-cell depleting therapy, or 1 month between",
        "no advice against the order",
    ):
        assert said in card["detail"], said
    (suggestion,) = card["suggestions"]
    assert suggestion["label"].startswith("Ask the study team first")


def test_the_same_stands_in_the_card_for_machines(served: Served, fits: Case) -> None:
    (card,) = cards(chart_of(fits, served), served, a_drug_order("rituximab"))
    assert card["extension"]["org.trialcards.match"]["verdict"] == "likely-eligible"
    assert card["extension"][EFFECT_EXTENSION] == {
        "cohort": "sle",
        "verdict": "likely-eligible",
        "verdictIfSigned": "near-miss",
        "criteria": ["E4.1.b-cell-depletion"],
        "orders": ["MedicationRequest/draft-rituximab"],
        "since": "2026-11-01",
        "goesOn": False,
        "until": "2026-12-02",
    }
    (plain,) = cards(chart_of(fits, served), served, a_drug_order("rituximab"), match_extension=False)
    assert "extension" not in plain


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (a_drug_order("belimumab", {"text": "200 mg SC weekly"}), "until at least 2026-11-23"),
        (a_drug_order("prednisone", daily(40)), "while it is given"),
        (a_service_order("organ-transplant"), "with no end in sight"),
        (a_vaccine_due("live-vaccine"), "until 2026-12-14"),
    ],
)
def test_every_kind_of_end_is_said_in_the_summary(served: Served, fits: Case, order: Json, said: str) -> None:
    found = {card["source"]["topic"]["code"]: card for card in cards(chart_of(fits, served), served, order)}
    assert found[LUPUS]["summary"].endswith(said)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (a_vaccine_due("live-vaccine"), "an inactivated vaccine does not count"),
        (a_drug_order("prednisone", daily(40)), "Glucocorticoid dose, as prednisone ≤ 20 mg/day"),
        (
            a_drug_order("-", medicationCodeableConcept=coded("4711", "Rituximab 1000 mg <b>IV</b>", "urn:local")),
            "read by its words",
        ),
    ],
)
def test_the_detail_says_what_would_do_instead_and_how_the_order_was_read(
    served: Served, fits: Case, order: Json, said: str
) -> None:
    found = {card["source"]["topic"]["code"]: card for card in cards(chart_of(fits, served), served, order)}
    assert said in found[LUPUS]["detail"]


def test_a_count_that_an_order_lowers_is_said_to_be_from_before(served: Served, fits: Case) -> None:
    chart = chart_of(fits, served, results={"lymphocytes": "1.2 10*9/L"})
    (card,) = cards(chart, served, a_drug_order("fludarabine"))
    assert "would leave open" in card["summary"]
    assert "from before Fludarabine, which lowers it" in card["detail"]
    assert "until a new result" in card["detail"]


def test_more_trials_than_fit_are_counted_and_silent_ones_are_not(served: Served, fits: Case) -> None:
    chart = chart_of(fits, served)
    everything = cards(chart, served, PULSE)
    assert len(everything) == 3
    first, more = cards(chart, served, PULSE, most=1)
    assert first["summary"] == everything[0]["summary"]
    assert more["summary"] == "The order would close 2 more trials to this patient"
    assert len(cards(chart, served, PULSE, silent={LUPUS})) == 2


# -- what was set aside -----------------------------------------------------------------------------------------------


def stored(effect: OrderEffect) -> str:
    return what_the_order_would_do(effect, "sha256:c0ffee")


def warns(said: str, effect: OrderEffect) -> bool:
    return warns_of_the_same(said, effect, "sha256:c0ffee")


def test_a_warning_that_was_set_aside_says_nothing_new_until_the_order_would_do_something_else(
    served: Served, fits: Case
) -> None:
    chart = chart_of(fits, served)
    said = stored(effects(chart, served, a_drug_order("rituximab"))[LUPUS])
    assert warns(said, effects(chart, served, a_drug_order("obinutuzumab"))[LUPUS])
    assert not warns(said, effects(chart, served, a_vaccine_due("live-vaccine"))[LUPUS])


def test_a_warning_about_orders_of_two_days_is_news_where_only_the_first_was_set_aside(
    served: Served, fits: Case
) -> None:
    chart, vaccine = chart_of(fits, served), a_vaccine_due("live-vaccine")
    both = effects(chart, served, vaccine, a_drug_order("rituximab", {"timing": {"event": ["2027-01-29"]}}))[LUPUS]
    alone = effects(chart, served, vaccine)[LUPUS]
    assert not warns(stored(alone), both)
    assert not warns(of_the_order_alone(stored(alone)), both)
    assert warns(of_the_order_alone(stored(both)), both)


def test_a_warning_that_another_version_stored_stays_set_aside_where_it_is_about_the_same(
    served: Served, fits: Case
) -> None:
    """An earlier version stored neither its name nor what the orders of later days add, and may have found less."""
    chart, vaccine = chart_of(fits, served), a_vaccine_due("live-vaccine")
    both = effects(chart, served, vaccine, a_drug_order("rituximab", {"timing": {"event": ["2027-01-29"]}}))[LUPUS]
    earlier = json.loads(stored(both))
    del earlier["order:later"], earlier["made:by"]
    assert warns(json.dumps(earlier), both)
    assert not warns(json.dumps(earlier), effects(chart, served, a_drug_order("rituximab"))[LUPUS])


def test_a_warning_set_aside_for_now_is_no_word_about_the_trial(served: Served, fits: Case) -> None:
    effect = effects(chart_of(fits, served), served, a_drug_order("rituximab"))[LUPUS]
    said = stored(effect)
    assert says_the_same(said, effect.now)
    assert not says_the_same(of_the_order_alone(said), effect.now)
    assert warns(of_the_order_alone(said), effect)
