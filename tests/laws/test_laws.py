"""What must hold for every chart, whatever is in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cds_hooks.report import report_of
from mappings.chart.kept_chart import chart_from_bytes, chart_to_bytes
from mappings.concepts.catalogue import OUR_SYSTEM
from mappings.time.times import Period
from tests.builders import PATIENT
from tests.laws.charts import (
    Json,
    Situation,
    an_observation,
    bounded,
    builder_of,
    chart_of,
    concepts_in,
    examples,
    gate_concepts,
    looked_at,
    matched,
    our_catalogue,
    our_trials,
    outcomes,
    report,
    seen_as,
    situations,
)
from trial_defs.definition import expressions as x
from trial_defs.engine.attestation import Attestation, Attestations, content_of
from trial_defs.engine.findings import Basis, CohortMatch, Finding, Match, Outcome, Verdict, best_of

SCHEMA = jsonschema.Draft202012Validator(
    json.loads(Path(__file__).parents[1].joinpath("report_schema.json").read_text())
)


def trials_in(said: Json) -> bytes:
    return msgspec.json.encode(said["trials"])


def _some(records: Sequence[Json], data: st.DataObject) -> list[Json]:
    return data.draw(st.lists(st.sampled_from(records), max_size=6)) if records else []


# -- what does not matter ---------------------------------------------------------------------------------------------


@bounded
@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_the_bundle_changes_nothing(chart: Situation, chance: Any) -> None:
    shuffled = list(chart.records)
    chance.shuffle(shuffled)
    assert report(chart.with_records(shuffled)) == report(chart)


@bounded
@given(situations(), st.data())
def test_a_record_given_twice_is_one_record(chart: Situation, data: st.DataObject) -> None:
    again = _some(chart.records, data)
    assert report(chart.with_records([*chart.records, *again])) == report(chart)


@bounded
@given(situations(), st.data())
def test_a_record_told_again_under_another_id_changes_no_outcome(chart: Situation, data: st.DataObject) -> None:
    # Two orders of one drug may be one for the morning and one for the night: they add up.
    again = _some([r for r in chart.records if r["resourceType"] != "MedicationRequest"], data)
    copies = [copy.deepcopy(record) | {"id": f"copy-{number}"} for number, record in enumerate(again)]
    assert outcomes(matched(chart.with_records([*chart.records, *copies]))) == outcomes(matched(chart))


def _irrelevant(today: date) -> list[Json]:
    """What charts are full of and no trial asks about."""
    subject = {"reference": f"Patient/{PATIENT}"}
    unknown = {"coding": [{"system": "urn:example:local", "code": "X1"}], "text": "Something else"}
    cold, dressing, flu = (unknown | {"text": text} for text in ("Cold", "Wound dressing", "Influenza"))
    return [
        {"resourceType": "Observation", "id": "i1", "status": "final", "code": unknown, "subject": subject,
         "effectiveDateTime": today.isoformat(), "valueQuantity": {"value": 7, "unit": "mg/dL"}},
        {"resourceType": "Observation", "id": "i2", "status": "final", "subject": subject,
         "code": {"coding": [{"system": "http://loinc.org", "code": "785-6"}]},
         "effectiveDateTime": today.isoformat(), "valueQuantity": {"value": 30, "unit": "pg"}},
        {"resourceType": "Condition", "id": "i3", "subject": subject, "code": cold},
        {"resourceType": "Procedure", "id": "i4", "status": "completed", "subject": subject, "code": dressing},
        {"resourceType": "Immunization", "id": "i5", "status": "completed", "patient": subject, "vaccineCode": flu,
         "occurrenceDateTime": today.isoformat()},
        {"resourceType": "Appointment", "id": "i6", "status": "booked"},
        {"resourceType": "CarePlan", "id": "i7", "status": "active", "intent": "plan", "subject": subject},
        {"resourceType": "FamilyMemberHistory", "id": "i8", "status": "completed", "patient": subject,
         "relationship": unknown, "condition": [{"code": {"coding": [
             {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C50.9"}]}}]},
        {"resourceType": "Goal", "id": "i9", "lifecycleStatus": "active", "subject": subject, "description": unknown},
    ]  # fmt: skip


@bounded
@given(situations(), st.data())
def test_what_no_trial_asks_about_changes_nothing(chart: Situation, data: st.DataObject) -> None:
    noise = data.draw(st.lists(st.sampled_from(_irrelevant(chart.today)), unique_by=lambda r: r["id"]))
    assert trials_in(report(chart.with_records([*noise, *chart.records]))) == trials_in(report(chart))


def test_each_kind_of_noise_changes_nothing() -> None:
    lupus = next(s for s in examples() if any(c.findings for t in matched(s).trials for c in t.cohorts))
    for noise in _irrelevant(lupus.today):
        assert trials_in(report(lupus.with_records([*lupus.records, noise]))) == trials_in(report(lupus)), noise["id"]


@bounded
@given(situations(), st.data())
def test_another_patients_records_never_count(chart: Situation, data: st.DataObject) -> None:
    own = _some(chart.records, data)
    others = [json.loads(json.dumps(record).replace(f"Patient/{PATIENT}", "Patient/p2")) for record in own]
    others = [record | {"id": f"other-{number}"} for number, record in enumerate(others)]
    assert trials_in(report(chart.with_records([*others, *chart.records]))) == trials_in(report(chart))


@bounded
@given(situations(), st.sampled_from([1, 7, 400]), st.data())
def test_what_is_dated_later_does_not_exist_yet(chart: Situation, days: int, data: st.DataObject) -> None:
    later = (chart.today + timedelta(days)).isoformat()
    concept, number = data.draw(st.sampled_from([("platelets", "5"), ("hemoglobin", "20"), ("lvef", "10")]))
    to_come = [
        an_observation(concept, number, chart.today, effectiveDateTime=later),
        {"resourceType": "Condition", "id": "to-come", "subject": {"reference": f"Patient/{PATIENT}"},
         "code": {"coding": [{"system": OUR_SYSTEM, "code": "malignancy"}]}, "onsetDateTime": later},
        {"resourceType": "MedicationStatement", "id": "to-come", "status": "active",
         "subject": {"reference": f"Patient/{PATIENT}"}, "effectivePeriod": {"start": later},
         "medicationCodeableConcept": {"coding": [{"system": OUR_SYSTEM, "code": "rituximab"}]}},
    ]  # fmt: skip
    # It exists on the recheck day, and may then be why there is none.
    told, untold = (_without_recheck(report(c)) for c in (chart.with_records([*chart.records, *to_come]), chart))
    assert trials_in(told) == trials_in(untold)


def _without_recheck(said: Json) -> Json:
    for trial in said["trials"]:
        for cohort in trial["cohorts"]:
            cohort["recheckOn"] = None
    return said


# -- units ------------------------------------------------------------------------------------------------------------

_SAME = {
    "10*9/L": [("10*3/uL", "1"), ("K/uL", "1"), ("/uL", "1000"), ("10*6/L", "1000")],
    "g/L": [("g/dL", "0.1"), ("mg/dL", "100"), ("mg/mL", "1")],
    "mg/dL": [("mg/L", "10"), ("g/L", "0.01"), ("ug/mL", "10")],
    "U/L": [("U/mL", "0.001"), ("IU/L", "1")],
    "g/(24.h)": [("mg/(24.h)", "1000"), ("g/d", "1")],
    "g/g": [("mg/g", "1000"), ("mg/mg", "1")],
    "mL/min": [("L/min", "0.001")],
    "kg": [("g", "1000")],
    "cm": [("m", "0.01"), ("mm", "10")],
    "ms": [("s", "0.001")],
    "s": [("ms", "1000")],
}


def _in_other_units(record: Json, data: st.DataObject) -> Json:
    quantity = record.get("valueQuantity", {})
    if quantity.get("unit") not in _SAME:
        return record
    unit, factor = data.draw(st.sampled_from(_SAME[quantity["unit"]]))
    changed = copy.deepcopy(record)
    bounds = [b for item in changed.get("referenceRange", ()) for b in item.values() if isinstance(b, dict)]
    for each in (changed["valueQuantity"], *bounds):
        each["value"] = float(Decimal(str(each["value"])) * Decimal(factor))
        each |= {key: unit for key in ("unit", "code") if key in each}
    return changed


@bounded
@given(situations(), st.data())
def test_another_unit_for_the_same_amount_changes_no_outcome(chart: Situation, data: st.DataObject) -> None:
    changed = chart.with_records([_in_other_units(record, data) for record in chart.records])
    assert outcomes(matched(changed)) == outcomes(matched(chart))


# -- time -------------------------------------------------------------------------------------------------------------


@bounded
@given(situations(), st.integers(-300, 300).filter(bool))
def test_moving_chart_and_day_by_whole_weeks_changes_no_criterion_that_counts_in_days(
    chart: Situation, weeks: int
) -> None:
    moved = Situation(_moved(chart.resources, weeks), chart.today + timedelta(weeks=weeks))
    before, after = outcomes(matched(chart)), outcomes(matched(moved))
    counted = [key for key in before.keys() & after.keys() if key[2] and _counts_in_days(key)]
    assert {key: after[key] for key in counted} == {key: before[key] for key in counted}


def _moved(value: Any, weeks: int) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, weeks) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, weeks) for item in value)
    if isinstance(value, str) and len(value) >= 10 and value[4:5] == value[7:8] == "-" and value[:4].isdigit():
        return (date.fromisoformat(value[:10]) + timedelta(weeks=weeks)).isoformat() + value[10:]
    return value


def _counts_in_days(key: tuple[str, str, str]) -> bool:
    """No calendar months or years in it, no age, and nothing that is calculated with the age."""
    criterion = next(
        c for t in our_trials() if t.id == key[0] for co in t.cohorts if co.id == key[1]
        for c in co.criteria if c.id == key[2]
    )  # fmt: skip
    whole = [criterion.asks, *([criterion.only_if] if criterion.only_if else [])]
    leaves = [leaf for expression in whole for leaf in x.leaves_of(expression)]
    periods = [getattr(leaf, name) for leaf in leaves for name in leaf.__dataclass_fields__]
    calendar = any(isinstance(p, Period) and p.unit in ("mo", "a") for p in periods)
    aged = {"age", "creatinine-clearance", "egfr"} & set(criterion.concepts)
    return not calendar and not aged and not any(isinstance(leaf, x.Age) for leaf in leaves)


# -- absence ----------------------------------------------------------------------------------------------------------


@bounded
@given(situations())
def test_without_its_records_a_met_criterion_is_unknown_or_presumed(chart: Situation) -> None:
    for trial in matched(chart).trials:
        for cohort in trial.cohorts:
            for finding in _spread(f for f in cohort.findings if f.outcome is Outcome.MET):
                _holds_without_records(chart, trial.trial.id, cohort.cohort.id, finding)


def _spread(findings: Iterable[Finding]) -> list[Finding]:
    """Three of them, from the whole list; over all charts each has its turn."""
    found = list(findings)
    return found[:: max(1, len(found) // 3)][:3]


def _holds_without_records(chart: Situation, trial: str, cohort: str, finding: Finding) -> None:
    concepts = looked_at(finding.criterion.concepts)
    if concepts & gate_concepts(trial, cohort):
        return  # without its disease the cohort is not asked at all
    patient = {
        key: item
        for key, item in chart.resources[0].items()
        if not (key == "gender" and "sex" in concepts) and not (key == "birthDate" and "age" in concepts)
    }
    kept = [record for record in chart.records if not concepts & concepts_in(record)]
    emptied = matched(Situation((patient, *kept), chart.today))
    if not _is_asked(emptied, trial, cohort):
        return  # a record of its disease went with them: dermatomyositis is an inflammatory myopathy
    found = _finding(emptied, trial, cohort, finding.criterion.id)
    presumed = found.outcome is Outcome.MET and found.basis is Basis.PRESUMED
    open_ = found.outcome in (Outcome.UNKNOWN, Outcome.NOT_APPLICABLE)
    assert presumed or open_, (trial, cohort, finding.criterion.id, found.outcome, found.basis)


def _is_asked(found: Match, trial: str, cohort: str) -> bool:
    cohorts = (c for t in found.trials if t.trial.id == trial for c in t.cohorts)
    return any(c.cohort.id == cohort and c.verdict is not Verdict.NOT_INDICATED for c in cohorts)


def _finding(found: Match, trial: str, cohort: str, criterion: str) -> Finding:
    return next(
        f for t in found.trials if t.trial.id == trial for c in t.cohorts if c.cohort.id == cohort
        for f in c.findings if f.criterion.id == criterion
    )  # fmt: skip


@bounded
@given(situations(), st.data())
def test_an_unrelated_fact_changes_no_outcome(chart: Situation, data: st.DataObject) -> None:
    concepts = our_catalogue().concepts
    concept = data.draw(st.sampled_from(sorted(n for n, c in concepts.items() if c.kind in ("result", "diagnosis"))))
    added = _any_record_of(concept, chart.today)
    before, after = outcomes(matched(chart)), outcomes(matched(chart.with_records([*chart.records, added])))
    unrelated = {
        (trial.id, cohort.id, criterion.id)
        for trial in our_trials() for cohort in trial.cohorts for criterion in cohort.criteria
        if not looked_at(criterion.concepts) & seen_as(concept)
    }  # fmt: skip
    untouched = unrelated & before.keys() & after.keys()
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}


def _any_record_of(concept: str, today: date) -> Json:
    entry = our_catalogue().concepts[concept]
    if entry.kind == "result" and entry.unit:
        low, high = entry.plausible or (Decimal(1), Decimal(2))
        return an_observation(concept, str((low + high) / 2), today)
    subject = {"reference": f"Patient/{PATIENT}"}
    code = {"coding": [{"system": OUR_SYSTEM, "code": concept}]}
    return {"resourceType": "Condition", "id": "added", "subject": subject, "code": code, "onsetDateTime": "2020-01-01"}


_TYPES = ("Observation", "Condition", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
          "Procedure", "Immunization", "ResearchSubject")  # fmt: skip


@bounded
@given(
    situations(), st.sampled_from(["incomplete", "failed"]), st.lists(st.sampled_from(_TYPES), min_size=1, unique=True)
)
def test_what_was_not_read_completely_never_makes_anything_better_known(
    chart: Situation, state: Any, types: list[str]
) -> None:
    whole = outcomes(matched(chart))
    builder = builder_of(chart)
    for name in types:
        builder.fail(name, state)
    partial = matched(chart, builder.build())
    for key, (outcome, _) in outcomes(partial).items():
        if key[2] and key in whole:
            assert outcome in (whole[key][0], "unknown", "needs-human"), key
    for finding in _all_findings(partial):
        for leaf in finding.decided_by if finding.basis is Basis.PRESUMED else ():
            # What is taken as absent stands where it is recorded, whatever event its window is counted from.
            absent = getattr(leaf, "concepts", None) or (getattr(leaf, "concept", ""),)
            unread = [n for c in absent for n in our_catalogue().where(c) if n in types]
            assert not (unread and not finding.evidence), finding.criterion.id


def _all_findings(found: Match) -> Iterator[Finding]:
    yield from (finding for trial in found.trials for cohort in trial.cohorts for finding in cohort.findings)


# -- what people answer -----------------------------------------------------------------------------------------------


def answers_to_everything(today: date, is_met: bool) -> Attestations:
    """Every criterion of every trial, answered the same way."""
    at = datetime.combine(today, datetime.min.time(), UTC)
    asked = {(trial.id, c.id): c for trial in our_trials() for cohort in trial.cohorts for c in cohort.criteria}
    return {
        key: Attestation(*key, content_of(criterion, our_catalogue()), is_met, "N. N.", "", at, today, today)
        for key, criterion in asked.items()
    }


@bounded
@given(situations(), st.booleans())
def test_answers_settle_what_is_for_a_person_and_nothing_else(chart: Situation, is_met: bool) -> None:
    without = outcomes(matched(chart))
    found = matched(chart, attestations=answers_to_everything(chart.today, is_met))
    for key, (outcome, reason) in outcomes(found).items():
        if not key[2]:
            continue
        assert outcome != "needs-human"
        if without[key][0] == "needs-human":
            assert outcome == ("met" if is_met else "not-met")
        else:
            assert (outcome, reason) == without[key]
    SCHEMA.validate(report_of(found, "r1", our_catalogue()))
    if is_met:
        assert _verdicts(found) == _verdicts(matched(chart))  # data that are missing are nobody's to attest


def _verdicts(found: Match) -> list[Verdict]:
    return [cohort.verdict for trial in found.trials for cohort in trial.cohorts]


# -- the report -------------------------------------------------------------------------------------------------------


@bounded
@given(situations())
def test_every_report_has_the_form_and_the_verdicts_that_the_contract_gives_it(chart: Situation) -> None:
    found = matched(chart)
    said = report_of(found, "r1", our_catalogue())
    SCHEMA.validate(said)
    assume(all(source.state == "complete" for source in found.sources))  # the ladder below knows no other
    for trial in found.trials:
        assert trial.verdict is best_of(c.verdict for c in trial.cohorts)
        for cohort in trial.cohorts:
            assert cohort.verdict is _by_the_ladder(cohort, trial.trial.status, found), (trial.trial.id, cohort)
    for entry in said["trials"]:
        for told in entry["cohorts"]:
            counted = [criterion["outcome"] for criterion in told["criteria"]]
            assert list(told["counts"].values()) == [counted.count(outcome) for outcome in Outcome]


def _by_the_ladder(cohort: CohortMatch, status: str, found: Match) -> Verdict:
    """The contract's part 3, once more and in its own order, for charts that were read completely and are alive."""
    if not cohort.findings:
        return Verdict.NOT_INDICATED
    if status == "closed" or not cohort.cohort.open:
        return Verdict.CLOSED
    missed = [f for f in cohort.findings if f.outcome is Outcome.NOT_MET]
    if any(not f.near for f in missed) or len(missed) > 2:
        return Verdict.NOT_ELIGIBLE
    if missed:
        return Verdict.NEAR_MISS
    open_ = any(f.outcome is Outcome.UNKNOWN for f in cohort.findings)
    return Verdict.POSSIBLY_ELIGIBLE if open_ else Verdict.LIKELY_ELIGIBLE


