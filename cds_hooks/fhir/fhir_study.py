"""A trial definition as FHIR R4: a ResearchStudy, and one Group per cohort.

A Group characteristic is "this property, this value, wanted or not". A criterion that is one plain limit, diagnosis or
treatment becomes such a characteristic. Whatever a characteristic cannot say (alternatives, guards, look-backs, limits
of the laboratory, questions for people) is there as text and is flagged, and every characteristic carries its whole
criterion in our own language: nothing is dropped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from cds_hooks.words.numbers import unit_words
from mappings.concepts.catalogue import OUR_SYSTEM, SYSTEMS, Catalogue
from mappings.facts import Polarity
from trial_defs.definition import expressions as x
from trial_defs.definition.rendering import criterion_words, words_of

Json = dict[str, Any]

BASE = "https://trialcards.org/fhir"
KINDS = f"{BASE}/CodeSystem/characteristic"
UCUM = "http://unitsofmeasure.org"
_DEFINITIONS = f"{BASE}/StructureDefinition"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_SNOMED = SYSTEMS["snomed"][0]

# What a characteristic is about, where it is not itself a measured or counted property.
CHARACTERISTIC_KINDS: Mapping[str, str] = {
    "diagnosis": "A diagnosis that is active today",
    "treatment": "A drug, procedure, vaccination or study that is current today",
    "criterion": "A criterion that a characteristic cannot express; its text and its definition are beside it",
}
_POLARITY = {
    Polarity.POSITIVE: ("10828004", "Positive"),
    Polarity.NEGATIVE: ("260385009", "Negative"),
}
# Not yet recruiting is approved, as far as this list of codes goes; our own word is beside it.
_STATUS: Mapping[str, str] = {
    "recruiting": "active",
    "not-yet-recruiting": "approved",
    "closed": "closed-to-accrual",
}
_PHASES = {
    "early phase 1": "early-phase-1",
    "phase 1": "phase-1",
    "phase 1/phase 2": "phase-1-phase-2",
    "phase 2": "phase-2",
    "phase 2/phase 3": "phase-2-phase-3",
    "phase 3": "phase-3",
    "phase 4": "phase-4",
    "not applicable": "n-a",
}
_PHASE_SYSTEM = "http://terminology.hl7.org/CodeSystem/research-study-phase"
_NCT = re.compile(r"/(NCT\d{8})$")
_ID = re.compile(r"^[A-Za-z0-9.-]{1,64}$", re.ASCII)


def study_of(trial: x.Trial, catalogue: Catalogue, *, whole: bool = False) -> Json:
    """The ResearchStudy. With `whole` it contains its Groups; else it refers to them as Group/{id}."""
    groups = [group_of(trial, cohort, catalogue) for cohort in trial.cohorts]
    contained = [*_sites(trial), *(_inside(group, cohort) for group, cohort in zip(groups, trial.cohorts, strict=True))]
    contained = contained if whole else _sites(trial)
    study: Json = {
        "resourceType": "ResearchStudy",
        "id": trial.id,
        "meta": {"versionId": str(trial.version)},
        **({"contained": contained} if contained else {}),
        "extension": _study_extensions(trial),
        "identifier": _identifiers(trial),
        "title": trial.title,
        **_status(trial),
        "phase": _phase(trial.phase),
        "condition": [_condition(name, catalogue) for name in conditions_of(trial)],
        "enrollment": [
            {"reference": f"#{_local(cohort)}" if whole else f"Group/{group['id']}", "display": cohort.title}
            for group, cohort in zip(groups, trial.cohorts, strict=True)
        ],
        "description": trial.short_title,
        "sponsor": {"display": trial.sponsor},
    }
    if trial.sites:
        study["site"] = [{"reference": f"#site-{i}", "display": s.name} for i, s in enumerate(trial.sites, 1)]
    if trial.registry_url:
        study["relatedArtifact"] = [{"type": "documentation", "label": "Registry entry", "url": trial.registry_url}]
    study["note"] = [{"text": f"The document does not say: {what}"} for what in trial.missing]
    study["arm"] = [{"name": cohort.title, **({} if cohort.open else _closed())} for cohort in trial.cohorts]
    return {key: value for key, value in study.items() if value not in ([], None)}


def _closed() -> Json:
    return {"description": "Closed to enrolment"}


def _inside(group: Json, cohort: x.Cohort) -> Json:
    return group | {"id": _local(cohort)}


def _local(cohort: x.Cohort) -> str:
    """The id of a contained Group: the cohort's own, where FHIR allows it as one."""
    return cohort.id if _ID.match(cohort.id) else _digest(cohort.id)


