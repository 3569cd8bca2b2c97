"""How the importer does on registry records that it was not made for: the figures of docs/registry.md.

The records and the verdicts on an earlier importer's drafts are in `../shared/trial-records`. `drafts_verdicts.tsv`
beside this file holds a reader's verdict on each draft, under a hash of record, side, draft and words; a draft without
one counts as wrong. `drafts_facts.tsv` holds where the records have numeric expressions, cell counts and joining lines.
"""

from __future__ import annotations

import csv
import hashlib
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.compiler import compile_criterion
from trial_defs.definition.language import CriterionWords
from trial_defs.registry.criteria import Drafted
from trial_defs.registry.draft import Draft, draft_of
from trial_defs.registry.forms import form_of
from trial_defs.registry.record import read_record

HERE = Path(__file__).parent
RECORDS = HERE.parents[1] / "shared" / "trial-records"
VERDICTS, FACTS = HERE / "drafts_verdicts.tsv", HERE / "drafts_facts.tsv"


def in_short(asks: object) -> str:
    """An expression in one line, as the verdicts name it: "ALL(COND hypertension; JUDGE)"."""
    match asks:
        case {"value": {"of": of, "is": limit}}:
            return f"{of} {limit}"
        case {"condition": {"is": of, **rest}}:
            return f"COND {of}" + (f" {rest['when']}" if "when" in rest else "")
        case {"treatment": {"of": of, "when": when}}:
            return f"TREAT of={list(of) if isinstance(of, list | tuple) else of} when={when}"
        case {"all": parts}:
            return f"ALL({'; '.join(map(in_short, parts))})"
        case {"any": parts}:
            return f"ANY({'; '.join(map(in_short, parts))})"
        case {"at_least": {"n": n, "of": parts}}:
            return f"{n} OF({'; '.join(map(in_short, parts))})"
        case {"not": part}:
            return f"NOT({in_short(part)})"
        case {"age": {"is": limit}}:
            return f"AGE {limit}"
        case {"sex": sex}:
            return f"SEX {sex}"
        case _:
            return "JUDGE"


def key_of(record: str, each: Drafted, words: str) -> str:
    """The key under which a draft's verdict is kept."""
    text = "\t".join((record, each.side, in_short(each.asks), words))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Bars:
    """What was counted."""

    drafts: int = 0
    wrong: int = 0
    wrong_bare: int = 0
    unread: int = 0
    own_disease: int = 0
    kept: int = 0
    right_before: int = 0
    words: int = 0
    words_left: int = 0
    facts: dict[str, list[int]] = field(default_factory=dict)  # kind -> [drafted, of]
    crashes: int = 0
    lost: list[str] = field(default_factory=list)
    forms: dict[str, list[int]] = field(default_factory=dict)  # form -> [wrong, drafts]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Each figure with its bar."""
        yield "wrong with nothing beside it", f"{self.wrong_bare} of {self.drafts}", "< 2 %"
        yield "crashes on these records", str(self.crashes), "0"
        yield "right", f"{self.drafts - self.wrong} of {self.drafts}", ""
        yield "drafts that no reader has judged, counted as wrong", str(self.unread), ""
        yield "bare exclusions of the trial's own disease", str(self.own_disease), "0"
        yield "right drafts of the earlier importer that are kept", f"{self.kept} of {self.right_before}", "≥ 95 %"
        yield "words accounted for", f"{self.words - self.words_left} of {self.words}", "≥ 99 %"
        names = {"join": "joining lines kept", "count": "cell counts drafted"}
        bars = {"join": "100 %", "count": "≥ 90 %"}
        for kind, (drafted, of) in self.facts.items():
            if kind in names:
                yield names[kind], f"{drafted} of {of}", bars[kind]
        expressions = [counts for kind, counts in self.facts.items() if kind not in names]
        yield (
            "numbers, ages and windows drafted",
            f"{sum(c[0] for c in expressions)} of {sum(c[1] for c in expressions)}",
            "≥ 55 %",
        )


def form_table(bars: Bars) -> str:
    """The counts by form, as `trial_defs/registry/forms.py` reads them; the worst first."""
    rows = sorted(bars.forms.items(), key=lambda row: (-row[1][0] / row[1][1], row[0]))
    return "form\twrong\tdrafts\n" + "".join(f"{form}\t{wrong}\t{of}\n" for form, (wrong, of) in rows)


def drafts(
    catalogue: Catalogue, folder: Path = RECORDS, crashed: list[str] | None = None
) -> Iterator[tuple[str, Draft]]:
    """Every record of the folder with its draft; with `crashed`, the names of those that have none go there."""
    for path in sorted(folder.glob("*.json")):
        try:
            found = draft_of(read_record(path.read_bytes()), catalogue)
        except Exception:
            if crashed is None:
                raise
            crashed.append(path.stem)
            continue
        yield path.stem, found


