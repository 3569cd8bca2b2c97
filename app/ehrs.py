"""The EHRs that may call us, and the FHIR servers that their tokens may go to: the TOML file of `TRIALCARDS_EHRS`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.addresses import is_loopback_address, parse_address, place_of
from app.client_key import KeyUnusable, read_key
from app.languages import known_language
from app.toml_files import TomlUnusable, problem_lines, read_toml
from mappings.chart.addresses import Servers

Algorithm = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]


class EhrsError(Exception):
    """A file of EHRs that the service does not start with; one line for each problem, with its place in the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _checked_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    # A semicolon or a quote would end the directive of a policy in which an origin stands.
    if not all(re.fullmatch(r"https?://[^/?#@\s;,'\"]+", origin) for origin in value):
        raise ValueError("holds origins, written like https://ehr.example")
    return value


class Smart(_Entry):
    """Our SMART app, as registered at the EHR. With neither key nor secret it is a public client."""

    client_id: str = Field(default="", description="Our id at this EHR; without one there is no app.")
    key_file: Path | None = Field(
        default=None,
        description="Our private key (JWK or PEM); its public half is served at `/.well-known/jwks.json`.",
    )
    client_secret_file: Path | None = Field(
        default=None, description="A file with our secret, in place of a key; with neither it is a public client."
    )
    frame_ancestors: tuple[str, ...] = Field(
        default=(), description="Every origin in whose frames the explanation may be shown."
    )

    @field_validator("frame_ancestors")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _checked_origins(value)

    @model_validator(mode="after")
    def _shows_itself_in_one_way(self) -> Smart:
        if self.key_file and self.client_secret_file:
            raise ValueError("has key_file or client_secret_file, not both")
        return self


