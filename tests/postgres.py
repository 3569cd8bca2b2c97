"""A PostgreSQL cluster of the tests' own: made in a folder, served on a free port by an unprivileged user, removed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from tests.server import free_port

INSTALL = "PostgreSQL is not installed here; apt-get install postgresql"


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@dataclass(frozen=True)
class Cluster:
    port: int
    process: subprocess.Popen[bytes]

    def new_database(self) -> str:
        """The SQLAlchemy URL of an empty database."""
        name = f"t{uuid.uuid4().hex}"
        where = f"host=127.0.0.1 port={self.port} user=owner dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return f"postgresql://owner@127.0.0.1:{self.port}/{name}"


@contextmanager
def cluster(bin_: Path) -> Iterator[Cluster]:
    """A cluster that forgets everything: it never waits for the disk, since only our own process is ever killed."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    # The server refuses to run as root.
    user = _unprivileged() if os.geteuid() == 0 else None
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    port = free_port()
    data = folder / "data"
    try:
        _run([bin_ / "initdb", "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync"], user, folder)
        given = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
        options = [text for name, value in given.items() for text in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [bin_ / "postgres", "-D", data, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=folder, **as_user(user),
        )  # fmt: skip
        try:
            _wait_for(bin_, port)
            yield Cluster(port, process)
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments of a process that runs as this user."""
    return {"user": user.pw_uid, "group": user.pw_gid} if user else {}


def _run(command: list[str | Path], user: pwd.struct_passwd | None, folder: Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user(user))


def _wait_for(bin_: Path, port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if subprocess.run([bin_ / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError("the cluster did not start")
