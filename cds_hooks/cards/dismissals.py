"""Whether a card that a user set aside would say anything new: what is remembered of it, and how the two compare.

A card comes back when its verdict or its open criteria change. A criterion that is unknown only because it could not
be read or understood, or because its result has aged, is no change, neither by itself nor through the verdict that it
lowers. What is stored names the version that said it: code, concepts and definition. A difference from what another
version said may come from the upgrade alone; `app/calls/dismissed.py` finds out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mappings.facts import Reason
from trial_defs.engine.findings import CohortMatch, Finding, Outcome, TrialMatch, Verdict
from trial_defs.engine.version import engine_digest
from trial_defs.planning.order_effect import OrderEffect

_NO_NEWS = frozenset({Reason.NOT_READABLE, Reason.NOT_UNDERSTOOD, Reason.STALE})
_UNSURE = "unsure"

Points = Mapping[str, str]  # criterion id -> "not-met", "unknown" or "unsure"


_MADE_BY = "made:by"  # no cohort's id: those are names


def what_it_said(match: TrialMatch, concepts_hash: str) -> str:
    """The verdict and the open criteria of every cohort, as a text to be stored with the card."""
    said: dict[str, Any] = {cohort.cohort.id: [cohort.verdict.value, _points(cohort)] for cohort in match.cohorts}
    said[_MADE_BY] = version_of(match.trial.hash, concepts_hash)
    return msgspec.json.encode(said, order="deterministic").decode()


def version_of(definition_hash: str, concepts_hash: str) -> str:
    """A short name for everything beside the chart that decides an answer."""
    return hashlib.sha256(f"{engine_digest()} {concepts_hash} {definition_hash}".encode()).hexdigest()[:16]


def is_about_the_trial(stored: str) -> bool:
    """Whether the trial was set aside, and not only the warning of an order."""
    return not msgspec.json.decode(stored).keys() <= {_ORDER, _LATER, _MADE_BY}


def is_of_version(stored: str, version: str) -> bool:
    """Whether this version said it; commits before versions were stored count as others."""
    return bool(msgspec.json.decode(stored).get(_MADE_BY) == version)


def what_entry_said(cohorts: Iterable[Mapping[str, Any]], version: str) -> str:
    """The same, from the cohorts of a match that is there as JSON, with `verdict` and `criteria`."""
    said: dict[str, Any] = {
        cohort["cohort"]: [
            cohort["verdict"],
            {
                each["id"]: _point(Outcome(each["outcome"]), each["reason"])
                for each in cohort["criteria"]
                if _is_open(each)
            },
        ]
        for cohort in cohorts
    }
    said[_MADE_BY] = version
    return msgspec.json.encode(said, order="deterministic").decode()


def _is_open(criterion: Mapping[str, Any]) -> bool:
    return criterion["outcome"] in (Outcome.NOT_MET.value, Outcome.UNKNOWN.value)


def says_the_same(stored: str, match: TrialMatch) -> bool:
    """Whether the match, put on a card, would say nothing that the stored card did not say."""
    then: dict[str, Any] = msgspec.json.decode(stored)
    return all(_same(then.get(cohort.cohort.id), cohort) for cohort in match.cohorts)


def _same(then: Any, now: CohortMatch) -> bool:
    if then is None:
        return not now.verdict.is_candidate
    verdict, before = Verdict(then[0]), then[1]
    if not verdict.is_candidate and not now.verdict.is_candidate:
        return True
    after = _points(now)
    unsure = {name for points in (before, after) for name, outcome in points.items() if outcome == _UNSURE}
    if Verdict.COULD_NOT_EVALUATE in (verdict, now.verdict):
        return True
    return _without(before, unsure) == _without(after, unsure) and (verdict is now.verdict or bool(unsure))


def _without(points: Points, names: set[str]) -> Points:
    return {name: outcome for name, outcome in points.items() if name not in names}


def _points(cohort: CohortMatch) -> Points:
    open_ones = (*cohort.of(Outcome.NOT_MET), *cohort.of(Outcome.UNKNOWN))
    return {f.criterion.id: _point(f.outcome, f.reason) for f in open_ones}


def _point(outcome: Outcome, reason: str | None) -> str:
    return _UNSURE if outcome is Outcome.UNKNOWN and reason in _NO_NEWS else outcome.value


# -- the order hooks --------------------------------------------------------------------------------------------------

_ORDER = "order:effect"  # no cohort's id: those are names
_LATER = "order:later"


def what_the_order_would_do(effect: OrderEffect, concepts_hash: str) -> str:
    """What a card about an order said: the match as it was, and the criteria that the order would change."""
    said: dict[str, Any] = msgspec.json.decode(what_it_said(effect.now, concepts_hash))
    said |= {_ORDER: _touch(effect), _LATER: _ids(effect.later)}
    return msgspec.json.encode(said, order="deterministic").decode()


def of_the_order_alone(said: str) -> str:
    """What was said, without the match: set aside was the warning, not the trial. Other cards are as they were."""
    content: dict[str, Any] = msgspec.json.decode(said)
    kept = {name: content[name] for name in (_ORDER, _LATER, _MADE_BY) if name in content}
    return msgspec.json.encode(kept).decode() if _ORDER in content else said


def warns_of_the_same(stored: str, effect: OrderEffect, concepts_hash: str) -> bool:
    """Whether the stored card warned of what this order would do; which order it was does not matter.

    Orders are not kept, so what another version would have said of them is not known: its warning stays set aside
    where both are about one criterion.
    """
    then: dict[str, Any] = msgspec.json.decode(stored)
    if _ORDER in then and then.get(_MADE_BY) != version_of(effect.now.trial.hash, concepts_hash):
        warned = {name for name, _ in (*then[_ORDER][2], *then.get(_LATER, ()))}
        return not warned.isdisjoint(finding.criterion.id for finding in effect.all_changed)
    return then.get(_ORDER) == _touch(effect) and then.get(_LATER) == _ids(effect.later)


def _touch(effect: OrderEffect) -> list[Any]:
    return [effect.before.cohort.id, effect.after.verdict.value, _ids(effect.changed)]


def _ids(findings: Iterable[Finding]) -> list[Any]:
    return [list(each) for each in sorted((finding.criterion.id, finding.outcome.value) for finding in findings)]
