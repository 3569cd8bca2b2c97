"""Completes a chart: takes what the EHR prefetched, and reads what is missing from its FHIR server.

Each part of the chart ends in one of three states: read (with or without entries), read in part, or failed. A failure
is never an empty chart. The access token goes to the configured FHIR server only, and nowhere else: not to a `next`
link on another host, not along a redirect. Everything stops at one deadline, however slowly a server drips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

import httpx
from msgspec import Raw

from app.addresses import is_under
from app.calls.search_forms import REFUSALS, Form, KnownForms, by_code, forms_of, without_code
from app.definitions.served import Served
from app.ehrs import Ehr
from app.logs import log
from app.metrics import Metrics
from app.outbound import BodyTooLarge, Outbound, read_capped
from cds_hooks.protocol.models import HookRequest
from cds_hooks.protocol.services import Prefetch
from mappings.chart.chart import ChartBuilder

MOST_PAGES = 30  # of one search
MOST_PAGES_OF_A_PIECE = 5  # of a search by code, newest first: what is older decides little
MOST_BYTES = 32 * 1024 * 1024  # of one chart
MOST_MEDICATIONS = 60
AT_ONCE = 6  # queries to one EHR for one chart
RETRIED = frozenset({502, 503, 504})
PAUSE = 0.1  # seconds before the one retry


@dataclass(frozen=True, slots=True)
class Access:
    """Where a chart may be read: whose, the configured base address, the token for it, and until when (loop time)."""

    ehr: str
    base: str
    token: str | None
    client: httpx.AsyncClient
    deadline: float
    forms: KnownForms = field(default_factory=KnownForms)


def access_for(hook: HookRequest, ehr: Ehr, outbound: Outbound, deadline: float) -> Access | None:
    """The way to the EHR's FHIR server; None when none was named, it is not one of this EHR's, or the token ended."""
    base = ehr.trusted_base(hook.fhir_server) if hook.fhir_server else None
    if base is None:
        if hook.fhir_server:
            log.warning("FHIR server not trusted", ehr=ehr.name)
        return None
    authorization = hook.fhir_authorization
    if authorization and authorization.expires_in is not None and authorization.expires_in <= 0:
        return None
    client = outbound.to(private_network=ehr.private_network)
    token = authorization.access_token if authorization else None
    return Access(ehr.name, base, token, client, _until(hook, deadline), _forms_of(outbound))


_KNOWN_FORMS: WeakKeyDictionary[Outbound, KnownForms] = WeakKeyDictionary()


def _forms_of(outbound: Outbound) -> KnownForms:
    """What is known of the servers lives as long as the way out to them."""
    return _KNOWN_FORMS.setdefault(outbound, KnownForms())


def _until(hook: HookRequest, deadline: float) -> float:
    """The deadline, or the end of the token where that comes first: it is never used after it."""
    lives = hook.fhir_authorization.expires_in if hook.fhir_authorization else None
    return deadline if lives is None else min(deadline, asyncio.get_running_loop().time() + lives)


async def complete_chart(
    hook: HookRequest,
    parts: Sequence[Prefetch],
    builder: ChartBuilder,
    ehr: Ehr,
    access: Access | None,
    metrics: Metrics,
    served: Served,
) -> None:
    """Give the builder every part: from the prefetch where it is there, else from the FHIR server where it may be read.

    A part that cannot be had is marked failed. Returns at the deadline at the latest.
    """
    sent = _by_our_keys(hook.prefetch, ehr.prefetch_aliases)
    reading = _Reading(builder, access, metrics, served, hook.patient_id)
    # What was sent is looked at first: a chart of the wrong patient is refused before anything is asked of the EHR.
    next_pages = [(part, reading.take(part, raw)) for part in parts for raw in sent.get(part.key, ())]
    whole = _whole_keys(hook.prefetch, ehr.prefetch_aliases)
    await asyncio.gather(
        *(reading.search(part) for part in parts if part.key not in whole),
        *(reading.follow(part, next_url) for part, next_url in next_pages if next_url),
    )
    await reading.medications()


def _by_our_keys(prefetch: Mapping[str, Raw], aliases: Mapping[str, str]) -> Mapping[str, list[Raw]]:
    """Every value that was sent for each of our keys, under that key or under one of the EHR's own."""
    found: dict[str, list[Raw]] = {}
    for key, value in prefetch.items():
        found.setdefault(aliases.get(key, key), []).append(value)
    return found


