"""A start with many definitions compiles only those that are new, and serves what a first start would."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from app.definitions.compiled import WORTH_IT, Compiled
from app.definitions.file_contents import Contents
from app.definitions.served import Definitions, Served
from benchmarks.many_trials import write_trials
from trial_defs.definition.expressions import Trial
from trial_defs.definition.loader import hash_of
from trial_defs.definition.packed import pack


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """As many definitions as are worth keeping."""
    write_trials(tmp_path / "trials", range(WORTH_IT))
    return tmp_path


def started(site: Path) -> Served:
    return Definitions(site_trials=site / "trials", compiled=Compiled(site / "cache")).now


def kept(site: Path) -> Path:
    return site / "cache" / "definitions.bin"


def renamed(trial: Trial) -> Trial:
    return replace(trial, title=f"{trial.title}, as it was kept")


def keep_renamed(site: Path, served: Served, catalogue_hash: str | None = None) -> None:
    """Have another title kept for every trial, which tells whether a trial was compiled or read from there."""
    raw = pack(map(renamed, served.trials.values()), catalogue_hash or served.catalogue.hash)
    kept(site).write_bytes(raw)


def from_there(served: Served) -> set[str]:
    return {name for name, trial in served.trials.items() if trial.title.endswith("as it was kept")}


def test_the_second_start_serves_what_the_first_did(site: Path) -> None:
    first = started(site)
    assert kept(site).exists()
    again = started(site)
    assert again.trials == first.trials
    assert dict(again.texts) == dict(first.texts)


def test_what_was_compiled_is_not_compiled_again(site: Path) -> None:
    keep_renamed(site, first := started(site))
    assert from_there(started(site)) == set(first.trials)


def test_a_changed_file_is_compiled_again(site: Path) -> None:
    keep_renamed(site, first := started(site))
    path = site / "trials" / "MANY-00003.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1", "version: 2"), encoding="utf-8")
    again = started(site)
    assert from_there(again) == set(first.trials) - {"MANY-00003"}
    assert again.trials["MANY-00003"].version == 2


def test_with_other_concepts_everything_is_compiled_again(site: Path) -> None:
    keep_renamed(site, started(site), "sha256:others")
    assert not from_there(started(site))


def test_a_damaged_file_of_compiled_trials_changes_nothing(site: Path) -> None:
    first = started(site)
    kept(site).write_bytes(kept(site).read_bytes()[:-9])
    assert started(site).trials == first.trials


def test_a_broken_definition_is_named_at_every_start(site: Path) -> None:
    (site / "trials" / "broken.yaml").write_text("id: BROKEN\nversion: 1\n", encoding="utf-8")
    first, again = started(site), started(site)
    assert first.problems
    assert again.problems == first.problems


def test_a_folder_that_cannot_be_written_stops_nothing(site: Path) -> None:
    (site / "cache").write_text("a file where the folder would be", encoding="utf-8")
    assert len(started(site).trials) > WORTH_IT


def test_what_keeps_the_file_from_being_written_is_told(site: Path) -> None:
    told: list[OSError] = []
    (site / "cache").write_text("a file where the folder would be", encoding="utf-8")
    assert Definitions(site_trials=site / "trials", compiled=Compiled(site / "cache", told.append)).now.trials
    assert [error.strerror for error in told] == ["Not a directory"] or told[0].strerror == "File exists"


def test_few_definitions_are_not_worth_a_file(tmp_path: Path) -> None:
    write_trials(tmp_path / "trials", range(3))
    started(tmp_path)
    assert not kept(tmp_path).exists()


def test_what_is_kept_is_for_the_service_alone(site: Path) -> None:
    started(site)
    assert kept(site).stat().st_mode & 0o077 == 0


async def test_one_change_among_many_compiles_one(site: Path) -> None:
    definitions = Definitions(site_trials=site / "trials", compiled=Compiled(site / "cache"))
    before = definitions.now
    path = site / "trials" / "MANY-00003.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1", "version: 2"), encoding="utf-8")
    assert await definitions.reload_if_changed()
    after = definitions.now
    assert {name for name, trial in after.trials.items() if trial is not before.trials[name]} == {"MANY-00003"}
    assert hash_of(after.texts[after.trials["MANY-00003"].hash]) == after.trials["MANY-00003"].hash
    assert before.trials["MANY-00003"].hash not in after.texts


# -- hashes of files


def test_an_edit_within_the_same_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path, contents = tmp_path / "a.yaml", Contents()
    path.write_bytes(b"one")
    first, times = contents.hash_of(str(path)), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert contents.hash_of(str(path)) != first


def test_an_edit_that_sets_the_time_of_writing_back_is_seen(tmp_path: Path) -> None:
    path, contents = tmp_path / "a.yaml", Contents(settled=0)
    path.write_bytes(b"one")
    first, times = contents.hash_of(str(path)), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert contents.hash_of(str(path)) != first


def test_a_file_that_cannot_be_read_differs_from_every_file(tmp_path: Path) -> None:
    assert Contents().hash_of(str(tmp_path / "none.yaml")) == b"unreadable"


@pytest.mark.parametrize(
    "content", [[[3]], [["a", 1]], [[99, 1]], [[0, "a"]], [[1, "no number"]], [[2, "no"]], [[3, 7]], [[]]]
)
def test_a_file_of_whole_but_senseless_rows_changes_nothing(site: Path, content: list[list[object]]) -> None:
    """Whoever wrote it knew the form: the digest is right, the concepts and the version are."""
    first = started(site)
    made_by = msgspec.msgpack.decode(kept(site).read_bytes()[32:])[0]
    raw = msgspec.msgpack.encode([made_by, content, [0]])
    kept(site).write_bytes(hashlib.sha256(raw).digest() + raw)
    assert started(site).trials == first.trials
