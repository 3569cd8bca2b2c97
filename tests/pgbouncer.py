"""A PgBouncer of the tests' own, in transaction mode, before a cluster of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.postgres import Cluster, as_user
from tests.server import free_port

INSTALL = "PgBouncer is not installed here; apt-get install pgbouncer"
POOL = 3  # connections to the server, fewer than a worker has to PgBouncer


def program() -> str | None:
    """Where PgBouncer is, if it is installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pooled(cluster: Cluster, url: str, command: str) -> Iterator[str]:
    """The URL under which this database of the cluster is reached through PgBouncer, with its default settings."""
    folder, port = Path(tempfile.mkdtemp(prefix="pgbouncer-")), free_port()
    name = url.rpartition("/")[2]
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    (folder / "users.txt").write_text('"owner" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={cluster.port} dbname={name}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\n"
        f"auth_file = {folder}/users.txt\nunix_socket_dir =\npool_mode = transaction\ndefault_pool_size = {POOL}\n"
    )
    if user:
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)
    process = subprocess.Popen(
        [command, "-q", folder / "pgbouncer.ini"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user(user)
    )
    try:
        _wait_for(port, name)
        yield f"postgresql://owner@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, name: str) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=owner dbname={name}", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
