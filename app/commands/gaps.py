"""`trialcards gaps`: what the records of a site say that was not understood, and the overlay in which to explain it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.commands.arguments import SiteMappings, SiteTrials, cause_of, moment_of, zone_of
from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.commands.terminal import printable, quoted
from app.screen.export import ExportError, open_export
from app.screen.gaps import Gap, Gaps, charts_of_export, charts_of_files, gaps_in
from cds_hooks.words.wording import counted
from mappings.concepts.catalogue import SYSTEMS
from mappings.time.clock import Clock

_FEWEST = 5  # patients in whom words occur that are shown
_SHOWN = 30  # rows on the screen; the file has all
_HIDDEN = f"(words of fewer than {_FEWEST} patients)"
out = Console(highlight=False)


def gaps_command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="EXPORT-OR-CHARTS...",
            help="Folder of a FHIR Bulk Data export (its later deltas may follow), or Bundles with one chart each, or "
            "a folder of such (*.json).",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option("--out", help="Write the overlay to fill in to this file (YAML); it is patient data.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help=f"Also show words that occur in fewer than {_FEWEST} patients.")
    ] = False,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="A date, or an instant with offset. Default: now.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="The FHIR server's address, where references hold it.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="The time zone in which a bare date is read.", envvar="TRIALCARDS_TIMEZONE")
    ] = "UTC",
    trials: SiteTrials = None,
    mappings: SiteMappings = None,
) -> None:
    """List the codes and words that were not understood, those first that leave most criteria open in most patients.

    Diagnoses, drugs, procedures, vaccinations and allergies are read. The overlay goes into the folder of --mappings
    when it is filled in: there a code gets its concept, or is stated to be something else, and a whole code system
    gets its name.

    Exit status 0 when everything was read, 2 when something about the call or the records is not usable.
    """
    served = read_definitions(mappings, trials, code=2)
    zone = zone_of(timezone)
    at = Clock(moment_of(as_of, zone) if as_of else datetime.now(UTC), zone)
    try:
        if files := _chart_files(sources):
            charts = charts_of_files(files)
        else:
            charts = charts_of_export(open_export(sources, base_url=base_url), served.catalogue)
        found = gaps_in(charts, served.catalogue, tuple(served.trials.values()), at)
    except ExportError as error:
        stop(str(error))
    except OSError as error:
        stop(f"{error.filename}: {cause_of(error)}")
    shown = found.gaps if words else _with_hidden_words(found.gaps)
    _print(found, shown)
    if to:
        _write(to, overlay_of(shown, found.patients))
        typer.echo(f"The overlay to fill in, which is patient data: {to}")


def _chart_files(sources: Sequence[Path]) -> list[Path]:
    """The files where these are charts; none where they are the folders of an export."""
    if missing := [path for path in sources if not path.exists()]:
        stop(f"{missing[0]}: there is no such file or folder")
    files = [path for path in sources if path.is_file()]
    for folder in (path for path in sources if path.is_dir()):
        if not any(folder.glob("*.ndjson*")) and not any(folder.glob("*.jsonl*")):
            files += sorted(folder.glob("*.json"))
    if files and any(path.is_dir() and any(path.glob("*.ndjson*")) for path in sources):
        stop("EXPORT-OR-CHARTS: give either charts or the folders of one export, not both")
    return files


def _with_hidden_words(gaps: Sequence[Gap]) -> list[Gap]:
    """Without the words of few patients; entries that have nothing else are counted together, last."""
    shown: list[Gap] = []
    hidden: dict[tuple[str, str | None], Gap] = {}
    for gap in gaps:
        code = gap.code if gap.code and not any(map(str.isspace, gap.code)) else None
        words = gap.words if gap.patients_with_words >= _FEWEST else ""
        if gap.patients >= _FEWEST or (code and gap.system):
            shown.append(Gap(gap.resource_type, gap.system, gap.code, words, gap.patients, gap.patients, gap.criteria))
            continue
        key = gap.resource_type, gap.system
        so_far = hidden.get(key)
        criteria = dict.fromkeys((*(so_far.criteria if so_far else ()), *gap.criteria))
        patients = gap.patients + (so_far.patients if so_far else 0)
        hidden[key] = Gap(*key, None, _HIDDEN, patients, 0, tuple(criteria))
    return shown + list(hidden.values())


def _print(found: Gaps, shown: Sequence[Gap]) -> None:
    table = Table("Type", "System", "Code", "Words", "Patients", "Criteria", box=None, header_style="bold")
    for gap in shown[:_SHOWN]:
        sent = (escape(printable(text or "")) for text in (gap.system, gap.code, gap.words))
        table.add_row(gap.resource_type, *sent, str(gap.patients), str(len(gap.criteria)))
    out.print(table)
    if len(shown) > _SHOWN:
        typer.echo(f"and {len(shown) - _SHOWN} more")
    read = counted(found.patients, "patient")
    typer.echo(f"{len(found.gaps)} codes and texts were not understood in the records of {read}.")
    if found.unreadable:
        typer.echo(f"Charts or lines that could not be read: {found.unreadable}", err=True)


def overlay_of(gaps: Sequence[Gap], patients: int) -> str:
    """The overlay as YAML in which everything is a comment until somebody says what it is."""
    return "\n".join((*_head(patients), *_systems(gaps), *_codes(gaps), *_names(gaps))) + "\n"


def _head(patients: int) -> Iterator[str]:
    yield "# PATIENT DATA: the codes and words below are from patients' records. Keep this file where charts are kept."
    yield f"# What was not understood in the records of {counted(patients, 'patient')}, most harmful first."
    yield "# Take the # away from what you have decided, and put the file into the folder of --mappings."
    yield ""


def _systems(gaps: Sequence[Gap]) -> Iterator[str]:
    by_system = Counter[str]()
    for gap in gaps:
        if gap.system:
            by_system[gap.system] += gap.patients
    yield "# What a whole code system is: other (none of its codes is of a concept here), or one of"
    yield f"# {', '.join(SYSTEMS)}."
    yield "systems:"
    yield from (f"#  {quoted(system)}: other" for system, _ in by_system.most_common())
    yield ""


def _codes(gaps: Sequence[Gap]) -> Iterator[str]:
    coded = [gap for gap in gaps if gap.system and gap.code]
    yield "# Codes that are something else than any concept here."
    yield "other_codes:"
    yield from (f"#  - {_code(gap)}  {_about(gap)}" for gap in coded)
    yield ""
    yield "# Codes of a concept: take the code out of the list above, and write under the id of its concept:"
    yield "#rituximab:"
    yield "#  local_codes:"
    yield '#    - {system: "urn:oid:...", code: "..."}'
    yield ""


def _names(gaps: Sequence[Gap]) -> Iterator[str]:
    yield "# Whole texts of entries without a code that are something else. (One that is of a concept goes into the"
    yield "# `names` of that concept; it then asks a person, and decides nothing.)"
    yield "other_names:"
    for gap in gaps:
        if gap.words and gap.words != _HIDDEN and not gap.code:
            yield f"#  - {quoted(gap.words)}  {_about(gap)}"


def _code(gap: Gap) -> str:
    return f"{{system: {quoted(gap.system or '')}, code: {quoted(gap.code or '')}}}"


def _about(gap: Gap) -> str:
    opens = counted(len(gap.criteria), "criterion")
    words = f", {quoted(gap.words)}" if gap.code and gap.words else ""
    return f"# {gap.resource_type}, {counted(gap.patients, 'patient')}, may leave open {opens}{words}"


def _write(path: Path, text: str) -> None:
    """For its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
    except OSError as error:
        stop(f"--out: {path}: {cause_of(error)}")
