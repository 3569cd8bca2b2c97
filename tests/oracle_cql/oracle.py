"""Asks another engine the same questions: the reference CQL translator (Java) and `cql-execution` (JavaScript).

    python -m tests.oracle_cql.oracle --charts 5000     says where the two disagree, and counts
    python -m tests.oracle_cql.oracle --write           the same, and writes the counts into docs/oracle.md

Both tools are installed into `.cache/` on first use by Maven and npm, at the versions that the files here name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from app.definitions.served import Definitions, Served
from mappings.chart.chart import ChartBuilder
from mappings.patient_facts import facts_of
from mappings.time.times import start_of_day
from mappings.yaml_files import read_yaml
from tests import fetched
from tests.builders import bundle_of
from tests.case_files import all_cases
from tests.oracle_cql.charts import generated
from trial_defs.definition import expressions as x
from trial_defs.engine.evaluation import evaluate
from trial_defs.engine.findings import Outcome
from trial_defs.export.cql import CqlLibrary, library_of

HERE = Path(__file__).parent
CACHE = fetched.CACHE / "oracle_cql"
DOCUMENT = HERE.parents[1] / "docs" / "oracle.md"
COUNTS = ("<!-- counts: written by `make oracle` -->", "<!-- end of counts -->")
NEEDED = {"javac": "a JDK 17", "mvn": "Maven 3", "node": "Node.js 20", "npm": "npm"}
INSTALL = "apt-get install -y default-jdk-headless maven nodejs npm"
Json = dict[str, Any]
TRUTHS = {Outcome.MET: True, Outcome.NOT_MET: False, Outcome.UNKNOWN: None, Outcome.NEEDS_HUMAN: None}


@dataclass(frozen=True)
class Question:
    """One chart to be held against one trial on one day. `name` says which chart."""

    name: str
    trial: str
    today: date
    bundle: Json


@dataclass(frozen=True)
class Disagreement:
    question: Question
    criterion: str
    ours: bool | None
    theirs: bool | None

    def __str__(self) -> str:
        return f"{self.question.trial} {self.criterion}: ours {self.ours}, theirs {self.theirs} ({self.question.name})"


def missing_tools() -> list[str]:
    """What is not on this machine."""
    return fetched.missing(NEEDED)


def install() -> None:
    """Fetch both tools, once for each version of the files that name them."""
    fetched.once(CACHE, (HERE / "pom.xml", HERE / "package-lock.json"), _fetch)


def _fetch() -> None:
    fetched.jars(HERE / "pom.xml", CACHE / "lib")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, CACHE)
    fetched.run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", CACHE, timeout=300)


def translated(libraries: Iterable[CqlLibrary]) -> Path:
    """The folder with the ELM of these libraries; what was translated before is not translated again."""
    libraries = list(libraries)
    digest = hashlib.sha256((HERE / "Translate.java").read_bytes())
    for library in libraries:
        digest.update(library.text.encode())
    folder = CACHE / "elm" / digest.hexdigest()[:16]
    if not (folder / "FHIRHelpers.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for library in libraries:
            (folder / f"{library.name}.cql").write_text(library.text)
        files = [folder / f"{library.name}.cql" for library in libraries]
        fetched.run("java", "-cp", f"{CACHE / 'lib'}/*", HERE / "Translate.java", *files)
    return folder


def their_answers(questions: Sequence[Question], elm: Path) -> list[dict[str, bool | None]]:
    calls = (
        json.dumps({"library": q.trial, "today": q.today.isoformat(), "bundle": q.bundle}) + "\n" for q in questions
    )
    done = fetched.run("node", HERE / "run.js", elm, CACHE / "node_modules", input="".join(calls))
    return [json.loads(line) for line in done.stdout.splitlines()]


def install_java_engine() -> None:
    """Fetch the Java engine, once for each version of the file that names it."""
    pom = HERE / "engine.pom.xml"
    fetched.once(CACHE / "engine", (pom,), lambda: fetched.jars(pom, CACHE / "engine" / "lib"))


def java_answers(questions: Sequence[Question], libraries: Iterable[CqlLibrary]) -> list[dict[str, bool | str | None]]:
    """What the Java engine says of each question; the text of an exception for a define that throws."""
    calls = (
        json.dumps({"library": q.trial, "today": q.today.isoformat(), "bundle": q.bundle}) + "\n" for q in questions
    )
    with tempfile.TemporaryDirectory() as folder:
        for library in libraries:
            (Path(folder) / f"{library.name}.cql").write_text(library.text)
        jars = f"{CACHE / 'engine' / 'lib'}/*"
        done = fetched.run("java", "-cp", jars, HERE / "Engine.java", folder, input="".join(calls))
    return [json.loads(line) for line in done.stdout.splitlines()]


def our_answers(question: Question, trial: x.Trial, served: Served) -> dict[str, Outcome]:
    """The outcome of every criterion, whatever the gates of its cohorts say."""
    builder = ChartBuilder(None)
    builder.add(json.dumps(question.bundle).encode(), None)
    builder.whole_chart()
    facts = facts_of(builder.build(), served.catalogue, start_of_day(question.today, UTC), UTC)
    opened = tuple(replace(cohort, gate=x.All(())) for cohort in trial.cohorts)
    found = evaluate(replace(trial, cohorts=opened), facts)
    return {f.criterion.id: f.outcome for cohort in found.cohorts for f in cohort.findings}


def compare(
    question: Question, criteria: Iterable[str], ours: dict[str, Outcome], theirs: dict[str, bool | None]
) -> Iterator[Disagreement]:
    for name in criteria:
        outcome, said = ours[name], theirs[name]
        applies = theirs.get(f"{name}: applies", True)
        if outcome is Outcome.NOT_APPLICABLE:
            if applies is not False:
                yield Disagreement(question, f"{name}: applies", False, applies)
        elif applies is False:
            yield Disagreement(question, f"{name}: applies", None, False)
        elif TRUTHS[outcome] is not said:
            yield Disagreement(question, name, TRUTHS[outcome], said)


def from_case_files(served: Served) -> list[Question]:
    """The charts of the case files; but for those that were not read completely, which CQL cannot tell."""
    found = (
        Question(case.sentence, case.trial, case.as_of, bundle_of(case.chart, case.as_of, served.catalogue))
        for case in all_cases()
    )
    return [question for question in found if "OperationOutcome" not in _types(question.bundle)]


def _types(bundle: Json) -> set[str]:
    return {entry["resource"]["resourceType"] for entry in bundle["entry"]}


def from_generator(count: int, served: Served, seed: int = 1) -> list[Question]:
    trials = sorted(served.trials)
    today = date(2026, 11, 1)
    return [
        Question(
            f"chart {seed}.{n}", trial, today, generated(f"{seed}.{n}", served.trials[trial], today, served.catalogue)
        )
        for n, trial in ((n, trials[n % len(trials)]) for n in range(count))
    ]


@dataclass(frozen=True)
class Outcomes:
    """What a run came to: how many answers were compared, and where they differ."""

    compared: int
    settled: int  # of them, those that are true or false on our side
    disagreements: tuple[Disagreement, ...]


def ask_both(questions: Sequence[Question], served: Served) -> Outcomes:
    libraries = {trial.id: library_of(trial, served.catalogue) for trial in served.trials.values()}
    elm = translated(libraries.values())
    compared = settled = 0
    found: list[Disagreement] = []
    for question, theirs in zip(questions, their_answers(questions, elm), strict=True):
        criteria = libraries[question.trial].criteria
        ours = our_answers(question, served.trials[question.trial], served)
        compared += len(criteria)
        settled += sum(ours[name] in (Outcome.MET, Outcome.NOT_MET) for name in criteria)
        found += compare(question, criteria, ours, theirs)
    return Outcomes(compared, settled, tuple(found))


def ask_java(questions: Sequence[Question], served: Served) -> str:
    """What the Java engine says of these charts: how much it contradicts, leaves open, and throws for; and where."""
    install_java_engine()
    libraries = {trial.id: library_of(trial, served.catalogue) for trial in served.trials.values()}
    found: Counter[str] = Counter()
    lines = []
    for question, theirs in zip(questions, java_answers(questions, libraries.values()), strict=True):
        ours = our_answers(question, served.trials[question.trial], served)
        for name in libraries[question.trial].criteria:
            wanted, said = TRUTHS.get(ours[name]), theirs[name]
            is_same = said is wanted or ours[name] is Outcome.NOT_APPLICABLE
            kind = "same" if is_same else "throws" if isinstance(said, str) else "open" if said is None else "differs"
            found[kind] += 1
            if not is_same:
                lines.append(f"  {question.trial} {name}: ours {wanted}, theirs {said} ({question.name})")
    return "\n".join([f"Java engine: {len(questions):,} charts, {dict(found)}", *lines])


def explained() -> dict[str, str]:
    """Trial and criterion -> why the other engine, or the rendering, says something else."""
    content: Any = read_yaml((HERE / "explained.yaml").read_bytes(), HERE / "explained.yaml")
    return {f"{entry['trial']} {name}": entry["why"] for entry in content["differences"] for name in entry["criteria"]}


def unexplained(found: Iterable[Disagreement]) -> list[Disagreement]:
    """What is explained may only be open on the other side: an answer that contradicts ours is always a fault."""
    known = explained()
    return [
        each
        for each in found
        if each.theirs is not None or each.ours is None or f"{each.question.trial} {each.criterion}" not in known
    ]


def spread(questions: Sequence[Question], each: int) -> list[Question]:
    """About so many questions of each trial, evenly spaced, so that every part of a case file is among them."""
    chosen: list[Question] = []
    for trial in dict.fromkeys(question.trial for question in questions):
        of_trial = [question for question in questions if question.trial == trial]
        chosen += of_trial[:: max(1, len(of_trial) // each)]
    return chosen


@dataclass(frozen=True)
class Run:
    """What was asked under one heading, and what came of it."""

    name: str
    charts: int
    outcomes: Outcomes

    @property
    def unexplained(self) -> list[Disagreement]:
        return unexplained(self.outcomes.disagreements)

    def __str__(self) -> str:
        said, left = self.outcomes, self.unexplained
        lines = [
            f"{self.name}: {self.charts:,} charts, {said.compared:,} answers compared, {said.settled:,} settled,"
            f" {len(said.disagreements):,} differ, {len(left):,} unexplained"
        ]
        kinds = Counter(f"{d.question.trial} {d.criterion}: ours {d.ours}, theirs {d.theirs}" for d in left)
        for kind, count in kinds.most_common(60):
            example = next(str(d) for d in left if str(d).startswith(kind))
            lines.append(f"  {count:5}  {example}")
        return "\n".join(lines)


def counts_of(runs: Sequence[Run], served: Served, on: date) -> str:
    """The counts as they are in docs/oracle.md."""
    libraries = [library_of(served.trials[name], served.catalogue) for name in sorted(served.trials)]
    lines = [f"Run of {on}.", "", "| trial | version | criteria in the library | left out |", "|---|---|---|---|"]
    for library in libraries:
        version = served.trials[library.name].version
        lines.append(f"| {library.name} | {version} | {len(library.criteria)} | {len(library.left_out)} |")
    lines += ["", "| charts | answers compared | of them settled | differ | unexplained |", "|---|---|---|---|---|"]
    for run in runs:
        said = run.outcomes
        numbers = (said.compared, said.settled, len(said.disagreements), len(run.unexplained))
        lines.append(f"| {run.charts:,} {run.name} | {' | '.join(f'{number:,}' for number in numbers)} |")
    lines += ["", "| explained | differences | why |", "|---|---|---|"]
    found = Counter(f"{d.question.trial} {d.criterion}" for run in runs for d in run.outcomes.disagreements)
    lines += [f"| `{name}` | {found[name]:,} | {why} |" for name, why in sorted(explained().items())]
    return "\n".join(lines)


def with_counts(document: str, counts: str) -> str:
    """The document with these counts between its two marks; ValueError where it has none."""
    start, end = (document.index(mark) for mark in COUNTS)
    return f"{document[: start + len(COUNTS[0])]}\n{counts}\n{document[end:]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--java", type=int, default=0, help="Also ask the Java engine about so many generated charts.")
    given = parser.parse_args()
    if missing := missing_tools():
        sys.exit(f"Needed and not found: {', '.join(missing)}. {INSTALL}")
    install()
    served = Definitions().now
    runs = []
    for name, questions in (
        ("charts of the case files", from_case_files(served)),
        ("generated charts", from_generator(given.charts, served, given.seed)),
    ):
        runs.append(Run(name, len(questions), ask_both(questions, served)))
        say(str(runs[-1]))
    if given.java:
        say(ask_java(from_generator(given.java, served, given.seed), served))
    if given.write:
        counts = counts_of(runs, served, datetime.now(UTC).date())
        DOCUMENT.write_text(with_counts(DOCUMENT.read_text(), counts))
    return any(run.unexplained for run in runs)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
