"""Backup and restore by the scripts, of a database that is in use, on either kind."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from app.storage.audit import Audit, AuditedCall, Question
from app.storage.records import Records
from tests.app.conftest import NOW, records_at
from tests.postgres import Cluster
from tests.support.records import ANNA, CALLER, SERVICE, overridden, show

SCRIPTS = Path(__file__).parents[2] / "scripts"


def script(name: str, argument: Path, database: str, **more: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | {"TRIALCARDS_DATABASE_URL": database} | more
    return subprocess.run([SCRIPTS / name, argument], env=given, capture_output=True, text=True, timeout=120)


def backup(folder: Path, database: str) -> Path:
    done = script("backup.sh", folder, database)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


async def use(records: Records) -> None:
    """A card that was shown, set aside and written down."""
    await show(records)
    await records.add_feedback(CALLER, SERVICE, [overridden("not-appropriate")], NOW)
    await Audit(records).note(AuditedCall("call", "match", ANNA, "cards", {}), NOW)


async def is_used(records: Records) -> bool:
    found = len(await Audit(records).entries(Question(ANNA.patient, ANNA.ehr)))
    return await records.dismissed(ANNA, NOW) == {"NCT1": ('{"said":1}',)} and found == 1


async def later(records: Records) -> None:
    """Something that is in no backup."""
    await Audit(records).note(AuditedCall("later", "match", ANNA, "cards", {}), NOW + timedelta(1))


async def test_what_was_kept_is_there_again_after_a_restore(
    records: Records,
    database: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    await use(records)
    copy = backup(tmp_path / "backups", database)  # while the service is connected
    assert copy.stat().st_mode & 0o077 == 0
    await later(records)
    assert not await is_used(records)

    elsewhere = f"sqlite:///{tmp_path}/elsewhere/records.db"
    if database.startswith("postgresql"):
        cluster: Cluster = request.getfixturevalue("postgres")
        elsewhere = cluster.new_database()
    done = script("restore.sh", copy, elsewhere)
    assert done.returncode == 0, done.stderr
    other = records_at(elsewhere)
    await other.prepare()
    assert await is_used(other)
    await other.close()


async def test_a_database_is_replaced_only_while_nobody_uses_it(
    records: Records,
    database: str,
    tmp_path: Path,
) -> None:
    await use(records)
    copy = backup(tmp_path / "backups", database)
    await later(records)
    refused = script("restore.sh", copy, database, REPLACE="1")
    assert (refused.returncode, "stop the service first" in refused.stderr) == (1, True)
    await records.close()
    if database.startswith("postgresql"):
        refused = script("restore.sh", copy, database)
        assert (refused.returncode, "REPLACE=1 replaces them" in refused.stderr) == (1, True)
    done = script("restore.sh", copy, database, REPLACE="1")
    assert done.returncode == 0, done.stderr
    restored = records_at(database)
    await restored.prepare()
    assert await is_used(restored)
    await restored.close()
    if database.startswith("sqlite"):
        (before,) = files(tmp_path, "records.db.before-*Z")
        kept = records_at(f"sqlite:///{before}")
        await kept.prepare()
        assert len(await Audit(kept).entries(Question())) == 2
        await kept.close()


async def test_a_password_is_not_among_the_arguments_of_a_process(
    records: Records,
    database: str,
    tmp_path: Path,
) -> None:
    if database.startswith("sqlite"):
        return
    await use(records)
    spy = tmp_path / "bin"
    spy.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (spy / name).write_text(
            f'#!/bin/sh\necho "$@ $PGPASSWORD" >> {tmp_path}/seen\nPATH=${{PATH#*:}} exec {name} "$@"\n'
        )
        (spy / name).chmod(0o755)
    url = database.replace("owner@", "owner:p%40ss%2Fcanary@").replace("postgresql://", "postgresql+asyncpg://")
    done = script(
        "backup.sh", tmp_path / "backups", f"{url}?statement_cache_size=0", PATH=f"{spy}:{os.environ['PATH']}"
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "seen").read_text().splitlines()
    assert all("canary" not in line.rpartition(" ")[0] for line in lines)
    assert lines[0].endswith(" p@ss/canary")


WRONG = {
    "no database there": ("backup.sh", "sqlite:///{}/none.db", 1, "there is no database at"),
    "not ours": ("backup.sh", "sqlite:///{}/other.db", 1, "is not a whole database of TrialCards"),
    "another kind": ("backup.sh", "mysql://x", 2, "starts with sqlite:/// or postgresql://"),
    "no file": ("restore.sh", "sqlite:///{}/new.db", 1, "there is no file"),
}


@pytest.mark.parametrize(("name", "url", "status", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_said(tmp_path: Path, name: str, url: str, status: int, words: str) -> None:
    subprocess.run(
        ["python3", "-c", f"import sqlite3; sqlite3.connect('{tmp_path}/other.db').execute('CREATE TABLE a (b)')"]
    )
    refused = script(name, tmp_path / "backups", url.format(tmp_path))
    assert (refused.returncode, words in refused.stderr) == (status, True), refused.stderr
    assert not list(tmp_path.glob("backups/*"))


def test_a_copy_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    for name, url in (("copy.dump", f"sqlite:///{tmp_path}/x.db"), ("copy.db", "postgresql://127.0.0.1/x")):
        (tmp_path / name).write_bytes(b"x")
        refused = script("restore.sh", tmp_path / name, url)
        assert (refused.returncode, "which backup.sh wrote" in refused.stderr) == (2, True)