def group_id(trial: x.Trial, cohort: x.Cohort) -> str:
    """`NCT06711146.sle`; a digest takes the cohort's place where the name would be no FHIR id."""
    name = f"{trial.id}.{cohort.id}"
    return name if _ID.match(name) else f"{trial.id[:40]}.{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _study_extensions(trial: x.Trial) -> list[Json]:
    found = [
        extension("definition-hash", valueString=trial.hash),
        extension("recruiting-status", valueCode=trial.status),
    ]
    if trial.overdue_after:
        found.append(extension("overdue-after", valueDate=trial.overdue_after))
    if trial.signed_off:
        signed = [
            {"url": "by", "valueString": trial.signed_off.by},
            {"url": "on", "valueDate": trial.signed_off.on},
        ]
        found.append(extension("signed-off", extension=signed))
    return found


def extension(name: str, **value: object) -> Json:
    """One of our own extensions; docs/fhir.md says what each means."""
    return {"url": f"{_DEFINITIONS}/{name}", **value}


def _identifiers(trial: x.Trial) -> list[Json]:
    own = {"system": f"{BASE}/NamingSystem/trial", "value": trial.id}
    registered = _NCT.search(trial.registry_url or "")
    return [own, *([{"system": "http://clinicaltrials.gov", "value": registered[1]}] if registered else [])]


def _status(trial: x.Trial) -> Json:
    """`status` is required; where it is unknown, FHIR says so by an extension instead of a code."""
    if code := _STATUS.get(trial.status):
        return {"status": code}
    return {"_status": {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}}


def _phase(phase: str) -> Json | None:
    if phase == "not stated":
        return None
    code = _PHASES.get(phase.lower())
    coding = {"coding": [{"system": _PHASE_SYSTEM, "code": code}]} if code else {}
    return {**coding, "text": phase}


def _sites(trial: x.Trial) -> list[Json]:
    return [
        {
            "resourceType": "Location",
            "id": f"site-{number}",
            "extension": [extension("recruiting-status", valueCode=site.status)],
            "name": site.name,
            "address": {"city": site.city, "country": site.country},
        }
        for number, site in enumerate(trial.sites, 1)
    ]


def conditions_of(trial: x.Trial) -> tuple[str, ...]:
    """The diagnoses that open the cohorts' gates, each once."""
    leaves = (leaf for cohort in trial.cohorts for leaf in x.leaves_of(cohort.gate))
    return tuple(dict.fromkeys(leaf.concept for leaf in leaves if isinstance(leaf, x.Condition)))


def _condition(concept: str, catalogue: Catalogue) -> Json:
    """The concept, and the SNOMED CT code that names exactly it, where the catalogue lists one."""
    entry = catalogue.concepts[concept]
    same = [c for c, what in entry.codes.get("snomed", {}).items() if what.casefold() == entry.title.casefold()]
    coding = [_coding(concept, catalogue), *({"system": _SNOMED, "code": c, "display": entry.title} for c in same[:1])]
    return {"coding": coding, "text": entry.title}


def _coding(concept: str, catalogue: Catalogue) -> Json:
    return {"system": OUR_SYSTEM, "code": concept, "display": catalogue.concepts[concept].title}


def _concept(concept: str, catalogue: Catalogue) -> Json:
    return {"coding": [_coding(concept, catalogue)], "text": catalogue.concepts[concept].title}


