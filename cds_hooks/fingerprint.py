"""When a card that was set aside has something new to say: its verdict and its open criteria, and how two compare.

A criterion that is unknown only because it could not be read, or because a result has aged, is no news: networks fail
and results grow old without anybody having learned anything. Such criteria are written down as "unread" and left out
of the comparison on either side.
"""

from __future__ import annotations

import msgspec

from cds_hooks.needs import WORTH_A_CARD
from mappings.facts import Reason
from trial_defs.findings import CohortMatch, Finding, Outcome, TrialMatch, Verdict

_NO_NEWS = (Reason.NOT_READABLE, Reason.STALE)


class _Cohort(msgspec.Struct, frozen=True, omit_defaults=True):
    missed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class _Fingerprint(msgspec.Struct, frozen=True, omit_defaults=True):
    cohorts: dict[str, _Cohort] = {}
    unevaluated: tuple[str, ...] = ()  # cohorts that could not be evaluated this time


def fingerprint(match: TrialMatch) -> str:
    """Verdict and open criteria of a trial, as text to be kept with the card; compare two with `has_changed`."""
    cohorts = {c.cohort.id: _of_cohort(c) for c in match.cohorts if c.verdict in WORTH_A_CARD}
    unevaluated = tuple(sorted(c.cohort.id for c in match.cohorts if c.verdict is Verdict.COULD_NOT_EVALUATE))
    return msgspec.json.encode(_Fingerprint(dict(sorted(cohorts.items())), unevaluated)).decode()


def _of_cohort(match: CohortMatch) -> _Cohort:
    missed = [f.criterion.id for f in match.findings if f.outcome is Outcome.NOT_MET]
    unknown = [f.criterion.id for f in match.findings if f.outcome is Outcome.UNKNOWN and not _is_no_news(f)]
    unread = [f.criterion.id for f in match.findings if f.outcome is Outcome.UNKNOWN and _is_no_news(f)]
    return _Cohort(tuple(sorted(missed)), tuple(sorted(unknown)), tuple(sorted(unread)))


def _is_no_news(finding: Finding) -> bool:
    reasons = [piece.reason for piece in finding.still_open if piece.reason]
    return bool(reasons) and all(reason in _NO_NEWS for reason in reasons)


def has_changed(before: str, now: str) -> bool:
    """Whether `now` says something that `before` did not. True where `before` is not one of our fingerprints."""
    try:
        old, new = (msgspec.json.decode(text, type=_Fingerprint) for text in (before, now))
    except msgspec.DecodeError:
        return True
    unevaluated = {*old.unevaluated, *new.unevaluated}
    if old.cohorts.keys() - unevaluated != new.cohorts.keys() - unevaluated:
        return True
    return any(_differ(old.cohorts[name], new.cohorts[name]) for name in old.cohorts.keys() & new.cohorts.keys())


def _differ(before: _Cohort, now: _Cohort) -> bool:
    """Whether one cohort has news. The verdict follows from what is missed and unknown, so these are compared."""
    no_news = {*before.unread, *now.unread}
    # A limit that is now missed is news even where the result could not be read before.
    if set(now.missed) - set(before.missed):
        return True
    return bool((set(before.missed) ^ set(now.missed)) - no_news or (set(before.unknown) ^ set(now.unknown)) - no_news)