def _whole_keys(prefetch: Mapping[str, Raw], aliases: Mapping[str, str]) -> frozenset[str]:
    """Our keys of which everything was sent: under our own key, or under every key of the EHR's that stands for it."""
    missing = {ours for theirs, ours in aliases.items() if theirs not in prefetch}
    plain = frozenset(key for key in prefetch if key not in aliases)
    return plain | (frozenset(aliases.values()) - missing)


@dataclass
class _Reading:
    """The reading of one chart: its caps are counted here."""

    builder: ChartBuilder
    access: Access | None
    metrics: Metrics
    served: Served
    patient_id: str
    bytes_left: int = MOST_BYTES
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def take(self, part: Prefetch, raw: Raw) -> str | None:
        """Add a prefetched value; where it goes on. What the EHR answered with an error is not asked for again."""
        page = self.builder.add(raw, part.resource_type, newest_first=part.is_newest_first)
        if page.problem:
            log.info("prefetch not usable", resource_type=part.resource_type, problem=page.problem)
        return page.next_url

    async def search(self, part: Prefetch) -> None:
        """Read a part that was not prefetched: every page, by the first form of search that the server answers."""
        if self.access is None:
            self.builder.fail(part.resource_type, "failed")  # with what was sent of it, the builder makes it incomplete
            return
        forms = forms_of(part, self.patient_id)
        known = self.access.forms.first(self.access.base, part.resource_type)
        for number in [*range(known, len(forms)), *range(known)]:
            if await self._answers(forms[number], part, is_plain=number == 0):
                self.access.forms.remember(self.access.base, part.resource_type, number)
                return
        log.warning("not read from the EHR", resource_type=part.resource_type, reason="every search was refused")
        self.metrics.ehr_reads.labels(part.resource_type, "failed").inc()
        self.builder.fail(part.resource_type, "failed")

    async def _answers(self, form: Form, part: Prefetch, *, is_plain: bool) -> bool:
        """Whether the server answers this form of search; then all of it is read, or marked as missing."""
        assert self.access is not None
        first, *others = (f"{self.access.base}/{query}" for query in form)
        newest_first = is_plain and part.is_newest_first
        try:
            await self._read_pages(part.resource_type, first, None, newest_first=newest_first, may_be_refused=True)
        except _Refused:
            return False
        await asyncio.gather(*(self._read_one_of_several(part.resource_type, other) for other in others))
        return True

    async def _read_one_of_several(self, resource_type: str, address: str) -> None:
        with suppress(_Refused):  # a category that the server does not know, so that nothing is in it
            await self._read_pages(resource_type, address, None, may_be_refused=True)

    async def follow(self, part: Prefetch, next_url: str) -> None:
        """The rest of a part of which the first page was prefetched."""
        await self._read_pages(part.resource_type, self._absolute(next_url), next_url)

    async def medications(self) -> None:
        """The drugs that requests name by reference only; they are known once all requests have been read."""
        if self.access is None:
            return
        missing = self.builder.missing_medications()[:MOST_MEDICATIONS]
        await asyncio.gather(*(self._read_medication(reference) for reference in missing))

    async def _read_medication(self, reference: str) -> None:
        assert self.access is not None
        try:
            raw = await self._get(f"{self.access.base}/{reference}", "Medication")
        except _NotRead:
            return
        self.builder.add(raw, "Medication")

    async def _read_pages(
        self,
        resource_type: str,
        address: str,
        follows: str | None,
        *,
        newest_first: bool = False,
        may_be_refused: bool = False,
        most_pages: int = MOST_PAGES,
        may_be_long: bool = True,
    ) -> None:
        """Page after page from `address`, which is what the `next` link `follows` says, if one led there.

        `may_be_refused`: _Refused where the server does not answer such a search. `may_be_long`: the rest of a long
        list of Observations is asked for by code.
        """
        visited: set[str] = set()
        more = True
        try:
            while more:
                self._check_page(address, visited, most_pages)
                visited.add(address)
                raw = await self._get(address, resource_type)
                page = self.builder.add(raw, resource_type, follows, newest_first=newest_first)
                if page.problem:
                    raise _NotRead(page.problem)
                follows, more = page.next_url, page.next_url is not None
                address = self._absolute(page.next_url or "")
                if follows and may_be_long and resource_type == "Observation" and self.builder.is_long(follows):
                    self._check_page(address, visited, most_pages)
                    await self._read_by_code(follows)
                    return
        except _NotRead as error:
            if may_be_refused and follows is None and error.kind in REFUSALS:
                raise _Refused from None
            log.warning("not read from the EHR", resource_type=resource_type, reason=str(error))
            self.metrics.ehr_reads.labels(resource_type, "failed").inc()
            if follows is None:
                self.builder.fail(resource_type, "failed")  # else: the page that was announced is missing
        else:
            self.metrics.ehr_reads.labels(resource_type, "complete").inc()

    async def _read_by_code(self, follows: str) -> None:
        """In place of the pages after `follows`: the Observations under the codes that are known, and those without."""
        assert self.access is not None
        wanted = by_code(self.patient_id, self.served.catalogue, self.served.results_read)
        queries = [f"{self.access.base}/{query}" for query in wanted]
        if not queries:  # no trial reads a result
            await self._read_pages("Observation", self._absolute(follows), follows, may_be_long=False)
            return
        first, *others = queries
        try:
            await self._read_piece(first, may_be_refused=True)
        except _Refused:
            await self._read_pages("Observation", self._absolute(follows), follows, may_be_long=False)
            return
        self.builder.replace_rest(follows)
        await asyncio.gather(
            *(self._read_piece(query) for query in others),
            self._read_uncoded(f"{self.access.base}/{without_code(self.patient_id)}"),
        )

    async def _read_piece(self, address: str, *, may_be_refused: bool = False) -> None:
        await self._read_pages(
            "Observation",
            address,
            None,
            newest_first=True,
            may_be_refused=may_be_refused,
            most_pages=MOST_PAGES_OF_A_PIECE,
            may_be_long=False,
        )

    async def _read_uncoded(self, address: str) -> None:
        with suppress(_Refused):  # few servers answer it; docs/connect.md says what is not seen then
            await self._read_piece(address, may_be_refused=True)

    def _absolute(self, next_url: str) -> str:
        return urljoin(f"{self.access.base}/", next_url) if self.access else next_url

    def _check_page(self, address: str, visited: set[str], most: int) -> None:
        if self.access is None or not is_under(address, self.access.base):
            raise _NotRead("the next page is not on a FHIR server that may be read")
        if address in visited or len(visited) >= most:
            raise _NotRead("too many pages")

    async def _get(self, address: str, resource_type: str) -> bytes:
        """The body of a good answer; every query is timed and counted by what came of it."""
        assert self.access is not None
        with self.metrics.query(self.access.ehr, resource_type) as query:
            try:
                body = await self._get_in_time(address)
            except _NotRead as error:
                query.outcome = error.kind
                raise
        return body

    async def _get_in_time(self, address: str) -> bytes:
        assert self.access is not None
        try:
            async with asyncio.timeout_at(self.access.deadline), self.at_once:
                return await self._get_with_one_retry(self.access, address)
        except TimeoutError:
            raise _NotRead("not within the time", "timeout") from None
        except BodyTooLarge:
            raise _NotRead("answer too large", "too-large") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _NotRead(type(error).__name__, "no-connection") from None

    async def _get_with_one_retry(self, access: Access, address: str) -> bytes:
        try:
            status, wait, body = await self._get_once(access, address)
        except httpx.TransportError:
            status, wait, body = 503, PAUSE, b""
        left = access.deadline - asyncio.get_running_loop().time()
        if status in RETRIED or (status == 429 and wait is not None and wait < left):
            await asyncio.sleep(wait or PAUSE)
            status, _, body = await self._get_once(access, address)
        if status != 200:
            raise _NotRead(f"status {status}", f"status-{status}")
        return body

    async def _get_once(self, access: Access, address: str) -> tuple[int, float | None, bytes]:
        """Status, the wait that the server asks for, and the body of a good answer."""
        # A server may answer an equal search from memory (HAPI FHIR does for a minute): what was just written counts.
        headers = {"Accept": "application/fhir+json", "Accept-Encoding": "identity", "Cache-Control": "no-cache"}
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        async with access.client.stream("GET", address, headers=headers) as response:
            if response.status_code != 200:
                return response.status_code, _retry_after(response), b""
            body = await read_capped(response, self.bytes_left)
            self.bytes_left -= len(body)
            return 200, None, body


class _NotRead(Exception):
    """Why a part could not be read, in words without patient data; `kind` is what is counted."""

    def __init__(self, reason: str, kind: str = "not-usable") -> None:
        super().__init__(reason)
        self.kind = kind


class _Refused(Exception):
    """The server does not answer such a search, with any data."""


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, where the server names a few; a date or a long wait never fits into a hook call."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 3 else None
