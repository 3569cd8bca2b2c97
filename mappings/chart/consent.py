"""Whether the chart says that the patient is not to be approached for research.

Two questions are put to every Consent that is in force: may data be used for research, and may the patient be contacted
about it? A denial of either is one. docs/consent.md is the table of what hides a patient.

FHIR R4, Consent: a nested provision is an exception to the one around it. The German broad consent (policy codes of the
Medical Informatics Initiative, CodeSystem urn:oid:2.16.840.1.113883.3.1937.777.24.5.3, 2027.0.0-ballot.rc1) denies in
its outer provision and permits in nested ones.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mappings.chart import fhir
from mappings.chart.chart import Chart
from mappings.chart.refusals import refuses_research
from mappings.clean_text import clean
from mappings.time.clock import Clock
from mappings.time.times import Moment

REFUSALS = ("Consent", "Flag")  # the types of resource that can say so

Topic = Literal["use", "contact"]
Decision = Literal["deny", "permit"]
TOPICS: tuple[Topic, ...] = ("use", "contact")
_BOTH = frozenset(TOPICS)
_NEITHER: frozenset[Topic] = frozenset()

_MII = "2.16.840.1.113883.3.1937.777.24.5.3"
_MII_TOPICS: dict[str, frozenset[Topic]] = {
    f"{_MII}.1": frozenset({"use"}),  # module: collect, store and use patient data
    f"{_MII}.8": frozenset({"use"}),  # use medical data for science
    f"{_MII}.26": frozenset({"contact"}),  # module: contact the patient again
    f"{_MII}.29": frozenset({"contact"}),  # contact the patient again about further studies
}
# http://terminology.hl7.org/CodeSystem/v3-ActReason, under HRESCH. Not POARCH and PRECLINTRCH: no trial is either.
_PURPOSES = frozenset({"HRESCH", "BIORCH", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "DSRCH", "TRANSRCH"})
# http://terminology.hl7.org/CodeSystem/consentaction: what is not done when somebody is considered for a trial.
_OTHER_ACTIONS = frozenset({"collect", "correct"})
_BASE_RULES: dict[str, Decision] = {"optout": "deny", "optoute": "deny", "optin": "permit", "optinr": "permit"}

_RESEARCH = re.compile(
    r"\bresearch\b|\brsch|\bsecondary use\b|\bnational data opt[ -]?out\b|\btype 1 opt[ -]?out\b"
    r"|\bclinical (trials?|study|studies)\b|\btrials\b"
    r"|\btrial (contact|enrol\w*|invit\w*|particip\w*|recruit\w*)"
    r"|\b(contact|approach|recruit|invit)\w* .*\b(trial|study|studies)\b"
    r"|forschung|wissenschaftlich|\bstudien?(teil\w*)?\b|wetenschappelijk|klinisch onderzoek"
    r"|\b(à|a|pour) la recherche\b|\brecherche (biomédicale|clinique|médicale|scientifique)\b|\bessais? cliniques?\b"
    r"|\b(en|para) (la )?investigación\b|\binvestigación (científica|clínica|médica)\b|\bensayos? clínicos?\b"
    r"|\bricerca\b|\bstudi clinici\b",
    re.I,
)
_CONTACT = re.compile(r"\b(re-?)?contact\w*|kontakt|\brecruit\w*|\bapproach\w*|\binvit(e|ed|ation)\b", re.I)
_MEDICAL_DATA = re.compile(r"\bmdat\b", re.I)
_OTHER_DATA = re.compile(r"\b(biomat|kkdat|kdat|idat)\b|ergaenzung|erhebung|verknuepfung|zusatzbefund|ergebnisse", re.I)
_DENIES = re.compile(
    r"\b(no|not|never|declin\w*|refus\w*|opt(ed|s|ing)?[ -]?out|withdr\w+|object(s|ed|ing|ions?)?|dissent\w*"
    r"|den(y|ies|ied))\b"
    r"|\b(keine?|nicht|lehnt|ablehn\w*|abgelehnt|widerspr\w+|widerruf\w*|geen|niet|bezwaar|weiger\w*)\b"
    r"|\b(ne pas|opposition|opposée?|s['’]oppose|retrait|rechaz\w+|rifiut\w+)\b",
    re.I,
)
_NO_OBJECTION = re.compile(
    r"\bno (objections?|refusal)\b|\b(does|did) not (object|decline|refuse)\b"
    r"|\bkein(en?)? widerspruch\b|\bgeen bezwaar\b",
    re.I,
)


def declines_research(chart: Chart, clock: Clock) -> bool:
    """A Consent in force that denies research or contact, or an active Flag that says so in its code or words."""
    flags = (flag for _, flag in chart.of(fhir.Flag))
    return any(_warns(flag, clock) for flag in flags) or _is_denied(chart, clock)


def _is_denied(chart: Chart, clock: Clock) -> bool:
    statements = [_statement(consent, clock) for _, consent in chart.of(fhir.Consent)]
    known = [statement for statement in statements if statement]
    return any(
        statement.decisions[topic] == "deny" and not any(_lifts(other, statement, topic) for other in known)
        for statement in known
        for topic in TOPICS
    )


@dataclass(frozen=True)
class _Statement:
    """What one Consent says of each topic, when it was given, and what form it was given on."""

    decisions: dict[Topic, Decision | None]
    given: Moment | None
    form: tuple[frozenset[str], ...]


def _lifts(later: _Statement, denial: _Statement, topic: Topic) -> bool:
    """Whether a permission is a later answer to the same question: the same scope, categories and policies."""
    if later.decisions[topic] != "permit" or later.form != denial.form or not later.given or not denial.given:
        return False
    return later.given.earliest > denial.given.latest


def _statement(consent: fhir.Consent, clock: Clock) -> _Statement | None:
    """None where the Consent says nothing, because it is not in force, or is not about research."""
    status = clean(consent.status or "").lower()
    given = consent.date_time or consent.date
    if status not in ("active", "rejected") or clock.is_future(given):
        return None
    about = " ".join(map(_words, _concepts(consent)))
    is_research = bool(_RESEARCH.search(about)) or any(map(_is_broad, consent.provision))
    decisions = {topic: _decision(consent, topic, is_research, clock) for topic in TOPICS}
    is_modified = consent.modifier_extension or consent.implicit_rules
    if is_research and (status == "rejected" or is_modified):
        decisions = dict.fromkeys(TOPICS, "deny")
    elif status == "rejected":
        return None
    return _Statement(decisions, clock.moment(given), _form(consent)) if any(decisions.values()) else None


def _is_broad(rule: fhir.Provision) -> bool:
    """Whether it has a policy code of the German broad consent, itself or in an exception."""
    return any(code.startswith(f"{_MII}.") for code in _codes(rule)) or any(map(_is_broad, rule.provision))


def _codes(rule: fhir.Provision) -> list[str]:
    return [clean(coding.code or "").removeprefix("urn:oid:") for concept in rule.code for coding in concept.coding]


def _concepts(consent: fhir.Consent) -> Iterator[fhir.CodeableConcept]:
    yield from (concept for concept in (consent.scope, *consent.category) if concept)


def _form(consent: fhir.Consent) -> tuple[frozenset[str], ...]:
    scope = {_words(consent.scope)} if consent.scope else set()
    rule = {_words(consent.policy_rule)} if consent.policy_rule else set()
    policies = {clean(policy.uri) for policy in consent.policy if policy.uri}
    return frozenset(scope), frozenset(map(_words, consent.category)), frozenset(policies | rule)


def _decision(consent: fhir.Consent, topic: Topic, is_research: bool, clock: Clock) -> Decision | None:
    """What the Consent as a whole says of a topic; of several outer provisions (R5) a denial counts."""
    base = _type(consent.decision) or _base_rule(consent.policy_rule)
    found = [_provision(each, topic, base, is_research, clock) for each in consent.provision]
    if not consent.provision:
        return base or _denial_in_words(consent) if is_research else None
    return _strictest(found)


def _denial_in_words(consent: fhir.Consent) -> Decision | None:
    """A denial that only the words of a scope or category hold: "Research participation - declined"."""
    return "deny" if any(_is_refusal(_words(concept)) for concept in _concepts(consent)) else None


def _base_rule(rule: fhir.CodeableConcept | None) -> Decision | None:
    """The rule to which an outer provision without a type is the exception, or with which it agrees."""
    return next((_BASE_RULES[code] for code in fhir.codes_of(rule) if code in _BASE_RULES), None)


def _provision(
    rule: fhir.Provision, topic: Topic, inherited: Decision | None, is_research: bool, clock: Clock
) -> Decision | None:
    """What a rule with its exceptions says of a topic; nothing while its period has not begun or is over."""
    if not _is_in_force(rule.period, clock):
        return None
    own = _type(rule.type) or inherited
    opposite: Decision | None = None if own is None else "permit" if own == "deny" else "deny"
    nested = _strictest(_provision(each, topic, opposite, is_research, clock) for each in rule.provision)
    if nested:
        return nested
    is_permit = own == "permit"
    return own if topic in _topics(rule, is_research, is_permit) else None


def _strictest(found: Iterable[Decision | None]) -> Decision | None:
    decisions = set(found)
    return "deny" if "deny" in decisions else "permit" if "permit" in decisions else None


def _type(text: str | None) -> Decision | None:
    match clean(text or "").lower():
        case "deny":
            return "deny"
        case "permit":
            return "permit"
    return None


def _topics(rule: fhir.Provision, is_research: bool, is_permit: bool) -> frozenset[Topic]:
    """The topics that a rule is about, itself and not by its exceptions."""
    if policies := [code for code in _codes(rule) if code.startswith(f"{_MII}.")]:
        return _all_of(_MII_TOPICS.get(code, _NEITHER) for code in policies)
    actions = {code for concept in rule.action for code in fhir.codes_of(concept)}
    if actions and actions <= _OTHER_ACTIONS:
        return _NEITHER
    # A denial of some data does not deny research, and a permission for some data or some people does not permit it.
    is_narrowed = bool(rule.kind or rule.data or rule.data_period or rule.security_label)
    if is_permit and (is_narrowed or rule.actor):
        return _NEITHER
    named = _named_topics(rule, is_research)
    return named if named is not None else _BOTH if is_research and not is_narrowed else _NEITHER


def _named_topics(rule: fhir.Provision, is_research: bool) -> frozenset[Topic] | None:
    """The topics that purposes and codes name; None where there are neither, so that the rule is about everything."""
    purposes = [clean(purpose.code or "").upper() in _PURPOSES or _is_research(purpose) for purpose in rule.purpose]
    if purposes and not any(purposes):
        return _NEITHER
    if not rule.code:
        return _BOTH if purposes else None
    words = [_words(concept) for concept in rule.code]
    if not is_research and not purposes:
        words = [text for text in words if _RESEARCH.search(text)]  # contact alone may be for anything
    return _all_of(map(_topics_of_words, words))


def _all_of(topics: Iterable[frozenset[Topic]]) -> frozenset[Topic]:
    return frozenset(itertools.chain.from_iterable(topics))


def _topics_of_words(words: str) -> frozenset[Topic]:
    if _OTHER_DATA.search(words):
        return _NEITHER
    if _CONTACT.search(words):
        return frozenset({"contact"})
    if not _RESEARCH.search(words):
        return _NEITHER
    return frozenset({"use"}) if _MEDICAL_DATA.search(words) else _BOTH


def _is_research(coding: fhir.Coding) -> bool:
    return bool(_RESEARCH.search(_words(fhir.CodeableConcept((coding,)))))


def _is_in_force(period: fhir.Span | None, clock: Clock) -> bool:
    if period is None:
        return True
    start, end = clock.moment(period.start), clock.moment(period.end)
    return not (start and clock.is_to_come(start)) and not (end and clock.is_over(end))


def _warns(flag: fhir.Flag, clock: Clock) -> bool:
    if clean(flag.status or "").lower() != "active":
        return False
    end = clock.moment(flag.period.end) if flag.period else None
    if end and clock.is_over(end):
        return False
    concepts = [concept for concept in (flag.code, *flag.category) if concept]
    texts = (c.text for c in concepts)
    codings = (text for c in concepts for coding in c.coding for text in (coding.code, coding.display))
    return refuses_research(clean(text) for text in (*texts, *codings) if text)


def _is_refusal(words: str) -> bool:
    return bool(_DENIES.search(_NO_OBJECTION.sub("", words)))


def _words(concept: fhir.CodeableConcept) -> str:
    codings = (text for coding in concept.coding for text in (coding.code, coding.display))
    return clean(" ".join(text for text in (concept.text, *codings) if text)).replace("_", " ")
