"""`trialcards trials export`: a trial as FHIR, or its computed criteria as CQL."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from app.commands.arguments import Mappings, Trials, check_trials
from app.commands.definitions import read_definitions
from cds_hooks.fhir.fhir_study import group_of, study_of
from cds_hooks.fhir.fhir_terms import value_set_of
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.export.cql import library_of


class Form(StrEnum):
    """In which a trial is printed."""

    FHIR = "fhir"
    CQL = "cql"


def export_trial(
    trial_id: Annotated[str, typer.Argument(help="Id of the trial, as `trials list` shows it.")],
    form: Annotated[Form, typer.Option("--as", help="A FHIR Bundle, or the computed criteria as a CQL library.")] = (
        Form.FHIR
    ),
    trials: Trials = None,
    mappings: Mappings = None,
) -> None:
    """Print a trial as a FHIR R4 Bundle: its ResearchStudy, a Group per cohort, the ValueSets of its concepts.

    With `--as cql` its computed criteria as a library of the Clinical Quality Language, one define a criterion.
    """
    served = read_definitions(mappings, trials, tells=False)
    check_trials("TRIAL_ID", [trial_id], served)
    trial = served.trials[trial_id]
    if form is Form.CQL:
        typer.echo(library_of(trial, served.catalogue).text, nl=False)
        return
    typer.echo(msgspec.json.format(msgspec.json.encode(_bundle(trial, served.catalogue)), indent=2).decode())


def _bundle(trial: Trial, catalogue: Catalogue) -> dict[str, object]:
    named = dict.fromkeys(name for cohort in trial.cohorts for each in cohort.criteria for name in each.concepts)
    resources = [
        study_of(trial, catalogue),
        *(group_of(trial, cohort, catalogue) for cohort in trial.cohorts),
        *(value_set_of(name, catalogue) for name in named),
    ]
    base = "https://trialcards.org/fhir"
    entries = [{"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