@bounded
@given(situations())
def test_no_one_is_a_candidate_while_a_criterion_is_missed_that_is_no_near_miss(chart: Situation) -> None:
    for trial in matched(chart).trials:
        for cohort in trial.cohorts:
            missed = [f for f in cohort.findings if f.outcome is Outcome.NOT_MET]
            if cohort.verdict in (Verdict.LIKELY_ELIGIBLE, Verdict.POSSIBLY_ELIGIBLE):
                assert not missed
            if cohort.verdict is Verdict.NEAR_MISS:
                assert all(f.near for f in missed)
                assert len(missed) <= 2
            for finding in missed:
                # What no time turns and no tolerance reaches is not near.
                soft = finding.turns_on or any(_is_soft(leaf) for leaf in finding.decided_by)
                assert not finding.near or soft, finding.criterion.id


def _is_soft(leaf: x.Expression) -> bool:
    """Whether time or a tolerance could turn it at all."""
    match leaf:
        case x.Value():
            return bool(leaf.tolerance or leaf.tolerance_percent or leaf.stable_for)
        case x.Condition() | x.Treatment():
            return bool(leaf.within or leaf.lasting or getattr(leaf, "began_within", None))
        case _:
            return isinstance(leaf, x.Age)


@bounded
@given(situations())
def test_the_recheck_day_turns_the_verdict_and_the_day_before_does_not(chart: Situation) -> None:
    _turns_on_its_day(chart)


