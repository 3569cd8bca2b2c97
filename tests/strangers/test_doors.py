"""Every door gives the same answer about the same chart; `make strangers` asks it of charts that others wrote."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.definitions.served import Definitions
from app.demo.charts import demo_patients
from tests.app.conftest import NOW
from tests.strangers import strangers
from tests.strangers.charts import Json, as_stored, subjects_of
from tests.strangers.doors import Answer, Said, doors
from tests.strangers.strangers import Comparison, Tally

pytest.importorskip("duckdb", reason="the screen needs DuckDB: pip install 'trialcards[batch]'")

KEY = ("NCT1", "sle")


def demo_charts() -> list[Json]:
    return [
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in patient.resources]}
        for patient in demo_patients(NOW.date())
    ]


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """The demo's patients at every door."""
    return asyncio.run(_asked(tmp_path_factory.mktemp("doors")))


async def _asked(folder: Path) -> Tally:
    tally = Tally()
    charts = {f"d{number}": (chart, as_stored(chart, f"d{number}")) for number, chart in enumerate(demo_charts())}
    async with doors(folder, Definitions()) as at:
        written = [(name, json.dumps(chart).encode()) for name, (chart, _) in charts.items()]
        await strangers.ask_as_posted(written, at, tally)
        await strangers.ask_as_stored(charts, at, tally)
    return tally


def test_every_door_says_the_same_of_the_demo_patients(tally: Tally) -> None:
    assert len(tally.comparisons) == 6
    for comparison in tally.comparisons.values():
        assert not comparison.differences, strangers.listed(comparison)
        assert comparison.charts == len(demo_charts())
        assert comparison.criteria > 200, comparison.name  # answers without criteria would agree on nothing


def test_no_door_refuses_a_demo_patient(tally: Tally) -> None:
    assert {status for statuses in tally.statuses.values() for status in statuses} == {"answered"}


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Answer("answered", {KEY: Said("not-eligible", {"I1": "met"})}), ["verdict"]),
        (Answer("answered", {KEY: Said("near-miss", {"I1": "unknown"})}), ["outcome"]),
        (Answer("answered", {KEY: Said("near-miss", {})}), ["outcome"]),
        (Answer("answered", {}), ["cohort"]),
        (Answer("422"), ["refusal"]),
        (Answer("answered", {KEY: Said("near-miss", {"I1": "met"})}), []),
    ],
)
def test_an_answer_that_is_not_the_same_is_a_difference(other: Answer, what: list[str]) -> None:
    comparison = Comparison("")
    comparison.add("chart", Answer("answered", {KEY: Said("near-miss", {"I1": "met"})}), other)
    assert [each.what for each in comparison.differences] == what


def test_a_hook_may_refuse_only_a_chart_of_which_nothing_could_be_evaluated() -> None:
    for verdict, differ in (("could-not-evaluate", 0), ("not-eligible", 1)):
        comparison = Comparison("")
        comparison.add_hook("chart", Answer("answered", {KEY: Said(verdict, {})}), Answer("412"))
        assert len(comparison.differences) == differ


def test_a_trial_that_is_worth_a_card_may_lack_its_criteria_and_not_its_card() -> None:
    expected = Answer("answered", {KEY: Said("near-miss", {"I1": "met"})})
    for shortened, differ in ((frozenset({"NCT1"}), 0), (frozenset[str](), 1)):
        comparison = Comparison("")
        comparison.add_hook("chart", expected, Answer("answered", {}, shortened))
        assert len(comparison.differences) == differ


def test_a_screen_may_leave_out_only_a_cohort_whose_diagnosis_was_not_understood() -> None:
    for verdict, differ in (("could-not-evaluate", 0), ("not-eligible", 1)):
        comparison = Comparison("")
        comparison.add_screen("chart", Answer("answered", {KEY: Said(verdict, {})}), Answer("answered", {}))
        assert len(comparison.differences) == differ


def test_a_screen_may_refuse_an_export_only_where_no_trial_is_worth_a_card() -> None:
    for verdict, differ in (("could-not-evaluate", 0), ("near-miss", 1)):
        comparison = Comparison("")
        comparison.add_screen("chart", Answer("answered", {KEY: Said(verdict, {})}), Answer("exit 2"))
        assert len(comparison.differences) == differ


def test_a_stored_chart_has_the_servers_ids_and_references_by_them() -> None:
    patient = {"resourceType": "Patient", "id": "old"}
    drug = {"resourceType": "Medication", "id": "m"}
    order = {
        "resourceType": "MedicationRequest",
        "subject": {"reference": "Patient/old/_history/2"},
        "medicationReference": {"reference": "urn:uuid:1"},
    }
    entry = [{"resource": patient}, {"fullUrl": "urn:uuid:1", "resource": drug}, {"resource": order}]
    stored = as_stored({"resourceType": "Bundle", "type": "collection", "entry": entry}, "p9")
    resources = [each["resource"] for each in stored["entry"]]
    assert [each["id"] for each in resources] == ["p9", "p9-1", "p9-2"]
    assert resources[2]["medicationReference"]["reference"] == "Medication/p9-1"
    assert subjects_of(stored) == {"Patient/p9"}


def test_the_document_keeps_its_words_around_new_counts() -> None:
    start, end = strangers.COUNTS
    assert "new" in strangers.with_counts(f"before\n{start}\nold\n{end}\nafter", "new")
    assert "old" not in strangers.with_counts(f"before\n{start}\nold\n{end}\nafter", "new")
    with pytest.raises(ValueError, match="substring not found"):
        strangers.with_counts("no marks", "new")
