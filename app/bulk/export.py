"""A Bulk Data export from kick-off to files: ask, wait, fetch, tidy up. Goes on where it was when it was stopped.

What is under way is in `export.json` of the folder; `manifest.json` is written last and says that it is complete.
"""

from __future__ import annotations

import email.utils
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin, urlsplit

import httpx
import msgspec

from app.bulk.token import BackendToken, BulkError
from app.screen.spool import write_whole
from mappings.chart.addresses import Servers
from mappings.resource_types import RESOURCE_TYPES, names_of

TYPES = (*RESOURCE_TYPES, "Medication")
STATE, MANIFEST = "export.json", "manifest.json"
_NDJSON = "application/fhir+ndjson"
_PARTS = ("output", "error", "deleted")  # of a manifest
_MOST_WORDS = 300  # of a server's own
_WAIT, _LONGEST_WAIT = 2.0, 120.0  # seconds between two questions where the server names none
_TRIES = 5  # for what may be over soon
_SOON = frozenset({429, 502, 503, 504})
Json = dict[str, Any]


class Watcher(Protocol):
    """Told how far an export is."""

    def waiting(self, seconds: float, said: str) -> None: ...
    def fetched(self, name: str, lines: int) -> None: ...


@dataclass(frozen=True)
class Wanted:
    """What to export. `base` is the FHIR server; `group` its Group, None for all patients."""

    base: str
    group: str | None = None
    types: tuple[str, ...] = TYPES
    since: str | None = None

    @property
    def url(self) -> str:
        where = f"Group/{self.group}" if self.group else "Patient"
        query = {"_outputFormat": _NDJSON, "_type": ",".join(self.types)} | (
            {"_since": self.since} if self.since else {}
        )
        return f"{self.base.rstrip('/')}/{where}/$export?{urlencode(query, safe=',/:')}"

    def without(self, kind: str) -> Wanted:
        return replace(self, types=tuple(each for each in self.types if each != kind))

    def url_of_server(self, types: Sequence[str]) -> str:
        """An export of these types from the whole server, whoever they are about."""
        where, _, query = replace(self, types=tuple(types), group=None).url.rpartition("Patient/$export?")
        return f"{where}$export?{query}"


def discover_token_url(client: httpx.Client, base: str) -> str:
    """The token endpoint from the server's SMART configuration."""
    try:
        answer = client.get(
            f"{base.rstrip('/')}/.well-known/smart-configuration", headers={"Accept": "application/json"}
        )
        found = answer.json()["token_endpoint"] if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str):
        raise BulkError("the server has no SMART configuration with a token endpoint; give --token-url")
    return found


