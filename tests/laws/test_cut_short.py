"""A chart that arrived in part decides only what no further record could change.

Each cut chart is completed in many ways, at random: what the cut chart settles, every completion settles alike.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mappings.chart.chart import Chart, ChartBuilder
from tests.builders import PATIENT
from tests.laws.charts import Json, Situation, bounded, chart_of, examples, matched, outcomes, situations

COMPLETIONS = 20  # of each cut chart
CUT = ("Observation", "Condition", "MedicationRequest", "MedicationStatement", "MedicationAdministration", "Procedure",
       "Immunization", "ResearchSubject")  # fmt: skip
OPEN = ("unknown", "needs-human")
# A failing chart is told as it is: to shrink one takes twenty matches a step.
unshrunk = settings(bounded, phases=(Phase.generate,))
_PAGE = {"resourceType": "Bundle", "type": "searchset"}


@lru_cache(maxsize=1)
def pool() -> Sequence[Json]:
    """Records of every case, by which a cut chart may be completed."""
    found = {json.dumps(record, sort_keys=True): record for chart in examples() for record in chart.records}
    taken = [record for record in found.values() if record["resourceType"] == "MedicationStatement"]
    return (*found.values(), *map(_as_order, taken), *map(_as_dose_given, taken))


def _as_order(statement: Json) -> Json:
    kept = {key: statement[key] for key in ("id", "status", "subject", "medicationCodeableConcept")}
    begun = statement.get("effectivePeriod", {}).get("start")
    dosage = {"dosageInstruction": statement["dosage"]} if "dosage" in statement else {}
    order: Json = kept | dosage | {"resourceType": "MedicationRequest", "intent": "order"}
    return order | ({"authoredOn": begun} if begun else {})


def _as_dose_given(statement: Json) -> Json:
    kept = {key: statement[key] for key in ("id", "subject", "medicationCodeableConcept")}
    given: Json = kept | {"resourceType": "MedicationAdministration", "status": "completed"}
    rates = [rate for dosage in statement.get("dosage", ()) for rate in dosage["doseAndRate"]]
    dose = {"dosage": {"dose": rates[0]["doseQuantity"]}} if rates else {}
    return given | dose | {"effectiveDateTime": statement.get("effectivePeriod", {}).get("start", "2026-01-01")}


def date_of(record: Json) -> str:
    return str(record.get("effectiveDateTime") or "")


def _added(chance: random.Random, kinds: Sequence[str], today: date, latest: date) -> list[Json]:
    """A few records of these types, dated anew between long ago and `latest`."""
    fitting = [record for record in pool() if record["resourceType"] in kinds]
    added = []
    for number in range(chance.randint(0, 4)):
        record = copy.deepcopy(chance.choice(fitting)) | {"id": f"missing-{number}"}
        day = min(latest, today - timedelta(chance.choice([0, 1, 3, 8, 20, 60, 150, 400, 2000]))).isoformat()
        for key in ("effectiveDateTime", "onsetDateTime", "occurrenceDateTime", "authoredOn"):
            if key in record:
                record[key] = day
        for key in ("effectivePeriod", "performedPeriod", "period"):
            if key in record and chance.random() < 0.5:
                record[key] = {"start": day} | ({"end": day} if "end" in record[key] else {})
        added.append(record)
    return added


def _decides_no_more(cut: Chart, chart: Situation, completions: Sequence[Situation]) -> int:
    """Whether what the cut chart settles is settled alike by every completion; how many criteria it settles."""
    said = {key: outcome for key, (outcome, _) in outcomes(matched(chart, cut)).items() if key[2]}
    settled = {key: outcome for key, outcome in said.items() if outcome not in OPEN}
    for completion in completions:
        then = outcomes(matched(completion))
        for key, outcome in settled.items():
            if key in then:
                assert then[key][0] == outcome, (key, outcome, then[key])
    return len(settled)


@unshrunk
@given(situations(), st.sampled_from(CUT), st.integers(0, 10_000))
def test_a_type_that_is_incomplete_decides_what_every_completion_decides(
    chart: Situation, kind: str, seed: int
) -> None:
    chance = random.Random(seed)
    of_kind = [record for record in chart.records if record["resourceType"] == kind]
    lost = chance.sample(of_kind, chance.randint(0, len(of_kind)))
    left = chart.with_records(record for record in chart.records if record not in lost)
    builder = _builder(left)
    builder.fail(kind, "incomplete")
    completions = [
        left.with_records(
            [*left.records, *(r for r in lost if chance.random() < 0.5),
             *_added(chance, (kind,), chart.today, chart.today)]
        )
        for _ in range(COMPLETIONS)
    ]  # fmt: skip
    _decides_no_more(builder.build(), left, completions)


def _builder(chart: Situation) -> ChartBuilder:
    builder = ChartBuilder(PATIENT)
    entries = [{"resource": resource} for resource in chart.resources]
    builder.add(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode(), None)
    builder.whole_chart()
    return builder


def newest_first(chart: Situation, kept: int) -> tuple[Chart, Situation, date] | None:
    """The chart of a hook whose Observations, asked for newest first, ended after `kept` of them; what is left; the
    day of the last one."""
    results = [record for record in chart.records if record["resourceType"] == "Observation"]
    if any(not date_of(record) for record in results) or len(results) <= kept:
        return None
    results.sort(key=date_of, reverse=True)
    left = chart.with_records(r for r in chart.records if r["resourceType"] != "Observation" or r in results[:kept])
    builder = ChartBuilder(PATIENT)
    for kind in ("Patient", "Consent", "Flag", *CUT):
        found = [r for r in left.resources if r["resourceType"] == kind]
        ordered = sorted(found, key=date_of, reverse=True) if kind == "Observation" else found
        total = {"total": len(results)} if kind == "Observation" else {}
        page = json.dumps(_PAGE | total | {"entry": [{"resource": record} for record in ordered]}).encode()
        content = json.dumps(found[0]).encode() if kind == "Patient" else page
        builder.add(content, kind, newest_first=kind == "Observation")
    return builder.build(), left, date.fromisoformat(date_of(results[kept - 1])[:10])


@unshrunk
@given(situations(), st.integers(1, 30), st.integers(0, 10_000))
def test_a_list_that_came_newest_first_decides_what_every_older_record_leaves_as_it_is(
    chart: Situation, kept: int, seed: int
) -> None:
    chance = random.Random(seed)
    made = newest_first(chart, kept)
    if made is None:
        return
    cut, left, last_day = made
    assert cut.states["Observation"] == "incomplete"
    completions = [
        left.with_records([*left.records, *_added(chance, ("Observation",), chart.today, last_day)])
        for _ in range(COMPLETIONS)
    ]
    _decides_no_more(cut, left, completions)


def test_the_newest_of_a_cut_list_decides_where_it_came_newest_first_and_else_not() -> None:
    """The law above would hold of a matcher that decides nothing."""
    settled = {"in order": 0, "in none": 0}
    for chart in list(examples())[::40]:
        spread = _spread_over_days(chart)
        made = newest_first(spread, len([r for r in spread.records if r["resourceType"] == "Observation"]) - 1)
        if made is None:
            continue
        cut, left, _ = made
        builder = _builder(left)
        builder.fail("Observation", "incomplete")
        settled["in order"] += _decides_no_more(cut, left, [chart_and_oldest(left)])
        settled["in none"] += _decides_no_more(builder.build(), left, [])
    assert settled["in order"] > 1.3 * settled["in none"] > 0, settled


def _spread_over_days(chart: Situation) -> Situation:
    records = copy.deepcopy(list(chart.records))
    for number, record in enumerate(r for r in records if r["resourceType"] == "Observation"):
        record["effectiveDateTime"] = (chart.today - timedelta(2 + number // 2)).isoformat()
    return chart.with_records(records)


def chart_and_oldest(chart: Situation) -> Situation:
    assert chart_of(chart)
    old = _added(random.Random(1), ("Observation",), chart.today, chart.today - timedelta(400))
    return chart.with_records([*chart.records, *old])
