"""What we offer: each service with its hook, its words and the prefetch that it needs. Discovery is this table.

CDS Hooks 2.0, "Discovery" and "Prefetch Template". Templates stay inside the query subset that the specification
recommends (one reference parameter, `_sort`, `_count`) and use no parameter twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cds_hooks.protocol.models import NEEDS_ORDERS
from mappings.resource_types import ROWS, Row


@dataclass(frozen=True, slots=True)
class Prefetch:
    """One part of the chart: the key under which an EHR sends it, its resource type, and the query that gets it."""

    key: str
    resource_type: str
    template: str
    required: bool = False

    @property
    def is_newest_first(self) -> bool:
        """Whether the query asks for the newest record first."""
        return "_sort=-date" in self.template

    def query(self, patient_id: str) -> str:
        """The query for one patient, relative to the FHIR base. `patient_id` has been checked to be a FHIR id."""
        return self.template.replace("{{context.patientId}}", patient_id)


def _prefetch(row: Row) -> Prefetch:
    patient = "{{context.patientId}}"
    template = f"{row.name}?patient={patient}{row.query}&_count=200" if row.subject else f"{row.name}/{patient}"
    return Prefetch(row.prefetch or "", row.name, template, row.is_required)


# The parts without which there is no answer come first.
CHART: tuple[Prefetch, ...] = tuple(
    _prefetch(row) for row in sorted(ROWS, key=lambda row: not row.is_required) if row.prefetch
)
READ_TYPES = frozenset(part.resource_type for part in CHART)


@dataclass(frozen=True, slots=True)
class Offer:
    """One service: the hook that it listens to and the words under which an EHR lists it."""

    id: str
    hook: str
    title: str
    description: str
    prefetch: tuple[Prefetch, ...] = CHART

    @property
    def is_about_orders(self) -> bool:
        """Whether it answers with the effect of draft orders, and not with the matches themselves."""
        return self.hook in NEEDS_ORDERS

    @property
    def required(self) -> tuple[Prefetch, ...]:
        return tuple(part for part in self.prefetch if part.required)

    @property
    def required_keys(self) -> tuple[str, ...]:
        return tuple(part.key for part in self.required)


_WHAT = (
    "holds the patient's chart against the clinical trials of this site and shows, for each trial worth a "
    "conversation, what is met, what is not met and what is missing, with the evidence."
)
_EFFECT = (
    "shows which clinical trial an order would close to a patient who may fit it (a B-cell depleting drug, a live "
    "vaccine, immunoglobulin, a steroid pulse), until when, and what would keep it open. Any other order: no card."
)
OFFERS: tuple[Offer, ...] = (
    Offer(
        id="trial-match-patient-view",
        hook="patient-view",
        title="Clinical trials for this patient",
        description=f"When a chart is opened: {_WHAT}",
    ),
    Offer(
        id="trial-match-encounter-start",
        hook="encounter-start",
        title="Clinical trials at the start of an encounter",
        description=f"When an encounter begins: {_WHAT}",
    ),
    Offer(
        id="trial-match-order-select",
        hook="order-select",
        title="Trials that a selected order would close",
        description=f"When orders are selected: {_EFFECT}",
    ),
    Offer(
        id="trial-match-order-sign",
        hook="order-sign",
        title="Trials that an order would close",
        description=f"Before orders are signed: {_EFFECT}",
    ),
)


def find_offer(service_id: str, offers: Sequence[Offer] = OFFERS) -> Offer | None:
    return next((offer for offer in offers if offer.id == service_id), None)


def discovery(offers: Sequence[Offer] = OFFERS) -> bytes:
    """The discovery document; the same bytes for the same offers."""
    return msgspec.json.encode({"services": [_listed(offer) for offer in offers]})


def _listed(offer: Offer) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "hook": offer.hook,
        "title": offer.title,
        "description": offer.description,
        "id": offer.id,
    }
    if offer.prefetch:
        listed["prefetch"] = {part.key: part.template for part in offer.prefetch}
        optional = "everything else may be left out, and then leaves criteria open"
        listed["usageRequirements"] = f"Needs {' and '.join(offer.required_keys)}; {optional}."
    return listed