@dataclass
class BulkExport:
    """One export into one folder."""

    client: httpx.Client
    wanted: Wanted
    folder: Path
    watcher: Watcher
    token: BackendToken | None = None  # None: a server that asks for none
    file_hosts: frozenset[str] = frozenset()  # other hosts that may be sent the token
    sleep: Callable[[float], None] = time.sleep
    patience: float = 24 * 3600  # seconds of waiting in all
    _state: Json = field(default_factory=dict)

    def run(self) -> Json:
        """The manifest, when every file is there. BulkError when that cannot be."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (self.folder / MANIFEST).exists():
            raise BulkError(f"--out: holds a finished export ({MANIFEST}); choose another folder")
        self._state = self._read_state() or self._kick_off()
        manifest = self._state.get("main") or self._fetch_main()
        if self._state.get("leftOut"):
            self._fetch_left_out(manifest)
        manifest["request"] = self.wanted.url  # as we asked it: what silence in the files means rests on it
        write_whole(self.folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        (self.folder / STATE).unlink()
        self._tidy_up()
        return manifest

    def _fetch_main(self) -> Json:
        """The manifest of what the patient or group export gives, when its files are there."""
        manifest: Json = self._state.get("manifest") or self._wait()
        self._fetch_all(manifest)
        return manifest

    def _fetch_left_out(self, main: Json) -> None:
        """Add what the export refused to the manifest: by an export of the whole server, or else one by one."""
        if "main" not in self._state:
            url = self.wanted.url_of_server(self._state["leftOut"])
            answer = self._ask_for_export(url)
            place = answer.headers.get("content-location") if answer.status_code == 202 else None
            if place is None:
                main.setdefault("output", []).append(self._fetch_medications())
                return
            self._tidy_up()
            self._state = self._state | {"main": main, "status": urljoin(url, place)}
            self._state.pop("manifest", None)
            self._save(self._state)
        rest = self._state.get("manifest") or self._wait()
        self._fetch_all(rest, {part: len(main.get(part, [])) for part in _PARTS})
        for part in _PARTS:
            main[part] = main.get(part, []) + rest.get(part, [])

    def _fetch_medications(self) -> Json:
        """The Medications to which the drug entries of the files refer, in a file of their own; its manifest entry."""
        name = "Medication.00000.ndjson"
        base = self.wanted.base.rstrip("/")
        lines = []
        for reference in sorted(_medications_named_in(self.folder, Servers.at((base,)))):
            answer = self._patiently(
                lambda reference=reference: self._get(f"{base}/{reference}", {"Accept": "application/fhir+json"})  # type: ignore[misc]
            )
            if answer.status_code == 200:
                lines.append(json.dumps(answer.json()).encode() + b"\n")
            elif answer.status_code not in (404, 410):  # such a drug stays unknown, as it is in the chart
                raise BulkError(f"a Medication cannot be read ({_told(answer)}); give the command again to go on")
        write_whole(self.folder / name, b"".join(lines))
        self.watcher.fetched(name, len(lines))
        return {"type": "Medication", "url": f"{base}/Medication", "count": len(lines)}

    # Asking

    def _read_state(self) -> Json | None:
        try:
            state = json.loads((self.folder / STATE).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(state, dict) or state.get("url") != self.wanted.url:
            raise BulkError(f"--out: holds an unfinished export of something else ({STATE}); choose another folder")
        return state

    def _kick_off(self) -> Json:
        answer = self._ask_for_export(self.wanted.url)
        left_out: list[str] = []
        if answer.status_code in (400, 422) and "Medication" in self.wanted.types:
            # No patient is named in a Medication, so some servers refuse the type in an export of patients.
            again = self._ask_for_export(self.wanted.without("Medication").url)
            if again.status_code == 202:
                answer, left_out = again, ["Medication"]
        place = answer.headers.get("content-location")
        if answer.status_code != 202 or not place:
            raise BulkError(
                f"$export was not accepted ({_told(answer)}){_words_of(answer)}; does the server offer these types? "
                "See --type"
            )
        state = {"url": self.wanted.url, "status": urljoin(self.wanted.url, place), "leftOut": left_out}
        self._save(state)
        return state

    def _ask_for_export(self, url: str) -> httpx.Response:
        headers = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
        return self._patiently(lambda: self._get(url, headers))

    def _save(self, state: Json) -> None:
        write_whole(self.folder / STATE, json.dumps(state).encode())

    # Waiting

    def _wait(self) -> Json:
        waited, pause = 0.0, _WAIT
        while True:
            answer = self._patiently(lambda: self._get(self._state["status"], {"Accept": "application/json"}))
            if answer.status_code == 200:
                break
            if answer.status_code == 404:
                (self.folder / STATE).unlink()
                raise BulkError("the server has forgotten the export; give the command again to ask for a new one")
            if answer.status_code != 202:
                raise BulkError(f"the export failed on the server ({_told(answer)})")
            seconds = _retry_after(answer) or pause
            pause = min(pause * 1.5, _LONGEST_WAIT)
            waited += seconds
            if waited > self.patience:
                raise BulkError("the server was not ready in time; give the command again to go on waiting")
            self.watcher.waiting(seconds, answer.headers.get("x-progress", ""))
            self.sleep(seconds)
        manifest = self._manifest(answer)
        self._state["manifest"] = manifest
        self._save(self._state)
        return manifest

    def _manifest(self, answer: httpx.Response) -> Json:
        """The manifest; where it comes in pages, all of them as one."""
        manifest = _json_of(answer)
        page = manifest
        while following := next((x["url"] for x in page.get("link", []) if x.get("relation") == "next"), None):
            url = urljoin(self._state["status"], following)
            page = _json_of(self._patiently(lambda url=url: self._get(url, {"Accept": "application/json"})))  # type: ignore[misc]
            for part in _PARTS:
                manifest[part] = manifest.get(part, []) + page.get(part, [])
        manifest.pop("link", None)
        return manifest

    # Fetching

    def _fetch_all(self, manifest: Json, from_number: Mapping[str, int] = MappingProxyType({})) -> None:
        """Every file that is not there yet. `from_number`: where the numbers of each part's files begin."""
        needs_token = bool(manifest.get("requiresAccessToken"))
        for part in _PARTS:
            for number, entry in enumerate(manifest.get(part, []), from_number.get(part, 0)):
                name = f"{_name_of(entry, part)}.{number:05}.ndjson"
                if not (self.folder / name).exists():
                    self.watcher.fetched(name, self._fetch(entry, name, needs_token))

    def _fetch(self, entry: Mapping[str, Any], name: str, needs_token: bool) -> int:
        """One file; how many lines it has. It appears as a whole."""
        url = urljoin(self._state["status"], str(entry["url"]))
        temporary = self.folder / f"{name}.part"
        for attempt in range(_TRIES):
            try:
                lines = self._stream(url, temporary, needs_token)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise BulkError(f"{name} cannot be fetched ({type(error).__name__})") from None
                self.sleep(_WAIT * 2**attempt)
                continue
            count = entry.get("count")
            if isinstance(count, int) and count != lines:
                raise BulkError(f"{name} has {lines} lines where the manifest says {count}; give the command again")
            temporary.replace(self.folder / name)
            return lines
        raise AssertionError("the last attempt returns or raises")

    def _stream(self, url: str, path: Path, needs_token: bool) -> int:
        for attempt in range(_TRIES):
            headers = {"Accept": _NDJSON} | (self._authorization(url) if needs_token else {})
            with self.client.stream("GET", url, headers=headers) as answer:
                if answer.status_code == 200:
                    return _write(answer.iter_bytes(), path)
                if answer.status_code == 401 and self.token and needs_token:
                    self.token.forget()
                elif answer.status_code in _SOON:
                    self.sleep(_retry_after(answer) or _WAIT * 2**attempt)
                elif answer.is_redirect:
                    # To a store that signs its addresses; the token does not go along.
                    url, needs_token = urljoin(url, answer.headers["location"]), False
                else:
                    break
        raise BulkError(f"a file of the export was not given ({answer.status_code}); give the command again to go on")

    # Every request

    def _patiently(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Ask again where the trouble may be over soon."""
        for attempt in range(_TRIES):
            try:
                answer = ask()
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise BulkError(f"the server cannot be reached ({type(error).__name__})") from None
                self.sleep(_WAIT * 2**attempt)
                continue
            if answer.status_code not in _SOON and not _is_transient(answer):
                return answer
            self.sleep(_retry_after(answer) or _WAIT * 2**attempt)
        return answer

    def _get(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        answer = self.client.get(url, headers={**headers, **self._authorization(url)})
        if answer.status_code == 401 and self.token:
            self.token.forget()
            answer = self.client.get(url, headers={**headers, **self._authorization(url)})
        return answer

    def _authorization(self, url: str) -> dict[str, str]:
        """The token goes to the server that was named, and to hosts that were named with it; nowhere else."""
        if self.token is None:
            return {}
        address, own = urlsplit(url), urlsplit(self.wanted.base)
        if (address.scheme, address.netloc) != (own.scheme, own.netloc) and not (
            address.scheme == own.scheme and address.hostname in self.file_hosts
        ):
            raise BulkError(
                "the server points to another host that wants the token; if that is right, give --file-host"
            )
        return self.token.header()

    def _tidy_up(self) -> None:
        """Tell the server that it may delete its files; whether it does is its own affair."""
        try:
            self.client.delete(self._state["status"], headers=self._authorization(self._state["status"]))
        except (httpx.HTTPError, BulkError):
            return


def _write(parts: Iterator[bytes], path: Path) -> int:
    lines, last = 0, b"\n"
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
            lines += part.count(b"\n")
            last = part[-1:] or last
        file.flush()
        os.fsync(file.fileno())
    return lines + (last != b"\n")


def _name_of(entry: Mapping[str, Any], part: str) -> str:
    """A name of ours: what the server calls a file may not lead out of the folder."""
    kind = entry.get("type")
    return {"error": "errors", "deleted": "deleted"}.get(part) or (kind if kind in TYPES else "other")


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server asks for, as a number or a date; at most ten minutes."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), 600.0)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), 600.0)


def _is_transient(answer: httpx.Response) -> bool:
    """A server error that the server itself calls temporary."""
    return answer.status_code >= 500 and "transient" in {issue.get("code") for issue in _issues(answer)}


def _issues(answer: httpx.Response) -> list[Json]:
    try:
        return [issue for issue in answer.json().get("issue", []) if isinstance(issue, dict)]
    except (ValueError, AttributeError, TypeError):
        return []


def _told(answer: httpx.Response) -> str:
    """Status and issue codes: what an OperationOutcome says in words may hold more than it should."""
    codes = sorted({str(issue.get("code")) for issue in _issues(answer)})
    return ", ".join([str(answer.status_code), *codes])


def _words_of(answer: httpx.Response) -> str:
    """What the server says of a request in which no patient is named."""
    said = (issue.get("diagnostics") or (issue.get("details") or {}).get("text") for issue in _issues(answer))
    words = " ".join(" ".join(text.split()) for text in said if isinstance(text, str))
    printable = "".join(character for character in words if character.isprintable())[:_MOST_WORDS]
    return f": {printable}" if printable else ""


class _DrugUse(msgspec.Struct, rename="camel"):
    medication_reference: Any = None
    medication: Any = None


def _medications_named_in(folder: Path, servers: Servers) -> set[str]:
    """Every "Medication/1" to which a drug entry in the files refers."""
    found = set()
    names = names_of("drug-use", "drug-supply")
    for path in sorted(path for name in names for path in folder.glob(f"{name}.*.ndjson")):
        with path.open("rb") as file:
            for line in file:
                found |= {reference for reference in _references_in(line, servers) if _MEDICATION.match(reference)}
    return found


def _references_in(line: bytes, servers: Servers) -> Iterator[str]:
    try:
        use = msgspec.json.decode(line, type=_DrugUse)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the screen says that it cannot be read
    for member in (use.medication_reference, use.medication):
        inner = member.get("reference") if isinstance(member, dict) else None
        reference = inner.get("reference") if isinstance(inner, dict) else inner  # R5 has it one level deeper
        if isinstance(reference, str):
            yield servers.local(reference)


_MEDICATION = re.compile(r"Medication/[A-Za-z0-9.-]{1,64}\Z", re.ASCII)


def _json_of(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.status_code != 200 or not isinstance(found, dict) or not isinstance(found.get("output", []), list):
        raise BulkError("the server's manifest cannot be read")
    return found
