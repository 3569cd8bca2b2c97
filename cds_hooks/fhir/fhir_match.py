"""A match as FHIR R4: a List of candidates, a ResearchSubject for each, and a GuidanceResponse with what is missing.

`candidate` is the only status that is ever given: whether a patient is eligible is the investigator's word.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from cds_hooks.fhir.fhir_study import UCUM, extension
from cds_hooks.fhir.fhir_terms import VERDICTS, value_set_url
from cds_hooks.report import instant
from cds_hooks.words.safe_text import plain
from cds_hooks.words.wording import Titles, explanation, titles_of
from mappings.concepts.catalogue import Catalogue
from mappings.resource_types import BY_NAME
from mappings.time.times import Period
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import CohortMatch, Match, Open, Outcome, TrialMatch, Verdict

Json = dict[str, Any]

_EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"


def bundle_of(match: Match, catalogue: Catalogue, base: str, report_id: str) -> Json:
    """A Bundle (collection): the List first, then subjects and responses, best trial first.

    `base` is the address of our own FHIR endpoint, under which the studies stand. For a patient who is not to be
    approached for research the List is empty and says that it was withheld.
    """
    shown = [t for t in match.trials if t.verdict is not Verdict.NOT_INDICATED] if match.approachable else []
    candidates = [trial for trial in shown if trial.verdict.is_candidate]
    writer = _Writer(match, catalogue, base, report_id)
    resources = [writer.list_of(candidates), *map(writer.subject, candidates), *map(writer.response, shown)]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": instant(match.as_of),
        "entry": [{"fullUrl": writer.address(each["id"]), "resource": each} for each in resources],
    }


class _Writer:
    """The resources of one match, which refer to each other by addresses that hold for this answer only."""

    def __init__(self, match: Match, catalogue: Catalogue, base: str, report_id: str) -> None:
        self.match, self.catalogue, self.base, self.report_id = match, catalogue, base, report_id
        self.titles: Titles = titles_of(catalogue)
        self.subject_of = {"reference": match.patient}

    def address(self, resource_id: str) -> str:
        return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{self.report_id}/{resource_id}')}"

    def study(self, trial: x.Trial) -> str:
        return f"{self.base}/ResearchStudy/{trial.id}"

    def list_of(self, candidates: Sequence[TrialMatch]) -> Json:
        reason = "nilknown" if self.match.approachable else "withheld"
        entries = [
            {"flag": verdict_words(trial.verdict), "item": {"reference": self.address(_subject_id(trial.trial))}}
            for trial in candidates
        ]
        return {
            "resourceType": "List",
            "id": "candidates",
            "extension": [extension("concepts-version", valueString=self.match.concepts_hash)],
            "status": "current",
            "mode": "snapshot",
            "title": "Trials for which the patient is a candidate",
            "subject": self.subject_of,
            "date": instant(self.match.as_of),
            **({"entry": entries} if entries else {"emptyReason": {"coding": [{"system": _EMPTY, "code": reason}]}}),
        }

    def subject(self, trial: TrialMatch) -> Json:
        cohorts = [cohort for cohort in trial.cohorts if cohort.verdict.is_candidate]
        return {
            "resourceType": "ResearchSubject",
            "id": _subject_id(trial.trial),
            "extension": [
                _verdict(trial.verdict),
                extension("definition-hash", valueString=trial.trial.hash),
                *(extension("cohort", valueString=cohort.cohort.id) for cohort in cohorts),
            ],
            "status": "candidate",
            "study": {"reference": self.study(trial.trial), "display": plain(trial.trial.short_title, 200)},
            "individual": self.subject_of,
        }

    def response(self, trial: TrialMatch) -> Json:
        missing = self._requirements(trial)
        status = "data-requested" if missing else "success"
        return {
            "resourceType": "GuidanceResponse",
            "id": f"guidance-{trial.trial.id}"[:64],
            "contained": [self._outcomes(trial)],
            "extension": [_verdict(trial.verdict), extension("definition-hash", valueString=trial.trial.hash)],
            "moduleUri": self.study(trial.trial),
            "status": "data-required" if trial.verdict is Verdict.COULD_NOT_EVALUATE else status,
            "subject": self.subject_of,
            "occurrenceDateTime": instant(self.match.as_of),
            "outputParameters": {"reference": "#outcomes"},
            **({"dataRequirement": missing} if missing else {}),
        }

    def _outcomes(self, trial: TrialMatch) -> Json:
        """Every criterion with its outcome and explanation, cohort by cohort."""
        return {
            "resourceType": "Parameters",
            "id": "outcomes",
            "parameter": [
                {"name": "cohort", "part": list(self._cohort(cohort))}
                for cohort in trial.cohorts
                if cohort.verdict is not Verdict.NOT_INDICATED
            ],
        }

    def _cohort(self, cohort: CohortMatch) -> Iterator[Json]:
        yield {"name": "id", "valueString": cohort.cohort.id}
        yield {"name": "verdict", "valueCode": cohort.verdict.value}
        if cohort.recheck_on:
            yield {"name": "recheck-on", "valueDate": cohort.recheck_on.isoformat()}
        for finding in cohort.findings:
            said = [
                {"name": "id", "valueString": finding.criterion.id},
                {"name": "outcome", "valueCode": finding.outcome.value},
                {"name": "explanation", "valueString": explanation(finding, self.titles)},
            ]
            yield {"name": "criterion", "part": said}

    # -- what is missing

    def _requirements(self, trial: TrialMatch) -> list[Json]:
        """One per resource type and concept that an unknown criterion waits for, each once."""
        found: dict[tuple[str, str], Json] = {}
        for cohort in trial.cohorts:
            for finding in cohort.findings:
                if finding.outcome is Outcome.UNKNOWN:
                    for piece in finding.still_open:
                        for kind, concept in self._wanted(piece):
                            found.setdefault((kind, concept), self._requirement(kind, concept, piece))
        return list(found.values())

    def _wanted(self, piece: Open) -> Iterator[tuple[str, str]]:
        if piece.reason is None:  # a person's answer, which no resource brings
            return
        match piece.leaf:
            case x.Age():
                yield "Patient", "age"
            case x.SexIs():
                yield "Patient", "sex"
            case x.Value(concept=concept) | x.Change(concept=concept) | x.Condition(concept=concept):
                yield from ((kind, concept) for kind in self.catalogue.where(concept))
            case x.Treatment(concepts=concepts):
                yield from ((kind, concept) for concept in concepts for kind in self.catalogue.where(concept))
            case _:
                return

    def _requirement(self, kind: str, concept: str, piece: Open) -> Json:
        reason = piece.reason.value if piece.reason else None
        requirement: Json = {
            "extension": [
                extension("concept", valueString=concept),
                *([extension("unknown-reason", valueCode=reason)] if reason else []),
            ],
            "type": kind,
        }
        if path := BY_NAME[kind].code:
            requirement["codeFilter"] = [{"path": path, "valueSet": value_set_url(concept)}]
        if kind == "Observation" and (period := _look_back(piece.leaf)):
            requirement["dateFilter"] = [{"path": "effective", "valueDuration": _duration(period)}]
        return requirement


def _subject_id(trial: x.Trial) -> str:
    return f"candidate-{trial.id}"[:64]


def _verdict(verdict: Verdict) -> Json:
    return extension("verdict", valueCode=verdict.value)


def verdict_words(verdict: Verdict) -> Json:
    text = verdict.value.replace("-", " ").capitalize()
    return {"coding": [{"system": VERDICTS, "code": verdict.value}], "text": text}


def _look_back(leaf: x.Expression) -> Period | None:
    match leaf:
        case x.Value():
            return leaf.within or leaf.current_for
        case x.Change():
            return leaf.over
        case _:
            return None


def _duration(period: Period) -> Json:
    return {"value": period.count, "unit": period.unit, "system": UCUM, "code": period.unit}
