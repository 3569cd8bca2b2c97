"""Who is not to be approached for research: every row of docs/consent.md is a chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.mappings.charts import SUBJECT, code, facts_from

Json = dict[str, Any]
PAGE = (Path(__file__).parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (.+?) \| (hidden|shown) \|$", PAGE, re.M))
POLICIES = "2.16.840.1.113883.3.1937.777.24.5.3"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


def consent(provision: Json | None = None, scope: str = "research", **more: Any) -> Json:
    found = {"resourceType": "Consent", "id": "c", "status": "active", "scope": code(SCOPE, scope), "patient": SUBJECT}
    return found | ({"provision": provision} if provision is not None else {}) | more


def rule(kind: str | None, *nested: Json, **more: Any) -> Json:
    return ({"type": kind} if kind else {}) | ({"provision": list(nested)} if nested else {}) | more


def purpose(name: str) -> list[Json]:
    return [{"system": REASON, "code": name}]


def policy(number: int) -> Json:
    return code(f"urn:oid:{POLICIES}", f"{POLICIES}.{number}")


def broad(*permitted: int, **more: Any) -> Json:
    """The German broad consent that permits these policies, each in a provision of its own."""
    period = {"start": "2026-01-10", "end": "2056-01-10"}
    nested = (rule("permit", period=period, code=[policy(number)]) for number in permitted)
    return consent(rule("deny", *nested, period=period)) | more


def with_rules(given: Json, *rules: Json) -> Json:
    return given | {"provision": given["provision"] | {"provision": [*given["provision"]["provision"], *rules]}}


CONTACT = [{"text": "Contact the patient about studies"}]
ENDED = {"start": "2020-01-01", "end": "2024-01-01"}
LATER = {"start": "2030-01-01"}
ACTOR = [{"role": {"text": "recipient"}, "reference": {"reference": "Organization/x"}}]
CLASS = [{"system": "http://hl7.org/fhir/resource-types", "code": "Media"}]
GICS = "https://ths-greifswald.de/fhir/CodeSystem/gics/Policy"
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
DENY, PERMIT = consent(rule("deny")), consent(rule("permit"))
OLD, NEW = {"dateTime": "2024-01-01"}, {"dateTime": "2026-01-01"}
STUDY = {"policy": [{"uri": "https://study.example/consent"}]}


def permits(*nested: Json) -> Json:
    return consent(rule("permit", *nested))


CHARTS: dict[str, list[list[Json]]] = {
    "about research, denies in its only provision": [[DENY]],
    "about research, permits": [[PERMIT]],
    "about treatment or privacy, denies without naming research": [
        [consent(rule("deny"), scope)] for scope in ("treatment", "patient-privacy")
    ],
    "about privacy, denies the purpose research (HRESCH, CLINTRCH and others of `v3-ActReason`)": [
        [consent(rule("deny", purpose=purpose(name)), "patient-privacy")] for name in ("HRESCH", "CLINTRCH", "TRANSRCH")
    ],
    "about privacy, permits treatment, with a nested denial of the purpose research": [
        [consent(rule("permit", rule("deny", purpose=purpose("HRESCH")), purpose=purpose("TREAT")), "patient-privacy")]
    ],
    "about research, denies the purpose treatment only": [[consent(rule("deny", purpose=purpose("TREAT")))]],
    "about research, outer provision without a type, nested denial of everything": [
        [consent(rule(None, rule("deny")))],
        [consent(rule(None, rule("permit", rule("deny"))))],
    ],
    "about research, outer provision without a type, nested denial of contact by a code in words": [
        [consent(rule(None, rule("deny", code=CONTACT)))]
    ],
    "about research, outer provision permits, nested denial of contact by a code in words": [
        [permits(rule("deny", code=CONTACT))]
    ],
    "about research, outer provision permits, nested denial of the purpose marketing": [
        [permits(rule("deny", purpose=purpose("HMARKT")))]
    ],
    "about research, outer provision permits, nested denial of a class of data without a purpose": [
        [permits(rule("deny", **{"class": CLASS}))]
    ],
    "about research, outer provision permits, nested denial of a class of data for the purpose research": [
        [permits(rule("deny", purpose=purpose("HRESCH"), **{"class": CLASS}))]
    ],
    "about research, outer provision permits, nested denial of the actions collect and correct only": [
        [permits(rule("deny", action=[code(ACTIONS, "collect"), code(ACTIONS, "correct")]))]
    ],
    "about research, outer provision permits, nested denial of the action use": [
        [permits(rule("deny", action=[code(ACTIONS, "collect"), code(ACTIONS, "use")]))]
    ],
    "about research, outer provision permits, nested denial for one actor": [[permits(rule("deny", actor=ACTOR))]],
    "about research, outer provision denies, nested permission for one actor": [
        [consent(rule("deny", rule("permit", actor=ACTOR)))]
    ],
    "about research, outer provision denies, nested permission for the purpose research": [
        [consent(rule("deny", rule("permit", purpose=purpose("HRESCH"))))]
    ],
    "about research, outer provision denies, nested permission, within it a denial of contact": [
        [consent(rule("deny", rule("permit", rule("deny", code=CONTACT))))]
    ],
    "about research, no type, policy rule is OPTOUT": [
        [consent(given, policyRule=code("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT"))]
        for given in (None, rule(None))
    ],
    "about research, no type, policy rule is OPTIN": [
        [consent(given, policyRule=code("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"))]
        for given in (None, rule(None))
    ],
    "about research, R5, `decision` is deny": [[consent(decision="deny")], [consent(rule(None), decision="deny")]],
    "about research, R5, `decision` is permit": [[consent(decision="permit")]],
    "denies, but its status is draft, proposed, inactive or entered in error": [
        [DENY | {"status": status}] for status in ("draft", "proposed", "inactive", "entered-in-error")
    ],
    "about research, its status is rejected: the patient was asked and refused": [[PERMIT | {"status": "rejected"}]],
    "denies, dated later than the moment of reading": [[DENY | {"dateTime": "2027-01-01"}]],
    "denies, the outer period has ended": [[consent(rule("deny", period=ENDED))]],
    "denies, the outer period begins later": [[consent(rule("deny", period=LATER))]],
    "permits, a nested denial whose period has ended": [[permits(rule("deny", period=ENDED))]],
    "about research, no provision and no rule; its scope or category names a refusal": [
        [consent(category=[{"text": words}]) | {"scope": {"text": words}}]
        for words in (
            "Research participation - declined",
            "Forschung abgelehnt",
            "Refus de participation à la recherche",
            "No autoriza el uso en investigación",
            "Bezwaar tegen wetenschappelijk onderzoek",
            "National data opt-out",
            "Dissent from secondary use of patient data",
        )
    ],
    "about research, no provision and no rule; its scope or category names no refusal": [
        [consent() | {"scope": {"text": words}}]
        for words in ("Research", "Research: no objection", "Kein Widerspruch gegen Forschung")
    ],
    "about research, with a modifierExtension, which we do not understand": [
        [PERMIT | {"modifierExtension": [{"url": "urn:not"}]}]
    ],
    "use (`.8`) and contact (`.26`)": [[broad(6, 8, 26)]],
    "the modules `.1` and `.26`": [[broad(1, 26)]],
    "use (`.8`) and contact about further studies (`.29`), as gICS names them": [
        [
            consent(
                rule(
                    "deny",
                    rule("permit", code=[code(GICS, "MDAT_wissenschaftlich_nutzen_EU_DSGVO_NIVEAU")]),
                    rule("permit", code=[code(GICS, "Rekontaktierung_weitere_Studien")]),
                )
            )
        ]
    ],
    "use, and not contact": [[broad(6, 8)]],
    "contact, and not use": [[broad(26)]],
    "use, and contact only about incidental findings (`.31`)": [[broad(8, 31)]],
    "nothing": [[broad()]],
    "use and contact, but the period of contact has ended": [
        [with_rules(broad(8), rule("permit", period=ENDED, code=[policy(26)]))]
    ],
    "use and contact; a further nested provision denies contact about further studies (`.29`)": [
        [with_rules(broad(8, 26), rule("deny", code=[policy(29)]))]
    ],
    "use and contact; a further nested provision denies biomaterial (`.22`)": [
        [with_rules(broad(8, 26), rule("deny", code=[policy(22)]))]
    ],
    "one denies, one permits, neither is dated": [[DENY, PERMIT]],
    "an earlier one denies, a later one of the same form permits": [[DENY | OLD, PERMIT | NEW]],
    "an earlier one permits, a later one of the same form denies": [[PERMIT | OLD, DENY | NEW]],
    "an earlier one denies, a later one for another policy (one study) permits": [[DENY | OLD, PERMIT | NEW | STUDY]],
    "an earlier one denies, a later one of the same form permits for one actor only": [
        [DENY | OLD, consent(rule("permit", actor=ACTOR)) | NEW]
    ],
    "an earlier broad consent without contact, a later one with use and contact": [
        [broad(8) | OLD, broad(8, 26) | NEW]
    ],
    "an earlier one denies, a later one of the same form is a draft": [
        [DENY | OLD, PERMIT | NEW | {"status": "draft"}]
    ],
}


def test_every_row_of_the_page_is_tried() -> None:
    assert list(ROWS) == list(CHARTS)


@pytest.mark.parametrize("row", CHARTS)
def test_a_patient_is_hidden_or_shown_as_the_page_says(row: str) -> None:
    for consents in CHARTS[row]:
        for order in (consents, consents[::-1]):
            numbered = [each | {"id": f"c{number}"} for number, each in enumerate(order)]
            assert facts_from(*numbered).declines_research == (ROWS[row] == "hidden"), consents


@pytest.mark.parametrize(
    "words",
    [
        "Do not contact for research",
        "Declines clinical trials",
        "No trials",
        "Opted-out of trial recruitment",
        "Do not approach for studies",
        "Lehnt Studienteilnahme ab",
        "Keine Studien",
        "Nicht für Studien kontaktieren",
        "S'oppose à la recherche clinique",
        "Rechaza participar en ensayos clínicos",
        "Geen wetenschappelijk onderzoek",
        "Patient refuses all studies",
        "Refuses studies",
        "National data opt-out",
        "National Data Opt-Out: registered",
        "Type 1 opt out",
        "Dissent from secondary use of GP patient identifiable data",
        "Research: declined",
        "Declined: research studies",
        "Research participation - no",
        "Does not want to take part in any study",
        "Not interested in clinical trials",
        "Unwilling to be in a trial",
        "Do not contact (research)",
        "Do not contact by research nurses",
        "Not for recruitment to studies",
        "Excluded from research",
        "MRSA, isolated; research: patient declined",
        "research-opt-out",
        "NO_RESEARCH_CONTACT",
        "ResearchOptOut",
        "Forschungswiderspruch",
        "Studienteilnahme: verweigert",
        "Möchte nicht an Studien teilnehmen",
        "Ne souhaite pas participer à des études",
        "Refuse toute étude clinique",
        "No desea participar en estudios",
        "Non vuole partecipare a studi clinici",
        "Recusa participar de pesquisa",
        "Vill inte delta i forskning",
        "Ønsker ikke forskning",
        "Kieltää tieteellisen tutkimuksen",
        "Odmawia udziału w badaniach klinicznych",
        "研究不参加",
        "治験拒否",
        "拒绝参加临床试验",
        "임상시험 거부",
    ],
)
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"period": ENDED}, False),
        ({"status": "inactive"}, False),
    ],
)
def test_a_flag_hides_until_its_period_ends(words: str, more: Json, expected: bool) -> None:
    flag = {"resourceType": "Flag", "id": "f", "status": "active", "code": {"text": words}, "subject": SUBJECT} | more
    assert facts_from(flag).declines_research == expected


@pytest.mark.parametrize(
    "words",
    [
        "Enrolled in a clinical trial",
        "No objection to research contact",
        "Sleep study refused",
        "Declined trial of labor",
        "Recherche de BMR refusée",
        "Non-small cell lung cancer, research patient",
        "MRSA, not isolated; research nurse",
        "MRSA not isolated, seen by research nurse",
        "MRSA, not isolated, research nurse",
        "Clinical trial participant: do not stop study drug",
        "On clinical trial - do not give live vaccines",
        "Do not stop the study drug without the research team",
        "Refuses blood products; enrolled in a research study",
        "Declines nerve conduction studies",
        "Refuses imaging studies and trial without catheter",
        "Isolation: no; research participant: yes",
        "No research restrictions",
        "Has not opted out of research",
        "National data opt-out: no",
        "National data opt-out withdrawn",
        "Research objective met",
        "Do not resuscitate; in a clinical trial",
        "Research patient, not to be discharged without a call",
        "Kein Widerspruch gegen Forschung",
        "Weigert medicatie",
        "Patient refuses",
        "Do not contact",
    ],
)
def test_a_flag_without_a_refusal_of_research_hides_nobody(words: str) -> None:
    flag = {"resourceType": "Flag", "id": "f", "status": "active", "code": {"text": words}, "subject": SUBJECT}
    assert not facts_from(flag).declines_research


def test_a_flag_may_say_it_in_its_category_and_its_code_together() -> None:
    flag = {"resourceType": "Flag", "id": "f", "status": "active", "subject": SUBJECT, "code": {"text": "Declined"}}
    assert facts_from(flag | {"category": [{"text": "Research"}]}).declines_research
    assert facts_from(flag | {"category": {"coding": [{"display": "Research"}]}}).declines_research
    assert not facts_from(flag | {"category": [{"text": "Diet"}]}).declines_research
