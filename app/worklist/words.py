"""The worklist's codes as a coordinator reads them."""

from __future__ import annotations

from collections.abc import Mapping

from app.worklist.candidates import Left
from trial_defs.engine.findings import Verdict

STATUS_WORDS: Mapping[str, str] = {
    "new": "New",
    "contacted": "Contacted",
    "declined": "Declined",
    "consented": "Consented",
    "enrolled": "Enrolled",
    "screen-failure": "Screen failure",
}
LIST_WORDS: Mapping[str, str] = {
    "open": "Open candidates",
    **STATUS_WORDS,
    "left": "No longer candidates",
    "all": "Everyone",
}
VERDICT_CHOICES: Mapping[str, str] = {verdict.value: verdict.label for verdict in Verdict if verdict.is_candidate}
DUE_WORDS: Mapping[str, str] = {
    "": "Any day",
    "0": "Due today or before",
    "14": "Within 14 days",
    "90": "Within 90 days",
}
ORDER_WORDS: Mapping[str, str] = {
    "best": "Best first",
    "recheck": "Recheck day",
    "recent": "Seen last",
    "trial": "Trial",
    "status": "Status",
    "owner": "Owner",
    "due": "Due day",
}
LEFT_WORDS: Mapping[str, str] = {
    "": "",
    Left.NOT_ELIGIBLE: "a criterion is no longer met",
    Left.NOT_INDICATED: "the diagnosis is no longer on record, or the trial is no longer served",
    Left.RULED_OUT: "a person’s answer rules it out",
    Left.CLOSED: "the trial or the cohort no longer recruits",
    Left.NOT_IN_SCREEN: "no longer in the hospital's screen: gone from the export, or not to be listed",
    Left.WITHHELD: "the match rests on a record that may not be shown",
    Left.NOT_APPROACHABLE: "the chart says not to approach this patient for research",
}
SOURCE_WORDS: Mapping[str, str] = {"hook": "in an opened chart", "screen": "by a screen"}
SEEN_IN: Mapping[str, str] = {"hook": "chart opened", "screen": "screen"}
