"""Every command by its name: where its function is, and the line that says what it does. Nothing of it is imported.

The lines are the first of the functions' own docstrings, which a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """A command that has not been imported."""

    module: str  # in app.commands
    function: str
    help: str


COMMANDS: Mapping[str, Entry] = {
    "serve": Entry("serve", "serve_command", "Serve in the production profile."),
    "demo": Entry(
        "serve", "demo_command", "Serve the demo on loopback: unsigned calls, SQLite, everything under var/."
    ),
    "match": Entry("match", "match_command", "Match one patient's chart with the trials, without a server."),
    "screen": Entry(
        "screen",
        "screen_command",
        "Hold every trial that the site offers against every patient of a FHIR Bulk Data export.",
    ),
    "gaps": Entry(
        "gaps",
        "gaps_command",
        "List the codes and words that were not understood, those first that leave most criteria open in most "
        "patients.",
    ),
    "export-bulk": Entry("bulk", "export_command", "Fetch a FHIR Bulk Data export for `trialcards screen`."),
    "replay": Entry(
        "replay", "replay_command", "Repeat a kept answer with the chart, definitions and concepts of its day."
    ),
    "token": Entry(
        "connection",
        "token_command",
        "Explain whether a token of an EHR would be accepted, and everything that speaks against it.",
    ),
    "audit": Entry(
        "audit",
        "audit_command",
        "Say who asked, when, about which patient, which definitions answered, and what was shown.",
    ),
    "purge": Entry(
        "audit", "purge_command", "Delete what has reached its end; with --patient, what is kept of one patient."
    ),
}
TRIALS: Mapping[str, Entry] = {
    "list": Entry("trials", "list_trials", "List the trials with version, status, cohorts and number of criteria."),
    "show": Entry(
        "trials",
        "show_trial",
        "Show a trial, cohort by cohort, criterion by criterion; or, with --changes, what each version changed.",
    ),
    "lint": Entry(
        "trials", "lint_trials", "Check every definition and concept file; print each problem with file and place."
    ),
    "import": Entry("registry", "import_trial", "Draft a definition from a registry entry."),
    "refresh": Entry(
        "registry",
        "refresh_trial",
        "Renew a definition's recruiting status, completion date and sites, and show what changed in the text.",
    ),
    "export": Entry(
        "export",
        "export_trial",
        "Print a trial as a FHIR R4 Bundle: its ResearchStudy, a Group per cohort, the ValueSets of its concepts.",
    ),
    "review": Entry(
        "review", "review_trial", "Write a page that shows a drafted definition beside the text it was read from."
    ),
}
WORKLIST: Mapping[str, Entry] = {
    "digest": Entry(
        "digest",
        "digest_command",
        "List the open rows that came onto the worklist since a day: by trial, best first, with what to do next.",
    ),
    "add": Entry(
        "worklist",
        "add_command",
        "Put the candidates of a screen onto the worklist, and take those off who are candidates no longer.",
    ),
}