class Ehr(_Entry):
    """One trusted EHR: who signs, where its FHIR servers are, and what it may do here."""

    name: str = Field(min_length=1, description="What it is called in the audit trail, metrics and commands.")
    issuer: str = Field(min_length=1, description="The token's `iss`, letter by letter.")
    jwks_url: str | None = Field(default=None, description="Address of its key set; or `jwks_file`.")
    jwks_file: Path | None = Field(default=None, description="A file with its key set; or `jwks_url`.")
    fhir_servers: tuple[str, ...] = Field(
        default=(),
        description="Its FHIR servers: the only places a token may go, and the addresses that references may have.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("ES384", "RS384"), min_length=1, description="With which its tokens may be signed."
    )
    audiences: tuple[str, ...] = Field(default=(), description="Accepted as `aud` besides our own addresses.")
    tenants: tuple[str, ...] = Field(
        default=(),
        description="If given, the token's `tenant` is one of them; entries may share an issuer if these differ.",
    )
    subject: str = Field(default="", description="If given, the token's `sub`.")
    services: tuple[str, ...] = Field(default=(), description="Ids of the hook services it may call; empty: all.")
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins of pages that may call from a browser, like `https://ehr.example`."
    )
    replay_guard: bool = Field(default=True, description="Whether a token (its `jti`) is good for one call only.")
    max_token_lifetime: int = Field(
        default=900, ge=1, le=86_400, description="Seconds between `iat` and `exp`, at most."
    )
    allow_http: bool = Field(default=False, description="Takes `http://` addresses too, for a test EHR.")
    private_network: bool = Field(
        default=False, description="Its FHIR servers or key set may have a loopback or private address."
    )
    match_extension: bool = Field(
        default=False, description="Whether cards carry the whole match as an extension, for a client that draws it."
    )
    timezone: str = Field(
        default="", description="The time zone in which a bare date is read; empty: `TRIALCARDS_TIMEZONE`."
    )
    language: str = Field(
        default="", description="The language of its cards and pages: en, de or zh-Hans; empty: `TRIALCARDS_LANGUAGE`."
    )
    prefetch_aliases: Mapping[str, str] = Field(
        default_factory=dict, description="A table: its prefetch key = ours; several of its keys may be one of ours."
    )
    smart: Smart | None = Field(default=None, description="A table: our SMART app, where it is registered there.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            if value:
                ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not a time zone; write it like Europe/Berlin") from error
        return value

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        return known_language(value)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _checked_origins(value)

    @model_validator(mode="after")
    def _addresses_are_usable(self) -> Ehr:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("has exactly one of jwks_url and jwks_file")
        schemes = ("http", "https") if self.allow_http else ("https",)
        for field, addresses in (("fhir_servers", self.fhir_servers), ("jwks_url", (self.jwks_url,))):
            for address in addresses:
                parts = parse_address(address) if address else None
                if address and (parts is None or parts.scheme not in schemes):
                    raise ValueError(f"{field}: an address starts with https://, or http:// where allow_http is true")
        return self

    def trusted_base(self, address: str) -> str | None:
        """The configured FHIR server that this address names, or None: then nothing is ever sent there."""
        asked = place_of(address)
        return next((base.rstrip("/") for base in self.fhir_servers if asked and place_of(base) == asked), None)

    def servers(self, named: str | None) -> Servers:
        """The addresses at which a reference means one of this EHR's resources. `named`: the call's `fhirServer`.

        The call itself is the EHR's own word, so its server counts even where no token may go there.
        """
        return Servers.at((named, *self.fhir_servers))

    @property
    def app(self) -> Smart | None:
        """Our SMART app, where it is registered."""
        return self.smart if self.smart and self.smart.client_id else None

    def may_call(self, service: str) -> bool:
        return not self.services or service in self.services


class DemoEhr(Ehr):
    """The demo profile's only EHR: nobody signs, and its FHIR server is on this machine or the one that was named."""

    def trusted_base(self, address: str) -> str | None:
        return address.rstrip("/") if is_loopback_address(address) else super().trusted_base(address)


def demo_ehr(fhir_server: str | None, timezone: str) -> DemoEhr:
    """See DemoEhr. The public CDS Hooks sandbox may call from a browser, and so may pages of this machine."""
    return DemoEhr(
        name="demo",
        issuer="demo",
        jwks_file=Path("unused"),
        fhir_servers=(fhir_server,) if fhir_server else (),
        cors_origins=("https://sandbox.cds-hooks.org",),
        allow_http=True,
        private_network=True,
        match_extension=True,
        timezone=timezone,
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: an EHR, and the tenant within it.

    `closing`: parts of the transaction that writes down the answer, after which the token of the call is used up.
    """

    ehr: Ehr
    tenant: str = ""
    closing: Sequence[Callable[[Any], object]] = ()


class _File(_Entry):
    ehr: tuple[Ehr, ...] = Field(min_length=1)


def load_ehrs(path: Path) -> tuple[Ehr, ...]:
    """The EHRs of a TOML file. EhrsError names every unknown, missing or wrong key with its place, never a value."""
    try:
        content = read_toml(path)
    except TomlUnusable as error:
        raise EhrsError([str(error)]) from None
    try:
        ehrs = _File.model_validate(content).ehr
    except ValidationError as error:
        raise EhrsError(list(_lines(path, content, error))) from None
    ehrs = tuple(_with_files_beside(ehr, path.parent) for ehr in ehrs)
    if problems := _problems_of_the_set(path, ehrs):
        raise EhrsError(problems)
    return ehrs


def _lines(path: Path, content: Mapping[str, Any], error: ValidationError) -> Iterator[str]:
    for kind, where, line in problem_lines(path, error, _keys_beside, lambda place: _name_of(content, place)):
        if kind == "too_short" and where == "ehr":
            # Of entries that have problems each is named, and is left out of the count for it.
            if not content.get("ehr"):
                yield f"{path}: ehr: has no entry; write [[ehr]]"
        else:
            yield line


def _keys_beside(place: tuple[int | str, ...]) -> frozenset[str]:
    """The keys that there are where this one was written."""
    if len(place) < 3:
        return frozenset(_File.model_fields)
    return frozenset((Smart if "smart" in place[2:-1] else Ehr).model_fields)


def _name_of(content: Mapping[str, Any], place: tuple[int | str, ...]) -> str:
    """` ("st-example")` for a place in the entry of this name."""
    try:
        name = content["ehr"][place[1]]["name"]
    except (LookupError, TypeError):
        return ""
    return f' ("{name}")' if isinstance(name, str) and re.fullmatch(r"[\w .-]{1,40}", name) else ""


def _with_files_beside(ehr: Ehr, folder: Path) -> Ehr:
    """Files are named from the folder of the TOML file."""
    found: dict[str, object] = {"jwks_file": folder / ehr.jwks_file} if ehr.jwks_file else {}
    if ehr.smart:
        files = {"key_file": ehr.smart.key_file, "client_secret_file": ehr.smart.client_secret_file}
        there = {name: folder / path for name, path in files.items() if path}
        found["smart"] = ehr.smart.model_copy(update=there)
    return ehr.model_copy(update=found)


def _problems_of_the_set(path: Path, ehrs: Sequence[Ehr]) -> list[str]:
    problems = []
    for index, ehr in enumerate(ehrs):
        others = ehrs[:index]
        if any(other.name == ehr.name for other in others):
            problems.append(f"{path}: ehr.{index}.name: stands twice")
        if any(_cannot_be_told_apart(ehr, other) for other in others):
            problems.append(f"{path}: ehr.{index}.issuer: stands twice; then each entry needs its own tenants")
        if ehr.jwks_file and (problem := _key_file_problem(ehr.jwks_file)):
            problems.append(f"{path}: ehr.{index}.jwks_file: {problem}")
        if ehr.app:
            problems += [f"{path}: ehr.{index}.{problem}" for problem in _problems_of_the_app(ehr, ehr.app, others)]
    return problems


def _problems_of_the_app(ehr: Ehr, smart: Smart, others: Sequence[Ehr]) -> Iterator[str]:
    """A launch names its EHR by the FHIR server alone, and needs what shows who we are."""
    if any(other.app and any(map(other.trusted_base, ehr.fhir_servers)) for other in others):
        yield "fhir_servers: one of them is in two entries with a smart app; then a launch cannot tell them apart"
    try:
        if smart.key_file:
            read_key(smart.key_file)
    except KeyUnusable as error:
        yield f"smart.key_file: {error}"
    try:
        if smart.client_secret_file and not smart.client_secret_file.read_text("utf-8").strip():
            yield "smart.client_secret_file: is empty"
    except (OSError, UnicodeDecodeError):
        yield "smart.client_secret_file: cannot be read"


def _cannot_be_told_apart(one: Ehr, other: Ehr) -> bool:
    share = not one.tenants or not other.tenants or bool(set(one.tenants) & set(other.tenants))
    return one.issuer == other.issuer and share


def _key_file_problem(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "is not JSON"
    keys = content.get("keys") if isinstance(content, dict) else None
    return None if isinstance(keys, list) else 'is not a JSON Web Key Set, {"keys": [...]}'
