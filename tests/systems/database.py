"""PostgreSQL failing under load: two instances of two workers, one of them through PgBouncer in transaction mode."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from app.web.examples import hook_call
from tests.hospital import VIEW, Production, bearer, production, settings_of, signed
from tests.pgbouncer import pooled, program
from tests.postgres import Cluster, cluster, programs
from tests.systems.report import Report

BEFORE, AFTER = 3.0, 6.0  # seconds of calls around a fault
LOGIN_RETRY = 15.0  # seconds that PgBouncer refuses clients after a failed login at the server (server_login_retry)
FEEDBACK = VIEW + "/feedback"
Fault = Callable[[], None]


@dataclass
class Load:
    """Clinicians who open charts and answer cards, without a pause, while something fails."""

    servers: Sequence[Production]
    statuses: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)  # cards whose feedback was answered with 200
    answered_at: list[tuple[float, bool]] = field(default_factory=list)
    slowest: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _work(self, number: int) -> None:
        turn = number
        while not self._over.is_set():
            server, turn = self.servers[turn % len(self.servers)], turn + 1
            call = hook_call("patient-view", userId=f"Practitioner/{number}-{turn}")
            answer = self._post(server, VIEW, call)
            cards = answer.json()["cards"] if answer is not None and answer.status_code == 200 else []
            for card in cards[:1]:
                at = datetime.now(UTC).isoformat()
                item = {"card": card["uuid"], "outcome": "accepted", "outcomeTimestamp": at}
                item["acceptedSuggestions"] = [{"id": each["uuid"]} for each in card.get("suggestions", ())[:1]]
                told = self._post(server, FEEDBACK, {"feedback": [item]})
                if told is not None and told.status_code == 200:
                    self.acknowledged.append(card["uuid"])

    def _post(self, server: Production, path: str, body: Any) -> httpx.Response | None:
        begun = time.monotonic()
        try:
            headers = bearer(signed(path))
            answer = httpx.post(server.base + path, json=body, headers=headers, trust_env=False, timeout=30)
        except httpx.TransportError:
            self.statuses["reset"] += 1
            return None
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.statuses[str(answer.status_code)] += 1
        self.answered_at.append((time.monotonic(), answer.status_code == 200))
        return answer


def tried(folder: Path) -> Report:
    """Each fault under load; of every acknowledged feedback it is looked up afterwards."""
    source = "Debian's PostgreSQL and PgBouncer, two instances of two workers, one of them through PgBouncer."
    bin_, bouncer = programs(), program()
    assert bin_ is not None, "apt-get install postgresql"
    assert bouncer is not None, "apt-get install pgbouncer"
    with cluster(bin_) as postgres:
        report, process = Report(f"PostgreSQL {_version(postgres)} and PgBouncer", source), [postgres.process]
        url = postgres.new_database()
        with pooled(postgres, url, bouncer) as through:
            first, second = folder / "direct", folder / "pooled"
            first.mkdir()
            second.mkdir()
            with (
                production(first, settings_of(first, url, WORKERS="2")) as one,
                production(second, settings_of(second, through, WORKERS="2")) as two,
            ):
                for words, after, fault in _faults(process, url, one):
                    _try(report, words, fault, after, [one, two], url)
                _refused_while_read_only(report, url, [one, two])
        _end(process[-1])
    return report


def _faults(process: list[subprocess.Popen[bytes]], url: str, one: Production) -> Iterator[tuple[str, float, Fault]]:
    """Each fault in words, how long calls go on after it, and what does it."""
    yield "no fault", AFTER, lambda: time.sleep(5)
    yield "`kill -9` of a worker", AFTER, lambda: os.kill(_children(one.process.pid)[-1], signal.SIGKILL)
    yield "`pg_terminate_backend` of every connection", AFTER, lambda: _terminate(url)
    yield "PostgreSQL stands still for 10 s (SIGSTOP)", AFTER, lambda: _stand_still(process[-1].pid, 10)
    yield "the tables are read-only for 6 s", AFTER, lambda: _read_only(url, 6)
    words = f"`kill -9` of PostgreSQL, started again after 5 s (PgBouncer: `server_login_retry` {LOGIN_RETRY:g} s)"
    yield words, AFTER + LOGIN_RETRY, lambda: _kill_and_start(process, 5)


def _try(report: Report, words: str, fault: Fault, after: float, servers: Sequence[Production], url: str) -> None:
    load = Load(servers)
    with load.running():
        time.sleep(BEFORE)
        fault()
        ended = time.monotonic()
        time.sleep(after)
    good = [at for at, is_good in load.answered_at if is_good and at >= ended]
    bad = [at for at, is_good in load.answered_at if not is_good and at >= ended]
    recovery = f"{max(0.0, (max(bad) if bad else ended) - ended):.1f} s" if good else "none"
    counts = _rows_of(url, load.acknowledged)
    lost = sum(count == 0 for count in counts)
    doubled = sum(count > 1 for count in counts)
    told = ", ".join(f"{count} × {status}" for status, count in sorted(load.statuses.items()))
    allowed = load.statuses.keys() <= {"200", "503", "reset"}
    holds = allowed and not lost and not doubled and bool(good)
    came_back = f"{told}; slowest {load.slowest:.1f} s; {len(counts)} feedbacks acknowledged"
    report.add(words, came_back, came_back if holds else "", lost=str(lost), doubled=str(doubled), recovery=recovery)


def _rows_of(url: str, cards: Sequence[str]) -> list[int]:
    with psycopg.connect(url) as connection:
        query = "SELECT card, count(*) FROM feedback WHERE card = ANY(%s) GROUP BY card"
        found: dict[str, int] = dict(connection.execute(query, (list(cards),)).fetchall())
    return [found.get(card, 0) for card in cards]


def _refused_while_read_only(report: Report, url: str, servers: Sequence[Production]) -> None:
    _set_read_only(url, "on")
    try:
        time.sleep(1)
        ready = [httpx.get(f"{server.base}/readyz", trust_env=False, timeout=20).status_code for server in servers]
    finally:
        _set_read_only(url, "off")
    report.add("`/readyz` of both while the tables are read-only", ready, [503, 503])
    time.sleep(1)
    ready = [httpx.get(f"{server.base}/readyz", trust_env=False, timeout=20).status_code for server in servers]
    report.add("`/readyz` of both afterwards", ready, [200, 200])


# -- the faults


def _version(postgres: Cluster) -> str:
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=owner dbname=postgres") as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]).split()[0] if row else ""


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _terminate(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                           " AND datname = current_database()")  # fmt: skip


def _stand_still(pid: int, seconds: float) -> None:
    family = [pid, *_children(pid)]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    time.sleep(seconds)
    for each in family:
        os.kill(each, signal.SIGCONT)


def _read_only(url: str, seconds: float) -> None:
    _set_read_only(url, "on")
    time.sleep(seconds)
    _set_read_only(url, "off")


def _set_read_only(url: str, state: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
        connection.execute("SELECT pg_reload_conf()")


def _kill_and_start(process: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Kill every process of PostgreSQL, and start it again in the same folder by the same user; the last is current."""
    killed = process[-1]
    folder = Path(f"/proc/{killed.pid}/cwd").readlink()
    owner = folder.stat()
    for each in (killed.pid, *_children(killed.pid)):
        os.kill(each, signal.SIGKILL)
    killed.wait(20)
    time.sleep(seconds)
    user: dict[str, Any] = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process.append(subprocess.Popen(killed.args, cwd=folder, **quiet, **user))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)