def test_so_do_the_recheck_days_of_the_cases() -> None:
    assert sum(_turns_on_its_day(chart) for chart in examples(lambda case: case.recheck_on not in (None, "None"))) > 4


def _turns_on_its_day(chart: Situation) -> int:
    """How many recheck days the chart has, each of which holds what it says."""
    days = {
        (trial.trial.id, cohort.cohort.id, ""): cohort.recheck_on
        for trial in matched(chart).trials
        for cohort in trial.cohorts
        if cohort.recheck_on
    }
    for key, day in days.items():
        then = outcomes(matched(Situation(chart.resources, day)))
        eve = outcomes(matched(Situation(chart.resources, day - timedelta(1))))
        assert then[key][0] in ("likely-eligible", "possibly-eligible")
        assert eve[key][0] == "near-miss"
    return len(days)


@bounded
@given(situations())
def test_the_same_input_gives_the_same_bytes_also_from_the_kept_chart(chart: Situation) -> None:
    first = msgspec.json.encode(report(chart))
    assert msgspec.json.encode(report(chart)) == first
    kept = chart_from_bytes(chart_to_bytes(chart_of(chart)))
    assert kept
    assert msgspec.json.encode(report(chart, kept)) == first


def test_the_charts_of_the_laws_reach_every_verdict_and_outcome() -> None:
    """Laws that only ever see one kind of chart prove little."""
    seen: set[object] = set()

    def look(chart: Situation) -> None:
        found = matched(chart)
        seen.update(f.outcome for f in _all_findings(found))
        seen.update(f.reason for f in _all_findings(found))
        seen.update(cohort.verdict for trial in found.trials for cohort in trial.cohorts)

    bounded(given(situations())(look))()
    for chart in list(examples())[::10]:
        look(chart)
    verdicts = {v for v in Verdict if v not in (Verdict.COULD_NOT_EVALUATE, Verdict.CLOSED)}
    assert seen >= {*Outcome, *verdicts, "stale", "missing", "imprecise", "not-final"}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_schema_refuses_what_the_contract_does_not_allow(outcome: Outcome) -> None:
    lupus = next(s for s in examples() if matched(s).trials[0].cohorts[0].findings)
    said = report(lupus)
    criterion = said["trials"][0]["cohorts"][0]["criteria"][0]
    criterion |= {"outcome": outcome.value, "reason": None if outcome is Outcome.UNKNOWN else "missing"}
    assert not SCHEMA.is_valid(said)
