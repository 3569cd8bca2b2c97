"""Draft FHIR resources for a card's suggestions: a referral to the study team, and a test to order.

The form is laid out once with `fhir.resources` (R4B, whose ServiceRequest is that of R4 in every member used here), so
that a member that FHIR does not know cannot slip in; each draft is then filled from that form.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from cds_hooks.words.safe_text import plain
from cds_hooks.words.texts import Texts, texts_of
from mappings.concepts.catalogue import SYSTEMS, Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.planning.needs import Need

_SNOMED = SYSTEMS["snomed"][0]
_LOINC = SYSTEMS["loinc"][0]
_REFERRAL = ("3457005", "Patient referral")
_CATEGORIES: Mapping[str, tuple[str, str]] = {
    "blood-test": ("108252007", "Laboratory procedure"),
    "urine-test": ("108252007", "Laboratory procedure"),
    "imaging": ("363679005", "Imaging"),
}
_OTHER_CATEGORY = ("103693007", "Diagnostic procedure")


def referral(
    trial: Trial, patient: str, reason: str, performer: str = "", texts: Texts | None = None
) -> dict[str, Any]:
    """A draft referral of `patient` ("Patient/123") to the study team; `reason`: why, in one line.

    `performer`: a reference to who takes the referral ("Organization/1"); without one the EHR asks for it. `texts`: of
    the reader's language, default English.
    """
    texts = texts or texts_of()
    name = f"{texts.translated(trial.short_title)} ({trial.id})"
    draft = _form(_REFERRAL, patient)
    if performer:
        draft["performer"] = [{"reference": performer}]
    draft["code"] = {
        "coding": [_coding(_SNOMED, *_REFERRAL)],
        "text": plain(texts("suggest.referral", name=name), 200),
    }
    if trial.registry_url:
        draft["instantiatesUri"] = [trial.registry_url]
    draft["reasonCode"] = [{"text": plain(reason, 300)}]
    return draft


def test_order(need: Need, catalogue: Catalogue, patient: str, reason: str, texts: Texts) -> dict[str, Any]:
    """A draft order of one test for `patient`; `reason` says why in one line, in the language of `texts`."""
    draft = _form(_CATEGORIES.get(need.order.how, _OTHER_CATEGORY), patient)
    draft["code"] = {"coding": _codings(need, catalogue), "text": plain(texts.translated(need.order.title), 200)}
    draft["reasonCode"] = [{"text": plain(reason, 300)}]
    return draft


def _codings(need: Need, catalogue: Catalogue) -> list[dict[str, str]]:
    if local := need.order.local:
        display = {"display": plain(local.display, 200)} if local.display else {}
        return [{"system": local.system, "code": local.code, **display}]
    codings = []
    for system, name, code in ((_LOINC, "loinc", need.order.loinc), (_SNOMED, "snomed", need.order.snomed)):
        if code:
            codings.append(_coding(system, code, _display(name, code, need, catalogue)))
    return codings


def _display(system: str, code: str, need: Need, catalogue: Catalogue) -> str:
    """What the catalogue says that the code means; the title of the test where it lists only the whole panel."""
    for concept in need.concepts:
        entry = catalogue.concepts.get(concept)
        known = entry.codes.get(system, {}) if entry else {}  # type: ignore[call-overload]
        if code in known:
            return plain(str(known[code]), 200)
    return plain(need.order.title, 200)


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


def _form(category: tuple[str, str], patient: str) -> dict[str, Any]:
    draft: dict[str, Any] = msgspec.json.decode(_laid_out(category))
    draft["subject"] = {"reference": patient}
    return draft


@cache
def _laid_out(category: tuple[str, str]) -> bytes:
    """The form as JSON: decoding is the quickest way to a copy of one's own."""
    # Imported here: it takes a third of a second, and only an answer with a suggestion needs it.
    from fhir.resources.R4B.servicerequest import ServiceRequest

    form = ServiceRequest.model_validate(
        {
            "status": "draft",
            "intent": "proposal",
            "priority": "routine",
            "category": [{"coding": [_coding(_SNOMED, *category)]}],
            "subject": {"reference": "Patient/1"},
        }
    )
    laid_out: dict[str, Any] = form.model_dump(mode="json", exclude_none=True)
    return msgspec.json.encode({"resourceType": "ServiceRequest", **laid_out})


def lay_out() -> None:
    """Pay the cost of the forms at start, not in the first answer."""
    for category in (_REFERRAL, _OTHER_CATEGORY, *_CATEGORIES.values()):
        _laid_out(category)
