"""Cases of a criterion for its reviewer: what the engine itself answers to a value beside the limit, to the limit, and
to a chart that says nothing. "74 → not met, 75 → met, no result → unknown"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import OUR_SYSTEM, Catalogue
from mappings.facts import Polarity
from trial_defs.definition import expressions as x
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Outcome

Resource = dict[str, Any]
Say = Callable[[Decimal, str], str]
_AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
_TAKEN = date(2025, 12, 31)
_WORDS = {
    Outcome.MET: "met",
    Outcome.NOT_MET: "not met",
    Outcome.UNKNOWN: "unknown",
    Outcome.NEEDS_HUMAN: "asks a person",
}
_SPOKEN = {Polarity.POSITIVE: "10828004", Polarity.NEGATIVE: "260385009"}  # SNOMED CT
_ANYONE = x.SexIs("female")


@dataclass(frozen=True, slots=True)
class Case:
    """A chart that holds one thing, or nothing, and what the criterion comes to. `given`: "74 × 10⁹/L"."""

    given: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of one limit: what they vary ("Platelets"), and each of them."""

    about: str
    cases: tuple[Case, ...]


def cases_of(criterion: x.Criterion, catalogue: Catalogue, say: Say) -> tuple[Cases, ...]:
    """The cases of every limit, result and diagnosis of a criterion, each by itself: as if it asked nothing else.

    `say` puts a number and its unit into words.
    """
    return _cases(criterion, _Held(catalogue), say)


class _Held:
    """A catalogue as a key: the same concepts give the same cases."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def __hash__(self) -> int:
        return hash(self.catalogue.hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.catalogue.hash == self.catalogue.hash


@lru_cache(maxsize=2048)
def _cases(criterion: x.Criterion, held: _Held, say: Say) -> tuple[Cases, ...]:
    found = []
    for piece, leaf in _pieces(criterion.asks):
        charts = list(_charts(leaf, held.catalogue, say))
        if charts:
            about = "Age" if isinstance(leaf, x.Age) else held.catalogue.title(getattr(leaf, "concept", ""))
            alone = replace(criterion, asks=piece, only_if=None, shows=())
            said = tuple(Case(given, _outcome(alone, records, held.catalogue)) for given, records in charts)
            if any(case.outcome in ("met", "not met") for case in said):
                found.append(Cases(about, said))
    return tuple(found)


def _pieces(expression: x.Expression, *, turned: bool = False) -> Iterator[tuple[x.Expression, x.Expression]]:
    """Every leaf, as it counts (a `not` above it kept) and by itself."""
    if isinstance(expression, x.Not):
        yield from _pieces(expression.part, turned=not turned)
        return
    parts = x.parts_of(expression)
    if not parts:
        yield (x.Not(expression) if turned else expression), expression
    for part in parts:
        yield from _pieces(part, turned=turned)


def _outcome(criterion: x.Criterion, records: list[Resource], catalogue: Catalogue) -> str:
    trial = x.Trial(
        id="CASE", version=1, hash="", title="", short_title="", sponsor="", phase="", registry_url=None, document="",
        read_on="", status="recruiting", overdue_after=None, sites=(), signed_off=None, missing=(),
        cohorts=(x.Cohort("case", "", _ANYONE, (criterion,), True),),
    )  # fmt: skip
    entries = [{"resource": each} for each in ([] if _has_patient(records) else [_patient(None)]) + records]
    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode({"resourceType": "Bundle", "type": "collection", "entry": entries}), None)
    builder.whole_chart()
    found = match([trial], builder.build(), catalogue, _AS_OF, UTC).trials[0].cohorts[0]
    return _WORDS.get(found.findings[0].outcome, "unknown") if found.findings else "unknown"


def _has_patient(records: list[Resource]) -> bool:
    return any(each["resourceType"] == "Patient" for each in records)


def _charts(leaf: x.Expression, catalogue: Catalogue, say: Say) -> Iterator[tuple[str, list[Resource]]]:
    """What to try, each with its words; nothing for what one record cannot show."""
    match leaf:
        case x.Age():
            for number in _ages(leaf.test):
                yield f"{number} years", [_patient(number)]
        case x.Value(test=Polarity()) if _is_plain(leaf):
            for polarity, code in _SPOKEN.items():
                yield polarity.value, [_spoken(leaf.concept, code)]
            yield "no result", []
        case x.Value() if _is_plain(leaf):
            yield from _numbers(leaf, catalogue, say)
            yield "no result", []
        case x.Condition(lasting=None, began_within=None, anchor=None):
            yield "on record", [_condition(leaf.concept)]
            yield "not on record", []


def _is_plain(leaf: x.Value) -> bool:
    return leaf.runs == 1 and leaf.stable_for is None and leaf.anchor is None and not leaf.clear_of


def _ages(test: x.Bound | x.Between) -> list[int]:
    bounds = (test.low, test.high) if isinstance(test, x.Between) else (test,)
    return sorted({int(number) for bound in bounds for number in _around(bound, Decimal(1)) if number > 0})


def _numbers(leaf: x.Value, catalogue: Catalogue, say: Say) -> Iterator[tuple[str, list[Resource]]]:
    concept = catalogue.concepts[leaf.concept]
    bounds = (leaf.test.low, leaf.test.high) if isinstance(leaf.test, x.Between) else (leaf.test,)
    for bound in bounds:
        assert isinstance(bound, x.Bound)
        for number in _around(bound, _step(bound)):
            if bound.times is None:
                yield say(number, bound.unit), [_measured(leaf.concept, number, bound.unit)]
            else:
                edge = _normal(bound, concept.plausible)
                value = number * edge + bound.plus
                plus = f" + {say(bound.plus, bound.plus_unit)}" if bound.plus else ""
                told = f"{number} × {bound.times}{plus}"
                yield told, [_measured(leaf.concept, value, concept.unit or "1", (bound.times, edge))]


def _around(bound: x.Bound, step: Decimal) -> list[Decimal]:
    """The limit, and the number beside it on the side on which the answer is the other one."""
    number = bound.number
    return [number - step, number] if bound.comparator in (">=", "<") else [number, number + step]


def _step(bound: x.Bound) -> Decimal:
    """A step that the number's own digits show: 1, and less for small numbers that are no counts."""
    exponent = bound.number.normalize().as_tuple().exponent
    own = Decimal(1).scaleb(min(exponent, 0)) if isinstance(exponent, int) else Decimal(1)
    is_small = bound.times is not None or (abs(bound.number) < 10 and not bound.unit.startswith("{"))
    return min(own, Decimal("0.1")) if is_small else own


