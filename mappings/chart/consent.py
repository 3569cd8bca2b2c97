"""Whether the chart says that the patient is not to be approached for research."""

from __future__ import annotations

import re

from mappings.chart import fhir
from mappings.chart.chart import Chart
from mappings.time.clock import Clock

_RESEARCH = re.compile(r"\bresearch\b|\brsch|\bclinical (trial|study|studies)\b", re.I)
_DENIES = re.compile(
    r"\b(no|not|never|declin\w*|refus\w*|opt(ed|s|ing)?[ -]?out|withdr\w+|object\w*|den(y|ies|ied))\b", re.I
)


REFUSALS = ("Consent", "Flag")  # the types of resource that can say so


def declines_research(chart: Chart, clock: Clock) -> bool:
    """An active Consent that denies research, or an active Flag that says so in its code or words."""
    consents = (consent for _, consent in chart.of(fhir.Consent))
    flags = (flag for _, flag in chart.of(fhir.Flag))
    return any(map(_denies, consents)) or any(_warns(flag, clock) for flag in flags)


def _denies(consent: fhir.Consent) -> bool:
    if fhir.clean(consent.status or "").lower() != "active":
        return False
    about = " ".join(_words(c) for c in (consent.scope, *consent.category) if c)
    decisions = {fhir.clean(text).lower() for text in (consent.decision, *(p.type for p in consent.provision)) if text}
    return bool(_RESEARCH.search(about)) and "deny" in decisions


def _warns(flag: fhir.Flag, clock: Clock) -> bool:
    if fhir.clean(flag.status or "").lower() != "active":
        return False
    end = clock.moment(flag.period.end) if flag.period else None
    words = _words(flag.code) if flag.code else ""
    return not (end and clock.is_over(end)) and bool(_RESEARCH.search(words) and _DENIES.search(words))


def _words(concept: fhir.CodeableConcept) -> str:
    codings = (text for coding in concept.coding for text in (coding.code, coding.display))
    return fhir.clean(" ".join(text for text in (concept.text, *codings) if text))
