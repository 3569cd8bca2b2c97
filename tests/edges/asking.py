"""One question to one chart: a criterion in the definition language, resources as EHRs send them, and the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from cds_hooks.report import report_of
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.mappings.charts import a_bundle, a_condition, a_patient, an_observation, quantity
from tests.small_trial import a_trial
from trial_defs.engine.evaluation import match

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
Json = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """What the report says about the one criterion, and about its cohort."""

    criterion: Mapping[str, Any]
    cohort: Mapping[str, Any]
    report: Mapping[str, Any]

    @property
    def says(self) -> str:
        """The outcome, and for unknown its reason: "met", "unknown: stale"."""
        reason = self.criterion["reason"]
        return f"{self.criterion['outcome']}: {reason}" if reason else str(self.criterion["outcome"])

    @property
    def explanation(self) -> str:
        return str(self.criterion["explanation"])


@dataclass(frozen=True)
class Asked:
    """Asks one criterion of a chart whose patient has lupus, by the whole way from JSON to the report."""

    catalogue: Catalogue

    def __call__(
        self,
        asks: Json,
        *resources: Json,
        kind: str = "include",
        as_of: datetime = AS_OF,
        zone: tzinfo = UTC,
        **more: Any,
    ) -> Answered:
        trial = a_trial(self.catalogue, {kind: asks} | more)
        builder = ChartBuilder(None)
        builder.add(json.dumps(_chart(resources)).encode(), None)
        builder.whole_chart()
        found = match([trial], builder.build(), self.catalogue, as_of, zone)
        report = report_of(found, "r1", self.catalogue)
        cohort = report["trials"][0]["cohorts"][0]
        return Answered(cohort["criteria"][-1], cohort, report)


def _chart(resources: tuple[Json, ...]) -> Json:
    patient = () if any(r["resourceType"] == "Patient" for r in resources) else (a_patient(),)
    lupus = a_condition("M32.9", id="lupus", onsetDateTime="2020-01-01")
    return a_bundle(*patient, lupus, *resources)


def value(concept: str, test: str, **more: Any) -> Json:
    return {"value": {"of": concept, "is": test} | more}


def condition(concept: str, **more: Any) -> Json:
    return {"condition": {"is": concept} | more}


def treatment(concept: str, **more: Any) -> Json:
    return {"treatment": {"of": concept} | more}


PLATELETS, HEMOGLOBIN, CREATININE, ALT, BILIRUBIN = "777-3", "718-7", "2160-0", "1742-6", "1975-2"


def a_result(loinc: str, number: object = None, unit: str | None = None, **more: Any) -> Json:
    """A final result of 20 October 2026. `number` None leaves the value to `more`; a value of None removes a key."""
    value = {} if number is None else {"valueQuantity": quantity(number) | ({"unit": unit} if unit else {})}
    return an_observation(loinc, value, **more)
