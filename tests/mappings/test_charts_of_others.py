"""Charts that others wrote, real shapes and broken ones among them: none breaks the reader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mappings.chart.chart import ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts, facts_of

CHARTS = Path(__file__).parents[3] / "shared" / "patients"
pytestmark = pytest.mark.skipif(not CHARTS.is_dir(), reason="../shared/patients is not there")
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)


def charts_of_others(catalogue: Catalogue) -> Iterator[tuple[Path, PatientFacts]]:
    for path in sorted(CHARTS.rglob("*.json")):
        builder = ChartBuilder(None)
        try:
            builder.add(path.read_bytes(), None)
            builder.whole_chart()
            yield path, facts_of(builder.build(), catalogue, AS_OF, UTC)
        except ChartError:
            continue  # single resources and Bundles without a Patient are among them


def test_every_fact_of_every_chart_can_be_read_and_has_a_source(catalogue: Catalogue) -> None:
    read = 0
    for path, facts in charts_of_others(catalogue):
        for concept in catalogue.concepts:
            for result in facts.results(concept):
                assert result.source, path
                assert result.problem or result.value or result.polarity, path
            for episode in facts.episodes(concept):
                assert episode.source, path
                assert not (episode.start and episode.start.earliest > AS_OF), path
        read += 1
    assert read > 100


def test_no_chart_of_others_has_a_record_that_cannot_be_decoded(catalogue: Catalogue) -> None:
    for path, facts in charts_of_others(catalogue):
        assert not [place for source in facts.sources for place in source.unreadable], path


_EVENTS = frozenset(
    {"Condition", "Procedure", "Immunization", "MedicationRequest", "MedicationStatement", "MedicationAdministration"}
)


def test_nearly_every_record_of_a_diagnosis_drug_or_procedure_is_understood(catalogue: Catalogue) -> None:
    read = unknown = 0
    for _, facts in charts_of_others(catalogue):
        for source in facts.sources:
            if source.resource_type in _EVENTS:
                read += source.count
                unknown += sum(count for _, count in source.not_understood)
    assert read > 1000
    assert unknown <= 0.03 * read, f"{unknown} of {read} records are not understood"
