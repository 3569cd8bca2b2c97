"""`trialcards trials list`, `show` and `lint`: the definitions that are served, and what is wrong with them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.commands.arguments import Cases, Mappings, Trials, check_trials, draft_words, end_with_definitions
from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.definitions.histories import Histories, Versions
from app.definitions.linting import concept_problems, rule_problems
from app.definitions.served import Definitions, Served
from cds_hooks.words.change_words import KINDS
from cds_hooks.words.wording import counted
from mappings.values import units
from mappings.yaml_files import DefinitionError
from trial_defs.definition.loader import OUR_TRIALS

out = Console(highlight=False)


def list_trials(trials: Trials = None, mappings: Mappings = None) -> None:
    """List the trials with version, status, cohorts and number of criteria.

    Exit status 0 when every definition could be used, 1 otherwise.
    """
    table = Table("Trial", "Version", "Status", "Cohorts", "Criteria", "Title", box=None, header_style="bold")
    served = read_definitions(mappings, trials)
    for trial in served.trials.values():
        cohorts = ", ".join(cohort.id for cohort in trial.cohorts)
        criteria = len({criterion.id for cohort in trial.cohorts for criterion in cohort.criteria})
        table.add_row(trial.id, str(trial.version), trial.status, cohorts, str(criteria), trial.short_title)
    out.print(table)
    _name_drafts(served)
    end_with_definitions(served)


def _name_drafts(served: Served) -> None:
    for draft in served.drafts:
        typer.echo(draft_words(draft))


def show_trial(
    trial_id: Annotated[str, typer.Argument(help="Id of the trial, as `trials list` shows it.")],
    changes: Annotated[bool, typer.Option("--changes", help="Show what its versions changed instead.")] = False,
    trials: Trials = None,
    mappings: Mappings = None,
) -> None:
    """Show a trial, cohort by cohort, criterion by criterion; or, with --changes, what each version changed.

    Earlier versions are known from the texts that `trials lint --record` kept beside the folder of definitions.
    """
    served = read_definitions(mappings, trials)
    check_trials("TRIAL_ID", [trial_id], served)
    trial = served.trials[trial_id]
    if changes:
        _print_changes(Histories(trials).of(trial, served.catalogue))
        return
    out.print(
        f"[bold]{trial.id}[/bold] version {trial.version} ({trial.hash[:19]})", trial.title, sep="\n", markup=True
    )
    for cohort in trial.cohorts:
        out.print(f"\n{cohort.id}: {cohort.title}", style="bold", markup=False)
        for criterion in cohort.criteria:
            sign = "+" if criterion.kind == "inclusion" else "−"
            out.print(f"  {sign} {criterion.id:<24} {criterion.text}", markup=False, soft_wrap=True)


def _print_changes(versions: Versions) -> None:
    for step in versions.changed:
        out.print(f"version {step.version} against version {step.since}", style="bold", markup=False)
        for line in step.about:
            out.print(f"  {line}", markup=False, soft_wrap=True)
        for each in step.criteria:
            out.print(f"  {each.id} ({KINDS[each.kind]}): {each.text}", markup=False, soft_wrap=True)
            for line in each.lines:
                out.print(f"      {line}", markup=False, soft_wrap=True)
    for version in versions.lost:
        out.print(f"version {version}: its text is not at hand")
    if not versions.changed and not versions.lost:
        out.print("This is the first version.")


def lint_trials(
    trials: Trials = None,
    mappings: Mappings = None,
    cases: Cases = None,
    record: Annotated[
        bool, typer.Option(help="Write down the versions of the definitions checked, and keep their texts.")
    ] = False,
) -> None:
    """Check every definition and concept file; print each problem with file and place.

    Besides what the language refuses: criteria that contradict each other, results without a window, silence presumed
    where it may not be, a cohort that does not ask for its disease, an id with two meanings, a judgement that asks
    nothing, a definition whose meaning changed without a new version. Loads the unit library too. --cases and
    --record belong to the site's folder where --trials names one, else to ours.

    Exit status 0 when there is none, 1 otherwise.
    """
    try:
        served = Definitions(mappings, trials).now
    except DefinitionError as error:
        stop(*map(str, error.problems), code=1)
    chosen = trials or OUR_TRIALS
    problems = [*served.problems]
    try:
        units.warm(())
    except units.UnitLibraryUnusable as error:
        problems.append(str(error))
    problems += map(str, concept_problems(served.catalogue))
    for folder in dict.fromkeys((OUR_TRIALS, chosen)):
        mine = (cases, record) if folder == chosen else (None, False)
        problems += map(str, rule_problems(folder, served.catalogue, *mine))
    for problem in problems:
        typer.echo(problem)
    _name_drafts(served)
    counts = (
        counted(len(served.trials), "trial"),
        counted(len(served.catalogue.concepts), "concept"),
        counted(len(problems), "problem"),
    )
    typer.echo(", ".join(counts))
    raise typer.Exit(1 if problems else 0)
