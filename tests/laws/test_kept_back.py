"""What a restricted label keeps back: a chart with a labelled record is judged as the chart without that record."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.definitions.served import Served
from app.demo.charts import DemoPatient, demo_patients
from app.judge import Judged, Site, judge
from cds_hooks.report import report_of
from mappings.time.clock import Clock
from tests.builders import PATIENT
from tests.laws.charts import Json, Situation, bounded, chart_of, our_catalogue, our_trials, situations
from trial_defs.engine.findings import Verdict

LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}
SITE = Site(frozenset({(LABEL["system"], LABEL["code"])}))
TODAY = date(2026, 11, 1)


def labelled(record: Json) -> Json:
    return record | {"meta": {"security": [LABEL]}}


def judged(situation: Situation, site: Site = SITE) -> Judged:
    served = Served(our_catalogue(), {trial.id: trial for trial in our_trials()})
    at = Clock(datetime.combine(situation.today, datetime.min.time(), UTC), UTC)
    return judge(chart_of(situation), served, at, site)


def said(found: Judged) -> Json:
    return report_of(found.found, "r1", our_catalogue())


def check(situation: Situation, places: Collection[int]) -> None:
    """The law for the records at these places."""
    numbered = list(enumerate(situation.records))
    with_label = judged(situation.with_records(labelled(r) if n in places else r for n, r in numbered))
    without = judged(situation.with_records(r for n, r in numbered if n not in places))
    whole = {trial.trial.id: trial.verdict for trial in judged(situation, Site()).found.trials}
    shown, expected = said(with_label), said(without)
    entries = {entry["trial"]: entry for entry in expected.pop("trials")}
    for entry in shown.pop("trials"):
        assert entry == entries[entry["trial"]]
        assert Verdict(entry["verdict"]).rank >= whole[entry["trial"]].rank
    assert shown == expected


def _as_situation(patient: DemoPatient) -> Situation:
    """The demo patient under the id that the laws' charts have, the Patient first."""
    (person,) = (r for r in patient.resources if r["resourceType"] == "Patient")
    records = json.dumps([r for r in patient.resources if r is not person])
    records = records.replace(f'"Patient/{patient.id}"', f'"Patient/{PATIENT}"')
    return Situation((person | {"id": PATIENT}, *json.loads(records)), TODAY)


def _content(record: Json) -> str:
    return json.dumps({name: value for name, value in record.items() if name != "id"}, sort_keys=True)


def test_each_labelled_record_of_the_base_charts_is_as_if_it_were_not_there() -> None:
    """Of records that several demo patients have in common, each is labelled in the first chart that holds it."""
    seen: set[str] = set()
    for chart in map(_as_situation, demo_patients(TODAY)):
        for place, record in enumerate(chart.records):
            if _content(record) not in seen:
                seen.add(_content(record))
                check(chart, {place})
    assert len(seen) > 100


@bounded
@given(situations(), st.data())
def test_any_labelled_records_are_as_if_they_were_not_there(chart: Situation, data: st.DataObject) -> None:
    check(chart, data.draw(st.sets(st.integers(0, max(0, len(chart.records) - 1)), max_size=4)))
