"""`trialcards trials review`: a drafted definition beside its text, as one page in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.commands.options import Mappings, cause_of
from app.definitions.review import review_values
from app.web.html import render
from mappings.yaml_files import DefinitionError, read_yaml
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.language import TrialWords
from trial_defs.registry.record import RegistryError, read_record


def review_trial(
    definition: Annotated[Path, typer.Argument(help="The definition file that `trials import` wrote.")],
    mappings: Mappings = None,
) -> None:
    """Write a page that shows a drafted definition beside the text it was read from.

    The text on the left, the criteria on the right, linked both ways; what still asks comes first, and each limit with
    what the engine makes of the number itself and of the one beside it. The page needs no network and no service. It is
    written to ID.review.html beside the definition, over an older one.
    """
    catalogue = read_definitions(mappings, None, tells=False).catalogue
    try:
        words = TrialWords.model_validate(read_yaml(definition.read_bytes(), definition))
        trial = compile_trial(words, catalogue, definition, "")
        source = definition.parent / words.source.document
        text = read_record(source.read_bytes()).eligibility if source.is_file() else ""
    except OSError as error:
        stop(f"{definition}: {cause_of(error)}")
    except DefinitionError as error:
        stop(*map(str, error.problems))
    except (RegistryError, ValueError) as error:
        stop(f"{definition}: {error}")
    page = definition.with_name(f"{definition.stem}.review.html")
    page.write_text(render("review.html", **review_values(trial, words, text, catalogue)), encoding="utf-8")
    typer.echo(f"{page}: open it in a browser")
