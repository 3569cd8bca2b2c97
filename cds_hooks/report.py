"""A match as JSON: the MatchReport of the API, and the same form for one trial, as it is in a card's extension."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from cds_hooks.words.numbers import day_words, interval_words
from cds_hooks.words.safe_text import plain
from cds_hooks.words.texts import Texts, texts_of
from cds_hooks.words.wording import Titles, explanation, person_words, titles_of
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Episode, Result, SourceReport
from mappings.time.times import Moment
from trial_defs.engine.findings import (
    ALIKE,
    CohortMatch,
    Evidence,
    Finding,
    Margin,
    Match,
    Outcome,
    PersonFact,
    TrialMatch,
    Verdict,
)

VERSION = "0.1.0"  # of the engine; the same input, definitions and version give the same report

Json = dict[str, Any]


def report_of(match: Match, report_id: str, catalogue: Catalogue | None = None, texts: Texts | None = None) -> Json:
    """The MatchReport. Titles in its explanations come from `catalogue`; without one they are the concept ids in words.

    `texts`: the language of its explanations, default English; texts of a definition stay in the definition's.

    Numbers are int or float and print as the decimal that they stand for, up to 15 significant digits.
    """
    titles = titles_of(catalogue, texts)
    return {
        "id": report_id,
        "patient": match.patient,
        "approachable": match.approachable,
        "asOf": instant(match.as_of),
        "engine": {"version": VERSION, "concepts": match.concepts_hash},
        "sources": [_source(source) for source in match.sources],
        "trials": [trial_entry(trial, titles) for trial in match.trials],
    }


def in_form_of(earlier: Any, report: Any) -> Any:
    """A report (JSON), or part of one, without the members that an earlier version of this report did not have."""
    if isinstance(earlier, dict) and isinstance(report, dict):
        return {name: in_form_of(earlier[name], value) for name, value in report.items() if name in earlier}
    if isinstance(earlier, list) and isinstance(report, list) and len(earlier) == len(report):
        return [in_form_of(*pair) for pair in zip(earlier, report, strict=True)]
    return report


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _source(source: SourceReport) -> Json:
    excluded = dict(source.excluded)
    if source.unreadable:
        excluded.setdefault("unreadable", len(source.unreadable))
    return {
        "resourceType": source.resource_type,
        "state": source.state,
        "count": source.count,
        "excluded": [{"reason": reason, "count": count} for reason, count in excluded.items()],
        "notUnderstood": [
            {"system": system and plain(system, 200), "count": count} for system, count in source.not_understood
        ],
    }


def trial_entry(match: TrialMatch, titles: Titles, *, indicated_only: bool = False) -> Json:
    """One entry of `trials[]`; with `indicated_only` without the cohorts whose disease is not on record."""
    cohorts = [c for c in match.cohorts if not (indicated_only and c.verdict is Verdict.NOT_INDICATED)]
    entries = _Entries(titles)
    return {
        "trial": match.trial.id,
        "title": match.trial.title,
        "definition": {"version": match.trial.version, "hash": match.trial.hash},
        "verdict": match.verdict.value,
        "cohorts": [_cohort(cohort, entries) for cohort in cohorts],
    }


def _cohort(match: CohortMatch, entries: _Entries) -> Json:
    return {
        "cohort": match.cohort.id,
        "verdict": match.verdict.value,
        "counts": {
            "met": len(match.of(Outcome.MET)),
            "notMet": len(match.of(Outcome.NOT_MET)),
            "unknown": len(match.of(Outcome.UNKNOWN)),
            "needsHuman": len(match.of(Outcome.NEEDS_HUMAN)),
            "notApplicable": len(match.of(Outcome.NOT_APPLICABLE)),
        },
        "recheckOn": match.recheck_on.isoformat() if match.recheck_on else None,
        "criteria": [entries.of(finding) for finding in match.findings],
    }


@lru_cache(maxsize=8)
def _key_of(titles: Titles) -> object:
    """What entries are kept under: the same for equal titles, whose own hash is too slow to be asked for each entry."""
    return object()


class _Entries:
    """The entries of findings, each made once: cohorts share findings, and card and report say the same."""

    def __init__(self, titles: Titles) -> None:
        self._titles = titles
        self._key = _key_of(titles)
        self._evidence: dict[int, Json] = {}  # by identity: one record speaks for many criteria

    def of(self, finding: Finding) -> Json:
        """Never to be changed."""
        entry: Json | None = finding.kept.get(self._key)
        if entry is None:
            entry = finding.kept[self._key] = self._of_another(finding) or self._criterion(finding)
        return entry

    def _of_another(self, finding: Finding) -> Json | None:
        """The entry of a finding that was made from one about another criterion, where its words are not in it."""
        alike: Finding | None = finding.kept.get(ALIKE)
        criterion = finding.criterion
        if alike is None or alike.criterion.step != criterion.step or finding.outcome is Outcome.NEEDS_HUMAN:
            return None
        own = {"id": criterion.id, "source": criterion.source, "text": criterion.text}
        return self.of(alike) | own

    def _criterion(self, finding: Finding) -> Json:
        criterion = finding.criterion
        settled = finding.outcome in (Outcome.MET, Outcome.NOT_MET)
        return {
            "id": criterion.id,
            "kind": criterion.kind,
            "source": criterion.source,
            "text": criterion.text,
            "concepts": list(criterion.concepts),
            "outcome": finding.outcome.value,
            "basis": finding.basis.value if finding.basis and settled else None,
            "reason": finding.reason.value if finding.reason and finding.outcome is Outcome.UNKNOWN else None,
            "explanation": explanation(finding, self._titles),
            "margin": _margin(finding.margin) if finding.margin and settled else None,
            "evidence": [self._piece(each) for each in _with_inputs(finding.evidence)],
        }

    def _piece(self, evidence: Evidence) -> Json:
        said = self._evidence.get(id(evidence))
        if said is None:
            said = self._evidence[id(evidence)] = _evidence(evidence)
        return said


def _margin(margin: Margin) -> Json:
    percent = json_number(margin.percent) if margin.percent is not None else None
    return {"value": json_number(margin.value), "unit": margin.unit, "percent": percent}


def _with_inputs(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Every derived result is followed by the results that it was calculated from, each once."""
    if not any(isinstance(each, Result) and each.inputs for each in evidence):
        return evidence
    found: list[Evidence] = []
    for each in evidence:
        found += [each, *(each.inputs if isinstance(each, Result) else ())]
    return tuple(dict.fromkeys(found))