def import_seconds(record: Path) -> float:
    """The CPU of one import by the command, start included."""
    with TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(Path(sys.executable).with_name("trialcards")), "trials", "import", str(record), "--out", folder]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def is_bare(each: Drafted) -> bool:
    """Whether nothing beside the draft asks a person."""
    return each.question is None and "JUDGE" not in in_short(each.asks)


def judged(draft: Draft) -> list[Drafted]:
    """The drafts that a reader judges: those read of the text."""
    return [each for each in draft.criteria if each.is_computed and not each.place.startswith("Registry field")]


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table of facts."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def measure(catalogue: Catalogue, folder: Path = RECORDS) -> Bars:
    """Hold every draft against the verdicts and the facts."""
    verdicts = {row["key"]: row["verdict"] for row in read_table(VERDICTS)}
    facts: dict[str, list[dict[str, str]]] = {}
    for row in read_table(FACTS):
        facts.setdefault(row["record"], []).append(row)
    before: dict[str, list[dict[str, str]]] = {}
    for row in read_table(folder / "verdicts.tsv"):
        before.setdefault(row["record"], []).append(row)
    bars = Bars()
    crashed: list[str] = []
    for name, draft in drafts(catalogue, folder, crashed):
        _count_verdicts(bars, name, draft, verdicts, catalogue)
        _count_kept(bars, draft, before.get(name, ()))
        bars.words += draft.unaccounted.of
        bars.words_left += len(draft.unaccounted.words)
        for row in facts.get(name, ()):
            counts = bars.facts.setdefault(row["kind"], [0, 0])
            counts[1] += 1
            if _is_drafted(draft, row):
                counts[0] += 1
    bars.crashes = len(crashed)
    return bars


def _count_verdicts(bars: Bars, name: str, draft: Draft, verdicts: Mapping[str, str], catalogue: Catalogue) -> None:
    text = draft.record.eligibility
    for each in judged(draft):
        verdict = verdicts.get(key_of(name, each, text[each.start : each.end]))
        bars.drafts += 1
        counts = bars.forms.setdefault(_form(each, catalogue), [0, 0])
        counts[0] += verdict != "right"
        counts[1] += 1
        if verdict is None:
            bars.unread += 1
        if verdict != "right":
            bars.wrong += 1
            bars.wrong_bare += is_bare(each)
            bars.own_disease += verdict == "wrong: own disease" and is_bare(each)


def _form(each: Drafted, catalogue: Catalogue) -> str:
    side = "include" if each.side == "inclusion" else "exclude"
    words = CriterionWords.model_validate({"id": "draft", "source": "-", "text": "-", side: each.asks})
    return form_of(compile_criterion(words, catalogue).asks, has_question=each.question is not None)


def _count_kept(bars: Bars, draft: Draft, rows: Sequence[dict[str, str]]) -> None:
    """An earlier draft that was right is kept where each thing that it asks is still asked on its side."""
    now: dict[str, list[str]] = {"inc": [], "exc": []}
    for each in judged(draft):
        now[each.side[:3]] += atoms(in_short(each.asks))
        turned = " ".join(re.findall(r"NOT\((.*?)\)", in_short(each.asks)))
        now["exc" if each.side == "inclusion" else "inc"] += atoms(turned)
    for row in rows:
        if row["verdict"] != "right":
            continue
        bars.right_before += 1
        missing = [atom for atom in atoms(row["draft"]) if atom not in now[row["side"]]]
        if missing:
            bars.lost.append(f"{row['record']} {row['side']} {row['draft']}")
        else:
            bars.kept += 1


_ATOM = re.compile(
    r"COND [a-z0-9-]+|TREAT of=(?:\[[^\]]*\]|[a-z0-9-]+)|[a-z0-9-]+ (?:[<>]=? ?[^;()]+|positive|negative)"
)


def atoms(short: str) -> list[str]:
    """What is asked, without the windows and the judgements beside it."""
    return [re.sub(r"\s+", " ", match[0]).strip() for match in _ATOM.finditer(short)]


def _is_drafted(draft: Draft, row: Mapping[str, str]) -> bool:
    start, end = int(row["start"]), int(row["end"])
    if row["kind"] == "join":
        spans = [span for each in draft.criteria for span in each.under]
        spans += [(e.start, e.end) for e in draft.criteria if e.name.endswith("-of") or not e.is_computed]
        return any(first < end and start < last for first, last in spans)
    if row["kind"] == "window":
        return any(
            each.is_computed and "within" in in_short(each.asks) and each.sentence[0] <= start < each.sentence[1]
            for each in draft.criteria
        )
    fields = draft.record.least_age is not None or draft.record.most_age is not None
    if row["kind"] == "age" and fields:
        return True
    return any(
        each.is_computed and each.start < end and start < each.end and re.search(r"\d|ULN|LLN", in_short(each.asks))
        for each in draft.criteria
    )