# -- the Group


def group_of(trial: x.Trial, cohort: x.Cohort, catalogue: Catalogue) -> Json:
    """Who may enter one cohort, as a descriptive Group: all its characteristics together."""
    gate = x.Criterion("gate", "inclusion", "", f"Cohort: {cohort.title}", cohort.gate)
    return {
        "resourceType": "Group",
        "id": group_id(trial, cohort),
        "extension": [extension("cohort", valueString=cohort.id)],
        "active": cohort.open and trial.status != "closed",
        "type": "person",
        "actual": False,
        "name": cohort.title,
        "characteristic": [
            _characteristic(gate, catalogue, words_of(cohort.gate, catalogue)),
            *(_characteristic(each, catalogue, criterion_words(each, catalogue)) for each in cohort.criteria),
        ],
    }


def _characteristic(criterion: x.Criterion, catalogue: Catalogue, words: Json) -> Json:
    plain = None if criterion.only_if else _plain(criterion.asks, catalogue)
    beside = [
        extension("criterion-id", valueString=criterion.id),
        *([extension("criterion-source", valueString=criterion.source)] if criterion.source else []),
        extension("criterion-text", valueString=criterion.text),
        extension("criterion-definition", valueString=msgspec.json.encode(words).decode()),
        *([extension("criterion-step", valueString=criterion.step)] if criterion.step else []),
        *([extension("criterion-reading", valueString=criterion.reading.strip())] if criterion.reading else []),
    ]
    if plain is None:
        plain = {"code": _kind("criterion", criterion.text), "valueBoolean": True}
        beside.append(extension("not-expressed", valueString=_why_not(criterion)))
    # Ignoring one of these would change who belongs to the group, so they are modifiers.
    qualified = [extension("qualified", valueString=what) for what in _qualifiers(criterion.asks)]
    return {
        "extension": beside,
        **({"modifierExtension": qualified} if qualified and "valueBoolean" not in plain else {}),
        **plain,
        "exclude": criterion.kind == "exclusion",
    }


def _kind(name: str, text: str) -> Json:
    return {"coding": [{"system": KINDS, "code": name}], "text": text}


def _plain(asks: x.Expression, catalogue: Catalogue) -> Json | None:
    """Code and value of a leaf that a characteristic can hold; None for everything else."""
    match asks:
        case x.Age(test=test):
            return {"code": _concept("age", catalogue), **_quantity(test)}
        case x.SexIs(sex=sex):
            gender = {"system": "http://hl7.org/fhir/administrative-gender", "code": sex}
            return {"code": _concept("sex", catalogue), "valueCodeableConcept": {"coding": [gender]}}
        case x.Value(test=x.Bound(times=None) | x.Between()):
            return {"code": _concept(asks.concept, catalogue), **_quantity(asks.test)}
        case x.Value(test=Polarity() as polarity) if polarity in _POLARITY:
            code, display = _POLARITY[polarity]
            answer = {"coding": [{"system": _SNOMED, "code": code, "display": display}]}
            return {"code": _concept(asks.concept, catalogue), "valueCodeableConcept": answer}
        case x.Condition():
            return {
                "code": _kind("diagnosis", "Diagnosis"),
                "valueCodeableConcept": _concept(asks.concept, catalogue),
            }
        case x.Treatment(concepts=(concept,), different=1):
            return {"code": _kind("treatment", "Treatment"), "valueCodeableConcept": _concept(concept, catalogue)}
        case _:
            return None


def _quantity(test: x.Test) -> Json:
    match test:
        case x.Between():
            return {"valueRange": {"low": _amount(test.low), "high": _amount(test.high)}}
        case x.Bound():
            return {"valueQuantity": _amount(test) | {"comparator": test.comparator}}
        case _:
            raise ValueError("a polarity is no quantity")


def _amount(bound: x.Bound) -> Json:
    return {
        "value": _number(bound.number),
        "unit": unit_words(bound.unit) or bound.unit,
        "system": UCUM,
        "code": bound.unit,
    }


