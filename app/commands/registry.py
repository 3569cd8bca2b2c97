"""Registry entries from ClinicalTrials.gov or a file, and the commands that draft and renew definitions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from app.commands.ending import stop
from app.commands.options import Mappings, cause_of
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from mappings.near_words import key_names
from mappings.yaml_files import DefinitionError, problems_of, read_yaml
from trial_defs.definition.language import TrialWords
from trial_defs.registry.definition_file import as_yaml
from trial_defs.registry.draft import draft_of
from trial_defs.registry.record import Record, RegistryError, read_record
from trial_defs.registry.refresh import Refreshed, refresh

REGISTRY = "https://clinicaltrials.gov/api/v2"
_NUMBER = re.compile(r"^NCT\d{8}$", re.A)
_MOST = 16 * 1024 * 1024  # bytes of one entry

Registry = Annotated[str, typer.Option("--registry", help="Address of the registry's API, version 2.")]


def import_trial(
    source: Annotated[str, typer.Argument(help="NCT number, or a file: the registry's JSON, or the text of a page.")],
    out: Annotated[Path, typer.Option("--out", help="The folder that the draft is written to.")] = Path("."),
    trial_id: Annotated[
        str | None, typer.Option("--id", help="Id of the trial, where the registry gives none.")
    ] = None,
    registry: Registry = REGISTRY,
    mappings: Mappings = None,
) -> None:
    """Draft a definition from a registry entry.

    Writes ID.yaml and, beside it, the entry as it was read (ID.source.json or .txt). What can be read safely is
    drafted with its place; everything else is a question for a person. The draft is not served before
    a named person has signed it. Nothing is overwritten.
    """
    if not out.is_dir():
        stop(f"--out: {out}: there is no such folder")
    raw = _entry(source, registry)
    record = _record(raw, "SOURCE")
    name = trial_id or record.id
    if name is None:
        stop("--id: is needed, because this entry has no registry number: letters, digits and hyphens")
    if not re.match(r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$", name, re.A):
        what = "--id" if trial_id else "SOURCE: its registry number"
        stop(f"{what}: {name}: is no id of a trial; an id is up to 64 letters, digits and hyphens: --id HOUSE-7")
    catalogue = _catalogue(mappings)
    draft = draft_of(record, catalogue)
    document = f"{name}.source.{'json' if raw.lstrip().startswith(b'{') else 'txt'}"
    today = datetime.now(UTC).date().isoformat()
    text = as_yaml(draft, catalogue, trial_id=name, document=document, read_on=today)
    _write_new(out / document, raw)
    _write_new(out / f"{name}.yaml", text.encode())
    drafted = sum(1 for each in draft.criteria if each.name != "text")
    typer.echo(f"{out / f'{name}.yaml'}: {len(draft.criteria)} criteria, {drafted} of them drafted")
    for each in draft.questions:
        typer.echo(f"  asks  {each.place}: {each.question}")
    for what in draft.missing:
        typer.echo(f"  lacks {what}")
    left = draft.unaccounted
    typer.echo(f"  words in no criterion and no question: {len(left.words)} of {left.of}")
    if left.words:
        typer.echo(f"    {' '.join(left.words)}")
    typer.echo("Not served until it is signed: read it, answer what it asks, add signed_off.")


def refresh_trial(
    definition: Annotated[Path, typer.Argument(help="The definition file.")],
    source: Annotated[
        str | None, typer.Argument(help="The newer entry: NCT number or file. Default: the number of the definition.")
    ] = None,
    before: Annotated[
        Path | None, typer.Option("--before", help="The entry that it was made from. Default: its source.document.")
    ] = None,
    registry: Registry = REGISTRY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes and write nothing.")] = False,
) -> None:
    """Renew a definition's recruiting status, completion date and sites, and show what changed in the text.

    What criteria ask is not touched. Where a sentence changed, the criteria that were read from it get a question, the
    signature is taken off, and the newer entry is kept beside the definition (ID.source.DATE.json), so that the same
    change is not shown again. Exit status 0 where the text is as it was, 3 where it changed.
    """
    text, words = _definition(definition)
    wanted = source or _number_of(words)
    if wanted is None:
        stop("SOURCE: is needed, because the definition names no registry number")
    raw = _entry(wanted, registry)
    record = _record(raw, "SOURCE")
    if record.id and (number := _number_of(words)) and record.id != number:
        stop("SOURCE: is the entry of another study than this definition's")
    today = datetime.now(UTC).date().isoformat()
    document = f"{words.id}.source.{today}.{'json' if raw.lstrip().startswith(b'{') else 'txt'}"
    compared = _eligibility_before(definition, words, before)
    found = refresh(text, words, record, compared, document=document, today=today)
    _tell(found)
    if found.text is not None and not dry_run:
        if found.words:
            (definition.parent / document).write_bytes(raw)
        definition.write_text(found.text, encoding="utf-8")
    raise typer.Exit(3 if found.words else 0)


def _tell(found: Refreshed) -> None:
    for line in found.renewed:
        typer.echo(line)
    for change in found.words:
        typer.echo(f"text: {', '.join(change.criteria) or 'no criterion was read from it'}")
        for sign, words in (("-", change.before), ("+", change.after)):
            if words:
                typer.echo(f"  {sign} {words}")
    if found.unsigned:
        typer.echo("The signature is taken off. Answer the new questions, and sign again.")
    if not found.renewed and not found.words:
        typer.echo("nothing has changed")


# -- what is read and written


def _entry(source: str, registry: str) -> bytes:
    if _NUMBER.match(source):
        return _fetch(f"{registry.rstrip('/')}/studies/{source}")
    try:
        return Path(source).read_bytes()
    except OSError as error:
        stop(f"SOURCE: {source}: is not an NCT number (NCT and 8 digits), and as a file: {cause_of(error)}")


def _fetch(address: str) -> bytes:
    """One entry of the registry. Stops with a sentence when it cannot be had."""
    import httpx  # here, because a saved entry needs no network

    try:
        with httpx.Client(timeout=20, follow_redirects=False) as client, client.stream("GET", address) as answer:
            if answer.status_code == 404:
                stop("SOURCE: the registry has no study of this number")
            if answer.status_code != 200:
                stop(f"SOURCE: the registry answered with status {answer.status_code}")
            raw = b""
            for part in answer.iter_bytes():
                raw += part
                if len(raw) > _MOST:
                    stop("SOURCE: the registry's answer is too large")
            return raw
    except httpx.HTTPError:
        stop("SOURCE: the registry cannot be reached; a saved entry can be given as a file")


def _record(raw: bytes, place: str) -> Record:
    try:
        return read_record(raw)
    except RegistryError as error:
        stop(f"{place}: {error}")


def _catalogue(mappings: Path | None) -> Catalogue:
    try:
        return load_catalogue((OUR_CONCEPTS, *pack_folders(mappings), *((mappings,) if mappings else ())))
    except DefinitionError as error:
        stop(*map(str, error.problems), code=1)


def _write_new(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        stop(f"{path}: is there already; nothing is overwritten")
    except OSError as error:
        stop(f"{path}: cannot be written ({error.strerror})")


def _definition(path: Path) -> tuple[str, TrialWords]:
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8"), TrialWords.model_validate(read_yaml(raw, path))
    except OSError as error:
        stop(f"{path}: {cause_of(error)}")
    except DefinitionError as error:
        stop("\n".join(map(str, error.problems)))
    except ValidationError as error:
        stop("\n".join(map(str, problems_of(error, path, known=key_names(TrialWords)))))


def _number_of(words: TrialWords) -> str | None:
    last = (words.source.registry_url or "").rpartition("/")[2]
    return next((name for name in (last, words.id) if _NUMBER.match(name)), None)


def _eligibility_before(definition: Path, words: TrialWords, before: Path | None) -> str | None:
    """The text that the definition was made from, where it is at hand."""
    path = before or definition.parent / (words.source.compared or words.source.document)
    if before is None and not path.is_file():
        typer.echo(f"{path}: is not there, so the text is not compared; --before names another", err=True)
        return None
    try:
        return _record(path.read_bytes(), str(path)).eligibility
    except OSError as error:
        stop(f"{path}: {cause_of(error)}")
