"""Puts charts, hook calls and registry records of others through every door and compares what the doors say.

python -m tests.strangers.strangers               every chart of ../shared
python -m tests.strangers.strangers --every 10    every tenth of them
python -m tests.strangers.strangers --write       the same, and writes the counts into docs/strangers.md
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import typer
from typer.testing import CliRunner

from app.cli import cli
from cds_hooks.protocol.services import OFFERS
from docs.mapped import chart_files
from tests.conftest import ROOT, SHARED
from tests.hospital import bearer, signed
from tests.strangers.charts import Json, as_if_ill, as_stored, subjects_of, whole_charts
from tests.strangers.doors import Answer, Cohort, Doors, Said, doors, screened

DOCUMENT = ROOT / "docs" / "strangers.md"
COUNTS = ("<!-- counts: written by `make strangers` -->", "<!-- end of counts -->")
CANDIDATE = frozenset({"likely-eligible", "possibly-eligible", "near-miss"})
NOT_EVALUATED = "could-not-evaluate"
REFUSED = "nothing could be evaluated: a hook answers 412 instead of cards"
SHORTENED = "the response would be larger than 256 KB: the last cards have no criteria"
NO_ROW = "a cohort whose diagnosis was not understood: a screen counts the patient and lists no row"
NO_CHART = "the chart is refused, because no record names its patient: a screen lists no row"
NO_EXPORT = "no record of the export names a patient: a screen refuses it"
ANOTHER = "a record names a patient who is not there: a chart is then incomplete, an export holds another patient"
COMMAND, API, FHIR, SCREEN = "`trialcards match`", "`POST /api/v1/match`", "`$match`", "`trialcards screen`"
HOOK, PRODUCTION = "`patient-view` (demo)", "`patient-view` (production)"


@dataclass(frozen=True)
class Difference:
    """Where a door says something else than the door that it is compared with."""

    chart: str
    what: str  # "cohort missing", "verdict", "outcome", ...
    where: str  # trial, cohort and criterion, as far as they are meant
    one: str
    other: str


@dataclass
class Comparison:
    """One pair of doors over many charts. `explained`: cause -> how many answers differ because of it."""

    name: str
    charts: int = 0
    cohorts: int = 0
    criteria: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, chart: str, one: Answer, other: Answer) -> None:
        """Compare two answers of doors that show the same."""
        self.charts += 1
        if one.is_refusal or other.is_refusal:
            if one.is_refusal != other.is_refusal:
                self.differences.append(Difference(chart, "refusal", "", one.status, other.status))
            return
        self.cohorts += len(one.cohorts)
        self.criteria += sum(len(said.outcomes) for said in one.cohorts.values())
        self.differences += differences(chart, one.cohorts, other.cohorts)

    def add_hook(self, chart: str, one: Answer, hook: Answer) -> None:
        """Compare with a hook, which shows only trials that are worth a card, and all of each only where it fits."""
        shown = shown_as_cards(one)
        if not shown.cohorts and hook.status == "412" and is_not_evaluated(one):
            self.charts += 1
            self.explained[REFUSED] += 1
        elif shown.is_refusal and hook.status in ("412", "422"):
            self.charts += 1
        else:
            self.explained[SHORTENED] += len(hook.shortened)
            left = {key: said for key, said in shown.cohorts.items() if key[0] not in hook.shortened}
            self.add(chart, Answer(shown.status, left), hook)

    def add_screen(self, chart: str, one: Answer, screen: Answer, *, names_another: bool = False) -> None:
        """Compare with a screen, which has no rows for a cohort whose diagnosis was not understood.

        `names_another`: some record names a patient who is not in the chart.
        """
        if names_another:
            self.charts += 1
            self.explained[ANOTHER] += 1
            return
        if screen.is_refusal and not shown_as_cards(one).cohorts:
            self.charts += 1
            self.explained[NO_EXPORT] += 1
            return
        left = {key: said for key, said in one.cohorts.items() if said.verdict != NOT_EVALUATED}
        self.explained[NO_ROW] += len(one.cohorts) - len(left)
        self.explained[NO_CHART] += one.is_refusal
        self.add(chart, Answer("answered", left), screen)


def shown_as_cards(answer: Answer) -> Answer:
    """The part of an answer that a hook shows: the trials with a cohort that the patient may be a candidate for."""
    trials = {trial for (trial, _), said in answer.cohorts.items() if said.verdict in CANDIDATE}
    return Answer(answer.status, {key: said for key, said in answer.cohorts.items() if key[0] in trials})


def is_not_evaluated(answer: Answer) -> bool:
    return any(said.verdict == NOT_EVALUATED for said in answer.cohorts.values())


def differences(chart: str, one: Mapping[Cohort, Said], other: Mapping[Cohort, Said]) -> Iterator[Difference]:
    """Every cohort, verdict and outcome in which these answers differ."""

    for key in sorted(one.keys() | other.keys()):
        where, here, there = " ".join(key), one.get(key), other.get(key)
        if here is None or there is None:
            yield Difference(
                chart, "cohort", where, here.verdict if here else "none", there.verdict if there else "none"
            )
            continue
        if here.verdict != there.verdict:
            yield Difference(chart, "verdict", where, here.verdict, there.verdict)
        for name in sorted(here.outcomes.keys() | there.outcomes.keys()):
            pair = here.outcomes.get(name, "none"), there.outcomes.get(name, "none")
            if pair[0] != pair[1]:
                yield Difference(chart, "outcome", f"{where} {name}", *pair)


@dataclass
class Tally:
    """Everything that a run came to."""

    comparisons: dict[str, Comparison] = field(default_factory=dict)
    statuses: dict[str, Counter[str]] = field(default_factory=dict)

    def between(self, one: str, other: str) -> Comparison:
        name = f"{one} and {other}"
        return self.comparisons.setdefault(name, Comparison(name))

    def status(self, name: str, status: object) -> None:
        self.statuses.setdefault(name, Counter())[str(status)] += 1


async def ask_as_posted(charts: Iterable[tuple[str, bytes]], at: Doors, tally: Tally) -> None:
    """Give each Bundle as it was written to the doors that take one."""
    for name, raw in charts:
        command = at.match_command(raw)
        tally.status(COMMAND, command.status)
        for door, answer in ((API, await at.api(raw)), (FHIR, await at.fhir(raw))):
            tally.status(door, answer.status)
            tally.between(COMMAND, door).add(name, command, answer)


async def ask_as_stored(charts: Mapping[str, tuple[Json, Json]], at: Doors, tally: Tally) -> None:
    """Give each chart as a server keeps it to every door. `charts`: name -> as it was written, and as it is stored."""
    screen = screens({name: stored for name, (_, stored) in charts.items()}, at.folder)
    for name, (written, stored) in charts.items():
        command = at.match_command(json.dumps(stored).encode())
        tally.between("a chart as written", "as stored by a server").add(
            name, at.match_command(json.dumps(written).encode()), command
        )
        hook, production = await at.hook(stored), await at.production_hook(stored)
        tally.status(HOOK, hook.status)
        tally.status(PRODUCTION, production.status)
        tally.between(COMMAND, HOOK).add_hook(name, command, hook)
        tally.between(HOOK, PRODUCTION).add(name, hook, production)
        others = subjects_of(stored) - {f"Patient/{name}", None}
        tally.between(COMMAND, SCREEN).add_screen(name, command, screen[name], names_another=bool(others))


def screens(charts: Mapping[str, Json], folder: Path) -> dict[str, Answer]:
    """What screens say of these charts: one export of all, and one for each chart that would leave others open.

    A record that names no patient may be about any patient of its export.
    """
    apart = {name for name, chart in charts.items() if subjects_of(chart) - {f"Patient/{name}"}}
    together = {name: chart for name, chart in charts.items() if name not in apart}
    found = screened(together, folder / "all") if together else {}
    for name in sorted(apart):
        found |= screened({name: charts[name]}, folder / name)
    return found


async def send_calls(folder: Path, at: Doors, tally: Tally) -> None:
    """Send each hook call of others as it is, to every service of the demo and of production."""
    for path in json_files(folder):
        body = path.read_bytes()
        for offer in OFFERS:
            address = f"/cds-services/{offer.id}"
            for name, client, headers in (
                ("demo", at.demo, {}),
                ("production", at.production, bearer(signed(address))),
            ):
                answer = await client.post(
                    address, content=body, headers=headers | {"content-type": "application/json"}
                )
                assert answer.status_code < 500, path
                tally.status(f"hook calls of others ({name})", answer.status_code)


async def send_records(folder: Path, at: Doors, tally: Tally) -> None:
    """Draft a definition of each registry record, and post the record where a chart is expected."""
    for path in json_files(folder):
        drafts = at.folder / path.stem
        drafts.mkdir()
        done = CliRunner().invoke(cli, ["trials", "import", str(path), "--out", str(drafts), "--id", "STRANGER-1"])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        tally.status("`trialcards trials import`", f"exit {done.exit_code}")
        raw = path.read_bytes()
        for door, answer in ((COMMAND, at.match_command(raw)), (FHIR, await at.fhir(raw))):
            tally.status(f"registry record as a chart: {door}", answer.status)


def json_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def stored_charts(shared: Path, every: int) -> dict[str, tuple[Json, Json]]:
    """Every so many charts of others, as they are and with the diseases of the trials added."""
    found: dict[str, tuple[Json, Json]] = {}
    files = [each for folder in ("patients", "world-fhir") for each in whole_charts(shared / folder)]
    for number, (_, chart) in enumerate(files[::every]):
        for name, written in ((f"s{number}", chart), (f"i{number}", as_if_ill(chart))):
            found[name] = (written, as_stored(written, name))
    return found


async def everything(shared: Path, every: int, folder: Path) -> Tally:
    tally = Tally()
    async with doors(folder) as at:
        files = [each for name in ("patients", "world-fhir") for each in chart_files(shared / name)]
        await ask_as_posted(((str(path), raw) for path, raw in files[::every]), at, tally)
        await ask_as_stored(stored_charts(shared, every), at, tally)
        await send_calls(shared / "cds-requests", at, tally)
        await send_records(shared / "trial-records", at, tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if not given.shared.is_dir():
        sys.exit(f"--shared: {given.shared}: there is no such folder")
    with tempfile.TemporaryDirectory() as folder:
        tally = asyncio.run(everything(given.shared, given.every, Path(folder)))
    for comparison in tally.comparisons.values():
        typer.echo(listed(comparison))
    for name, statuses in tally.statuses.items():
        typer.echo(f"{name}: {words_of(statuses)}")
    if given.write:
        counts = counts_of(tally, datetime.now(UTC).date(), given.every)
        DOCUMENT.write_text(with_counts(DOCUMENT.read_text("utf-8"), counts), "utf-8")
    return any(comparison.differences for comparison in tally.comparisons.values())


def listed(comparison: Comparison) -> str:
    """What a comparison came to, with every kind of difference and one chart that has it."""
    lines = [
        f"{comparison.name}: {comparison.charts:,} charts, {comparison.cohorts:,} cohorts,"
        f" {comparison.criteria:,} criteria, {len(comparison.differences):,} differ"
    ]
    lines += [f"  {count:5}  explained: {cause}" for cause, count in (+comparison.explained).items()]
    kinds: dict[tuple[str, str, str, str], list[str]] = {}
    for each in comparison.differences:
        kinds.setdefault((each.what, each.where, each.one, each.other), []).append(each.chart)
    for (what, where, one, other), charts in sorted(kinds.items(), key=lambda item: -len(item[1]))[:60]:
        lines.append(f"  {len(charts):5}  {what} {where}: {one} and {other} ({charts[0]})")
    return "\n".join(lines)


def words_of(statuses: Counter[str]) -> str:
    return ", ".join(f"{status} {count:,}" for status, count in sorted(statuses.items()))


def counts_of(tally: Tally, on: date, every: int) -> str:
    """The counts as docs/strangers.md shows them: no word of anybody's data."""
    sample = f"one chart in {every}" if every > 1 else "every chart"
    lines = [f"Run of {on}, {sample}.", "", "| doors | charts | cohorts | criteria | differ |", "|---|---|---|---|---|"]
    for each in tally.comparisons.values():
        numbers = (each.charts, each.cohorts, each.criteria, len(each.differences))
        lines.append(f"| {each.name} | {' | '.join(f'{number:,}' for number in numbers)} |")
    lines += ["", "| doors | explained difference | times |", "|---|---|---|"]
    for each in tally.comparisons.values():
        lines += [f"| {each.name} | {cause} | {count:,} |" for cause, count in (+each.explained).items()]
    lines += ["", "| door | answers by status |", "|---|---|"]
    lines += [f"| {name} | {words_of(statuses)} |" for name, statuses in tally.statuses.items()]
    return "\n".join(lines)


def with_counts(document: str, counts: str) -> str:
    """The document with these counts between its two marks; ValueError where it has none."""
    start, end = (document.index(mark) for mark in COUNTS)
    return f"{document[: start + len(COUNTS[0])]}\n\n{counts}\n\n{document[end:]}"


if __name__ == "__main__":
    sys.exit(main())