def _number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _why_not(criterion: x.Criterion) -> str:
    """Why a criterion is no plain characteristic."""
    if criterion.only_if:
        return "Asked of some patients only; the definition says of whom."
    match criterion.asks:
        case x.Judgement():
            return "A question that a person answers."
        case x.Consent():
            return "A step that the patient takes."
        case x.Value():
            return "A limit relative to the laboratory's own limit of normal."
        case x.Change():
            return "A change between two results."
        case x.Treatment():
            return "One or more of several treatments."
        case _:
            return "Several questions joined by and, or, not, or a count."


def _began(leaf: x.Condition) -> str:
    if leaf.anchor:
        return f"Began within {leaf.began_within} {leaf.anchor.side} another event of the chart."
    return f"Began within the last {leaf.began_within}."


def _when(leaf: x.Treatment) -> str:
    if leaf.anchor:
        return f"Within {leaf.within} {leaf.anchor.side} another event of the chart."
    return f"At some time within the last {leaf.within}."


def _qualifiers(leaf: x.Expression) -> Iterator[str]:
    """What of a leaf its characteristic leaves unsaid."""
    match leaf:
        case x.Value():
            yield from _said(f"Within the last {leaf.within}.", leaf.within)
            yield from _said("Any result in that time, not only the newest.", leaf.pick == "any")
            yield from _said(f"{leaf.runs} consecutive results.", leaf.runs > 1)
            yield from _said(f"Unchanged for {leaf.stable_for}.", leaf.stable_for)
            yield from _said(f"Not taken within {leaf.clear_for} after a treatment that raises it.", leaf.clear_of)
            yield from _said(f"Taken at least {leaf.distance} after a treatment began.", leaf.distance)
        case x.Condition():
            yield from _said("At any time, also in the past.", leaf.when == "ever")
            yield from _said(f"At some time within the last {leaf.within}.", leaf.within)
            yield from _said(_began(leaf), leaf.began_within)
            yield from _said(f"For at least {leaf.lasting}.", leaf.lasting)
            yield from _said("Some narrower diagnoses are excepted.", leaf.excepting)
        case x.Treatment():
            yield from _said("At any time, also in the past.", leaf.when == "ever")
            yield from _said(_when(leaf), leaf.within)
            yield from _said(f"For at least {leaf.lasting}.", leaf.lasting)
        case _:
            return


def _said(text: str, holds: object) -> Iterator[str]:
    if holds:
        yield text


# -- search


def matching(
    trials: Iterable[x.Trial],
    catalogue: Catalogue,
    *,
    conditions: tuple[str, ...] = (),
    statuses: tuple[str, ...] = (),
    ids: tuple[str, ...] = (),
) -> list[x.Trial]:
    """The trials that fit FHIR search parameters; each is a list of alternatives, `system|code` or `code`."""
    wanted = [found for token in conditions if (found := _concepts_of_token(token, catalogue))]
    return [
        trial
        for trial in trials
        if (not conditions or any(_is_in(trial, found, catalogue) for found in wanted))
        and (not statuses or _STATUS.get(trial.status, "unknown") in statuses)
        and (not ids or trial.id in ids)
    ]


def _is_in(trial: x.Trial, wanted: tuple[str, ...], catalogue: Catalogue) -> bool:
    """Whether the trial is in this diagnosis, a wider one or a narrower one; `wanted` goes from narrow to wide.

    Lupus nephritis finds the trials in lupus, and lupus those in lupus nephritis.
    """
    own = conditions_of(trial)
    return any(name in wanted for name in own) or any(wanted[0] in catalogue.ancestors(name) for name in own)


def _concepts_of_token(token: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Every concept that a search token stands for, narrowest first; wider ones are included."""
    system, bar, code = token.rpartition("|")
    if bar and system:
        return catalogue.find(system, code)
    systems = (OUR_SYSTEM, *(addresses[0] for addresses in SYSTEMS.values()))
    return next((found for each in systems if (found := catalogue.find(each, code))), ())
