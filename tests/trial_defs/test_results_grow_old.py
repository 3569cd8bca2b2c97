"""When a result stops speaking for today; what is worked out for today never does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Reason
from mappings.patient_facts import PatientFacts, facts_of
from mappings.time.times import Period
from tests.builders import PATIENT, body_of
from tests.mappings.charts import an_observation, facts_from, quantity
from trial_defs.definition.expressions import Bound, Value
from trial_defs.engine.values import answer_value

TODAY = date(2026, 11, 1)
DOSE = Value("glucocorticoid-dose", Bound("<=", Decimal(10), "mg/d", Decimal(10)), within=Period(2, "wk"))


def facts_with(catalogue: Catalogue, **spec: Any) -> PatientFacts:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(spec, TODAY, catalogue), None)
    builder.whole_chart()
    return facts_of(builder.build(), catalogue, datetime(2026, 11, 1, 9, tzinfo=UTC), UTC)


def test_a_recorded_dose_grows_old_with_its_window(catalogue: Catalogue) -> None:
    taken = {"value": "5 mg/d", "taken": "2026-10-25"}
    answer = answer_value(DOSE, facts_with(catalogue, results={"glucocorticoid-dose": taken}))
    assert (answer.truth, answer.stale_on) == (True, date(2026, 11, 9))


def test_a_dose_that_is_worked_out_for_today_does_not(catalogue: Catalogue) -> None:
    answer = answer_value(DOSE, facts_with(catalogue, treatments={"prednisone": {"dose": "5 mg"}}))
    assert (answer.truth, answer.stale_on) == (True, None)


def test_behind_old_results_one_of_which_nobody_knows_the_day_may_still_be_of_these_months() -> None:
    fallen = Value("platelets", Bound("<", Decimal(25), "10*9/L", Decimal(25)), within=Period(3, "mo"), pick="any")
    old = an_observation(id="old", effectiveDateTime="2020-01-10T08:00:00Z")
    dayless = an_observation(
        id="dayless", effectiveDateTime="2019-13-01T08:00:00Z", value={"valueQuantity": quantity(10, "10*9/L")}
    )
    reasons = [answer_value(fallen, facts_from(*chart)).still_open[0].reason for chart in ((old,), (old, dayless))]
    assert reasons == [Reason.STALE, Reason.IMPRECISE]