def _normal(bound: x.Bound, plausible: tuple[Decimal, Decimal] | None) -> Decimal:
    """A limit of normal of which the multiples in question are plausible."""
    if plausible is None:
        return Decimal(10)
    middle = (plausible[0] + plausible[1]) / max(2 * (bound.number + 1), Decimal(2))
    return Decimal(f"{middle:.1g}")


# -- the records


def _patient(years: int | None) -> Resource:
    patient: Resource = {"resourceType": "Patient", "id": "case", "gender": "female"}
    return patient | ({"birthDate": date(_AS_OF.year - years, 1, 1).isoformat()} if years is not None else {})


def _record(resource_type: str, concept: str, **more: Any) -> Resource:
    code = {"coding": [{"system": OUR_SYSTEM, "code": concept}]}
    return {
        "resourceType": resource_type,
        "id": "case-1",
        "code": code,
        "subject": {"reference": "Patient/case"},
    } | more


def _measured(concept: str, number: Decimal, unit: str, normal: tuple[str, Decimal] | None = None) -> Resource:
    quantity = {"value": float(number), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    record = _record(
        "Observation", concept, status="final", effectiveDateTime=_TAKEN.isoformat(), valueQuantity=quantity
    )
    if normal:
        side = "high" if normal[0] == "ULN" else "low"
        record["referenceRange"] = [{side: quantity | {"value": float(normal[1])}}]
    return record


def _spoken(concept: str, code: str) -> Resource:
    value = {"coding": [{"system": "http://snomed.info/sct", "code": code}]}
    return _record(
        "Observation", concept, status="final", effectiveDateTime=_TAKEN.isoformat(), valueCodeableConcept=value
    )


def _condition(concept: str) -> Resource:
    base = "http://terminology.hl7.org/CodeSystem/condition"
    return _record(
        "Condition", concept, clinicalStatus={"coding": [{"system": f"{base}-clinical", "code": "active"}]},
        verificationStatus={"coding": [{"system": f"{base}-ver-status", "code": "confirmed"}]},
        onsetDateTime=(_TAKEN - timedelta(days=30)).isoformat(),
    )  # fmt: skip
