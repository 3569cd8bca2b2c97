"""A match as the MatchReport of the API: its members, its numbers, and what is never in it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from cds_hooks.report import VERSION, json_number, report_of, trial_entry
from cds_hooks.words.texts import texts_of
from cds_hooks.words.titles import titles_of
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Episode, Interval, Polarity, Reason, Result, SourceReport
from tests.cds_hooks.matches import PATIENT, a_cohort, a_diagnosis, a_match, a_result, a_trial, missed
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import (
    Basis,
    CohortMatch,
    Evidence,
    Finding,
    Margin,
    Match,
    Open,
    Outcome,
    PersonFact,
    Verdict,
)

Trials = Mapping[str, Trial]
LUPUS = "NCT06711146"


@pytest.fixture
def match(trials: Trials, catalogue: Catalogue) -> Match:
    cohort = trials[LUPUS].cohorts[0]
    but = {"I9.platelets": missed("24", catalogue)}
    return a_match(a_trial(trials[LUPUS], a_cohort(cohort, catalogue, Verdict.NEAR_MISS, but)))


def criterion_of(report: Any, criterion_id: str) -> Any:
    return next(c for c in report["trials"][0]["cohorts"][0]["criteria"] if c["id"] == criterion_id)


def reported(trials: Trials, catalogue: Catalogue, **finding: Any) -> Any:
    """The JSON of one finding on the platelets criterion."""
    cohort = trials[LUPUS].cohorts[0]
    criterion = next(c for c in cohort.criteria if c.id == "I9.platelets")
    found = CohortMatch(cohort, Verdict.POSSIBLY_ELIGIBLE, (Finding(criterion, **finding),))
    report = report_of(a_match(a_trial(trials[LUPUS], found)), "r1", catalogue)
    return criterion_of(report, "I9.platelets")


def evidence_of(trials: Trials, catalogue: Catalogue, *evidence: Evidence) -> Any:
    return reported(trials, catalogue, outcome=Outcome.MET, basis=Basis.RECORDED, evidence=evidence)["evidence"]


def test_the_report_has_the_members_that_the_contract_names(match: Match, catalogue: Catalogue) -> None:
    report = report_of(match, "r1", catalogue)
    assert list(report) == ["id", "patient", "approachable", "asOf", "engine", "sources", "trials"]
    assert (report["id"], report["patient"], report["asOf"]) == ("r1", PATIENT, "2026-11-01T00:00:00Z")
    assert report["approachable"] is True
    assert report["engine"] == {"version": VERSION, "concepts": "sha256:c0ffee"}
    (trial,) = report["trials"]
    assert list(trial) == ["trial", "title", "definition", "verdict", "cohorts"]
    (cohort,) = trial["cohorts"]
    assert list(cohort) == ["cohort", "verdict", "counts", "recheckOn", "criteria"]
    assert list(cohort["counts"]) == ["met", "notMet", "unknown", "needsHuman", "notApplicable"]
    assert sum(cohort["counts"].values()) == len(cohort["criteria"])


def test_a_criterion_stands_as_in_the_contract(match: Match, catalogue: Catalogue) -> None:
    found = criterion_of(report_of(match, "r1", catalogue), "I9.platelets")
    assert list(found) == [
        "id", "kind", "source", "text", "concepts", "outcome", "basis", "reason", "explanation", "margin", "evidence"
    ]  # fmt: skip
    assert (found["kind"], found["outcome"], found["basis"], found["reason"]) == (
        "inclusion",
        "not-met",
        "recorded",
        None,
    )
    assert found["margin"] == {"value": -1, "unit": "10*9/L", "percent": -4}
    assert found["concepts"] == ["platelets", "transfusion", "growth-factor"]
    assert found["evidence"] == [
        {
            "resource": "Observation/platelets", "concept": "platelets", "value": 24, "unit": "10*9/L",
            "recorded": "24 10*9/L", "date": "2026-10-20",
        }
    ]  # fmt: skip


def test_the_same_match_gives_the_same_bytes(match: Match, catalogue: Catalogue) -> None:
    assert msgspec.json.encode(report_of(match, "r", catalogue)) == msgspec.json.encode(
        report_of(match, "r", catalogue)
    )


def test_any_json_encoder_can_write_a_report(match: Match, catalogue: Catalogue) -> None:
    assert json.loads(json.dumps(report_of(match, "r", catalogue)))["id"] == "r"


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


@pytest.mark.parametrize(
    ("number", "printed"),
    [("180", "180"), ("1.80E+2", "180"), ("1.8", "1.8"), ("1.10", "1.1"), ("0", "0"), ("-4.0", "-4"),
     ("0.001", "0.001"), ("6.66", "6.66"), ("2.4999", "2.4999")],
)  # fmt: skip
def test_a_decimal_is_printed_as_the_number_that_it_is(number: str, printed: str) -> None:
    assert json.dumps(json_number(Decimal(number))) == printed


def test_a_polarity_or_an_open_value_is_said_in_words(trials: Trials, catalogue: Catalogue) -> None:
    below = structs.replace(a_result("hbv-dna", "1", "[IU]/mL"), value=Interval(None, Decimal(10), high_open=True))
    found = evidence_of(trials, catalogue, a_result("hbsag", Polarity.NEGATIVE), below)
    assert [each["value"] for each in found] == ["negative", "< 10 IU/mL"]
    assert found[0]["unit"] is None


def test_a_partial_date_stays_partial_and_an_undated_record_has_none(trials: Trials, catalogue: Catalogue) -> None:
    dated = a_result("platelets", "180", "10*9/L", taken="2026-10")
    undated = structs.replace(dated, taken=None, source="Observation/other")
    assert [each["date"] for each in evidence_of(trials, catalogue, dated, undated)] == ["2026-10", None]


def test_the_inputs_of_a_derived_value_stand_behind_it_once(trials: Trials, catalogue: Catalogue) -> None:
    creatinine = a_result("creatinine", "1.0", "mg/dL")
    derived = structs.replace(
        a_result("creatinine-clearance", "88", "mL/min"), formula="Cockcroft-Gault", inputs=(creatinine,)
    )
    found = evidence_of(trials, catalogue, derived, creatinine)
    assert [each["concept"] for each in found] == ["creatinine-clearance", "creatinine"]


def test_an_episode_names_its_member_its_words_and_its_start(trials: Trials, catalogue: Catalogue) -> None:
    drug = Episode(
        "glucocorticoid", "MedicationRequest/m", "drug", "Prednisone\n5 mg", member="prednisone", ongoing=True
    )
    lupus = a_diagnosis("systemic-lupus-erythematosus")
    drug_found, lupus_found = evidence_of(trials, catalogue, drug, lupus)
    assert (drug_found["concept"], drug_found["recorded"], drug_found["date"]) == (
        "prednisone",
        "Prednisone 5 mg",
        None,
    )
    assert lupus_found["date"] == "2020-03-01"


def test_the_date_of_birth_never_stands_in_a_report(trials: Trials, catalogue: Catalogue) -> None:
    age = PersonFact("age", PATIENT, Decimal(36), "a", "1990-05-01")
    (found,) = evidence_of(trials, catalogue, age)
    assert found["value"] == 36
    assert "1990" not in json.dumps(found)


def test_basis_stands_only_on_settled_and_reason_only_on_unknown_criteria(trials: Trials, catalogue: Catalogue) -> None:
    margin = Margin(Decimal(5), "10*9/L", Decimal(20), Decimal(25))
    parts: dict[str, Any] = {"basis": Basis.RECORDED, "reason": Reason.STALE, "margin": margin}
    for outcome in Outcome:
        found = reported(trials, catalogue, outcome=outcome, **parts)
        settled = outcome in (Outcome.MET, Outcome.NOT_MET)
        assert (found["basis"] is not None) is settled
        assert (found["margin"] is not None) is settled
        assert (found["reason"] is not None) is (outcome is Outcome.UNKNOWN)


def test_a_cohort_that_is_not_indicated_has_no_criteria(trials: Trials, catalogue: Catalogue) -> None:
    found = a_trial(trials[LUPUS], a_cohort(trials[LUPUS].cohorts[0], catalogue, Verdict.NOT_INDICATED))
    (cohort,) = report_of(a_match(found), "r", catalogue)["trials"][0]["cohorts"]
    assert cohort["criteria"] == []


def test_what_was_left_out_or_could_not_be_decoded_is_counted(match: Match) -> None:
    source = SourceReport(
        "Observation", "incomplete", 5, (("future", 1),), ("Observation/x", "entry 3"), ((None, 2), ("urn:oid:1.2", 1))
    )
    (told,) = report_of(replace(match, sources=(source,)), "r")["sources"]
    assert told == {
        "resourceType": "Observation", "state": "incomplete", "count": 5,
        "excluded": [{"reason": "future", "count": 1}, {"reason": "unreadable", "count": 2}],
        "notUnderstood": [{"system": None, "count": 2}, {"system": "urn:oid:1.2", "count": 1}],
    }  # fmt: skip


def test_every_finding_of_every_trial_is_explained(trials: Trials, catalogue: Catalogue) -> None:
    matches = [a_trial(t, *(a_cohort(c, catalogue) for c in t.cohorts)) for t in trials.values()]
    for trial in report_of(a_match(*matches), "r", catalogue)["trials"]:
        for cohort in trial["cohorts"]:
            assert all(criterion["explanation"].strip() for criterion in cohort["criteria"])


def test_a_result_that_cannot_be_converted_is_quoted_without_hidden_characters(
    trials: Trials, catalogue: Catalogue
) -> None:
    cohort = trials[LUPUS].cohorts[0]
    leaf = next(c for c in cohort.criteria if c.id == "I9.platelets").asks
    odd = Result("platelets", "Observation/x", None, None, "", "5\u202e foo\n", problem=Reason.UNIT_UNCONVERTIBLE)
    piece = Open(leaf, Reason.UNIT_UNCONVERTIBLE, evidence=(odd,))
    found = reported(
        trials, catalogue, outcome=Outcome.UNKNOWN, reason=piece.reason, evidence=(odd,), still_open=(piece,)
    )
    assert "“5 foo”" in found["explanation"]
    assert found["evidence"][0]["recorded"] == "5 foo"


def test_an_english_card_and_the_report_make_each_entry_once(match: Match, catalogue: Catalogue) -> None:
    (trial,) = report_of(match, "r", catalogue)["trials"]
    english, german = (
        trial_entry(match.trials[0], titles_of(catalogue, texts_of(language)))["cohorts"][0]["criteria"]
        for language in ("en", "de")
    )
    reported = trial["cohorts"][0]["criteria"]
    assert all(mine is theirs for mine, theirs in zip(english, reported, strict=True))
    assert not any(mine is theirs for mine, theirs in zip(german, reported, strict=True))
