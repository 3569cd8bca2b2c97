"""Which trials stay set aside: those whose cards would say nothing new, and those that only an upgrade changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from app.calls.call import Call
from app.judge import judge
from app.storage.kept import from_kept
from cds_hooks.cards.dismissals import is_about_the_trial, is_of_version, says_the_same, version_of, what_it_said
from mappings.time.clock import Clock
from trial_defs.engine.findings import Match, TrialMatch

Dismissed = Mapping[str, Sequence[str]]  # trial -> what its cards had said


async def silent_trials(call: Call, found: Match, dismissed: Dismissed) -> frozenset[str]:
    """The ids of the trials that were set aside and would say nothing new."""
    asked = [(trial, dismissed[trial.trial.id]) for trial in found.trials if trial.trial.id in dismissed]
    return frozenset([trial.trial.id for trial, said in asked if await _is_silent(call, found, trial, said)])


async def _is_silent(call: Call, found: Match, trial: TrialMatch, dismissed: Sequence[str]) -> bool:
    if any(says_the_same(said, trial) for said in dismissed):
        return True
    if not trial.verdict.is_candidate:
        return False
    version = version_of(trial.trial.hash, found.concepts_hash)
    others = [said for said in dismissed if is_about_the_trial(said) and not is_of_version(said, version)]
    return any([await _is_change_of_version_alone(call, trial, said) for said in others])


async def _is_change_of_version_alone(call: Call, trial: TrialMatch, said: str) -> bool:
    """Whether this version says the same of the chart of that day; so it is taken where that chart is not kept.

    Then nothing tells an upgrade from a change of the chart, and the card stays away until its snooze ends.
    """
    content = await call.services.records.report_behind_dismissal(call.shown, trial.trial.id, said, call.now)
    if content is None:
        return True
    async with call.services.turn:
        return await asyncio.to_thread(_said_the_same_then, call, trial, content)


def _said_the_same_then(call: Call, trial: TrialMatch, content: bytes) -> bool:
    kept = from_kept(content)
    if kept.chart is None:
        return True
    at = Clock(datetime.fromisoformat(kept.report["asOf"]), ZoneInfo(kept.zone))
    served, site, given = call.served, call.services.site, kept.attestations
    then = judge(kept.chart, served, at, site, trials=[trial.trial], attestations=given).found
    return any(says_the_same(what_it_said(each, then.concepts_hash), trial) for each in then.trials)
