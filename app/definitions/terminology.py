"""A site's terminology server: which further SNOMED CT codes stand for a concept, asked once for all workers.

What is asked for are codes of concepts, never of patients. The answer is kept in the database with its age; a worker
lays it over the concepts as a folder of ValueSets, so that the hash of the concepts in every report covers it. While
the server is away, the last answer holds.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from app.definitions.served import Definitions
from app.hashes import sha256_of
from app.logs import log
from app.outbound import BodyTooLarge, Outbound, read_capped
from app.storage.records import Records
from app.storage.tables import in_utc, instant
from mappings.concepts.catalogue import OUR_SYSTEM, Catalogue

SNOMED = "http://snomed.info/sct"
ASK_AGAIN = timedelta(days=1)  # after an answer
TRY_AGAIN = timedelta(minutes=10)  # after a question that got none
_SECONDS = 60.0  # that the server has for one page
_PAGE = 1000  # codes
_MOST_CODES = 50_000  # of one concept
_MOST_BYTES = 16 * 1024 * 1024  # of one page

Codes = Mapping[str, Sequence[str]]  # concept -> codes of SNOMED CT


class TerminologyError(Exception):
    """The server gave no expansion that can be used; the message has no address and nothing that it said."""


class ExpansionRow(SQLModel, table=True):
    """The last expansion of one server. `content`: the codes of each concept as JSON, compressed."""

    __tablename__ = "concept_expansion"

    server: str = Field(primary_key=True)
    content: bytes
    digest: str  # SHA-256 (hex) of the JSON; empty before the first answer
    expanded_at: datetime = instant()
    asked_at: datetime = instant()


ROWS: sa.Table = ExpansionRow.__table__  # type: ignore[attr-defined]


# Asking


async def expand(client: httpx.AsyncClient, base: str, catalogue: Catalogue) -> Codes:
    """The codes of SNOMED CT at or below those of each diagnosis and treatment. TerminologyError."""
    found = {}
    for name, entry in catalogue.concepts.items():
        roots = sorted(entry.codes.get("snomed", ()))
        if roots and entry.kind in ("diagnosis", "treatment"):
            found[name] = [
                code async for code in _pages(client, base, roots, sorted(entry.not_codes.get("snomed", ())))
            ]
    return found


async def _pages(
    client: httpx.AsyncClient, base: str, roots: Sequence[str], left_out: Sequence[str]
) -> AsyncIterator[str]:
    """Every code of one expansion, page by page."""
    count = 0
    while True:
        expansion = await _page(client, base, _value_set(roots, left_out), count)
        codes = list(_contained(expansion.get("contains")))
        for code in codes:
            yield code
        count += len(codes)
        total = expansion.get("total")
        if not codes or not isinstance(total, int) or count >= total:
            break
        if count >= _MOST_CODES:
            raise TerminologyError("an expansion has too many codes")
    if isinstance(total, int) and count < total:
        raise TerminologyError("an expansion is not complete")


def _value_set(roots: Sequence[str], left_out: Sequence[str]) -> dict[str, Any]:
    def below(codes: Sequence[str]) -> list[dict[str, Any]]:
        return [{"system": SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": code}]} for code in codes]

    compose = {"include": below(roots)} | ({"exclude": below(left_out)} if left_out else {})
    return {"resourceType": "ValueSet", "status": "active", "compose": compose}


async def _page(client: httpx.AsyncClient, base: str, value_set: dict[str, Any], offset: int) -> dict[str, Any]:
    numbers = [{"name": name, "valueInteger": number} for name, number in (("offset", offset), ("count", _PAGE))]
    body = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": value_set}, *numbers]}
    headers = {
        "Content-Type": "application/fhir+json",
        "Accept": "application/fhir+json",
        "Accept-Encoding": "identity",
    }
    address = f"{base.rstrip('/')}/ValueSet/$expand"
    try:
        async with (
            asyncio.timeout(_SECONDS),
            client.stream("POST", address, content=json.dumps(body), headers=headers, timeout=_SECONDS) as response,
        ):
            if response.status_code != 200:
                raise TerminologyError(f"answered {response.status_code}")
            raw = await read_capped(response, _MOST_BYTES)
        answer = json.loads(raw)
    except (httpx.HTTPError, TimeoutError) as error:
        raise TerminologyError(f"does not answer ({type(error).__name__})") from None
    except (BodyTooLarge, ValueError, RecursionError):
        raise TerminologyError("its answer cannot be read") from None
    expansion = answer.get("expansion") if isinstance(answer, dict) else None
    if not isinstance(expansion, dict):
        raise TerminologyError("its answer is no expansion")
    return expansion


def _contained(entries: object) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("system") == SNOMED and isinstance(entry.get("code"), str):
            if not entry.get("abstract"):
                yield entry["code"]
            yield from _contained(entry.get("contains"))


# Laying over


def added(codes: Codes, catalogue: Catalogue) -> dict[str, list[str]]:
    """What the expansion adds to a catalogue that was read without it.

    A code that the catalogue has, or has left out of a concept, stays as it is there. One that lies below concepts of
    which neither includes the other is nobody's, so that its words are read and a person is asked.
    """
    claims: dict[str, set[str]] = defaultdict(set)
    for name, listed in codes.items():
        if name in catalogue.concepts:
            for code in listed:
                claims[code].add(name)
    left_out = {code for entry in catalogue.concepts.values() for code in entry.not_codes.get("snomed", ())}
    found: dict[str, list[str]] = defaultdict(list)
    for code, names in sorted(claims.items()):
        narrowest = max(names, key=lambda name: (len(catalogue.ancestors(name)), name))
        is_one_line = names <= set(catalogue.ancestors(narrowest))
        if is_one_line and code not in left_out and not catalogue.find(SNOMED, code):
            found[narrowest].append(code)
    return found


def write_value_sets(codes: Mapping[str, Sequence[str]], folder: Path) -> None:
    """A FHIR ValueSet for each concept, as `load_catalogue` reads them."""
    for name, listed in sorted(codes.items()):
        contains = [{"system": SNOMED, "code": code} for code in listed]
        identifier = [{"system": OUR_SYSTEM, "value": name}]
        value_set = {"resourceType": "ValueSet", "identifier": identifier, "expansion": {"contains": contains}}
        (folder / f"{name}.json").write_text(json.dumps(value_set), encoding="utf-8")


@dataclass
class Terminology:
    """The terminology server of a site; without a `base` nothing is asked and nothing laid over."""

    base: str | None
    client: httpx.AsyncClient
    records: Records
    _taken: str = field(default="", init=False)  # digest of what is laid over
    _folders: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, base: str | None, outbound: Outbound, records: Records, *, private_network: bool) -> Terminology:
        return cls(base, outbound.to(private_network=private_network), records)

    async def take(self, definitions: Definitions) -> bool:
        """Lay the kept expansion over the concepts where it is another one; the definitions then read it."""
        if self.base is None:
            return False
        digest = await self._row(ROWS.c.digest)
        if not digest or digest.digest in ("", self._taken):
            return False
        row = await self._row(ROWS.c.digest, ROWS.c.content)
        codes = json.loads(zlib.decompress(row.content))
        folder = tempfile.TemporaryDirectory(prefix="trialcards-concepts-")
        await asyncio.to_thread(self._write, codes, definitions, Path(folder.name))
        definitions.expansion = Path(folder.name)
        self._folders.append(folder)
        for old in self._folders[:-2]:  # the one before may still be being read
            old.cleanup()
        self._folders = self._folders[-2:]
        self._taken = row.digest
        return True

    @staticmethod
    def _write(codes: Codes, definitions: Definitions, folder: Path) -> None:
        write_value_sets(added(codes, definitions.catalogue_without_expansion()), folder)

    async def refresh(self, definitions: Definitions, now: datetime) -> bool:
        """Ask the server where an answer is due and no other worker asks; whether a new one is kept."""
        if self.base is None or not await self._is_my_turn(now):
            return False
        try:
            catalogue = await asyncio.to_thread(definitions.catalogue_without_expansion)
            codes = await expand(self.client, self.base, catalogue)
        except TerminologyError as error:
            log.warning("terminology server not used", reason=str(error))
            return False
        text = json.dumps(codes, sort_keys=True)
        values = {"content": zlib.compress(text.encode()), "digest": sha256_of(text), "expanded_at": now}
        mine = sa.update(ROWS).where(ROWS.c.server == self.base).values(values)
        await self.records.write(lambda connection: connection.execute(mine))
        log.info("concepts expanded", concepts=len(codes), codes=sum(map(len, codes.values())))
        return True

    def close(self) -> None:
        """Remove the folders that were laid over."""
        while self._folders:
            self._folders.pop().cleanup()

    async def age(self, now: datetime) -> timedelta | None:
        """How old the kept expansion is; None where there is none."""
        row = await self._row(ROWS.c.digest, ROWS.c.expanded_at)
        return now - in_utc(row.expanded_at) if row and row.digest else None

    async def _is_my_turn(self, now: datetime) -> bool:
        due = (
            ROWS.c.server == self.base,
            ROWS.c.expanded_at <= now - ASK_AGAIN,
            ROWS.c.asked_at <= now - TRY_AGAIN,
        )
        claim = sa.update(ROWS).where(*due).values(asked_at=now)
        long_ago = now - 2 * ASK_AGAIN
        first = {"server": self.base, "content": b"", "digest": "", "expanded_at": long_ago, "asked_at": long_ago}
        insert = postgresql.insert if self.records.dialect == "postgresql" else sqlite.insert
        begin = insert(ROWS).values(first).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> bool:
            connection.execute(begin)
            return connection.execute(claim).rowcount == 1

        return await self.records.write(work)

    async def _row(self, *columns: sa.Column[Any]) -> Any:
        query = sa.select(*columns).where(ROWS.c.server == self.base)
        return await self.records.read(lambda connection: connection.execute(query).first())