def _evidence(evidence: Evidence) -> Json:
    match evidence:
        case Result():
            return {
                "resource": evidence.source,
                "concept": evidence.concept,
                "value": _value(evidence),
                "unit": evidence.unit or None,
                "recorded": plain(evidence.recorded) or None,
                "date": _date(evidence.taken),
            }
        case Episode():
            return {
                "resource": evidence.source,
                "concept": evidence.member or evidence.concept,
                "value": None,
                "unit": None,
                "recorded": plain(evidence.label) or None,
                "date": _date(evidence.start or evidence.end or evidence.recorded),
            }
        case PersonFact():
            return {
                "resource": evidence.source,
                "concept": evidence.concept,
                "value": json_number(evidence.value) if evidence.value is not None else evidence.recorded,
                "unit": evidence.unit or None,
                # What the chart holds is the date of birth, which stays in the chart.
                "recorded": person_words(evidence, texts_of()),
                "date": None,
            }


def _value(result: Result) -> int | float | str | None:
    """A number where the value is known exactly, else words: "positive", "< 0.1 mg/dL"."""
    if result.value is not None and result.value.exact is not None:
        return json_number(result.value.exact)
    if result.polarity is not None:
        return result.polarity.value
    return interval_words(result.value, result.unit) if result.value else None


def _date(moment: Moment | None) -> str | None:
    return day_words(moment) if moment else None


def json_number(number: Decimal) -> int | float:
    """The number as JSON prints it: whole numbers without a point, others as they were recorded (1.10 as 1.1)."""
    if number == number.to_integral_value() and abs(number) < 2**53:
        return int(number)
    return float(number)
