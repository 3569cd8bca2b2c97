"""Every setting of the service: name, default, one sentence. Read once, here; everything else receives values.

Two profiles: `production` refuses to start while something it needs is missing; `demo` (what `make run` serves) listens
on loopback only and makes up what it needs under `var/`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.addresses import is_loopback_address, place_of
from app.languages import known_language
from app.storage.database import url_of
from app.traces import NEEDS_EXTRA

PREFIX = "TRIALCARDS_"
MIB = 1024 * 1024
_SHORTEST_SECRET = 32


class SettingsError(Exception):
    """Settings that the service cannot start with; one line each, naming the setting and never its value."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def _comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)]


class Settings(BaseSettings):
    """All settings. docs/settings.md and `trialcards serve --help` show each `Field(description=...)`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    profile: Literal["demo", "production"] = Field(
        default="production", exclude=True, validation_alias="_profile", description="Set by the command, not by hand."
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias=AliasChoices("HOST", "host"),
        description="The address to listen on.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, validation_alias=AliasChoices("PORT", "port"), description="The port."
    )
    ehrs: Path | None = Field(default=None, description="Path of the TOML file of trusted EHRs.")
    public_url: str | None = Field(
        default=None,
        description="The address under which EHRs reach the service; a token's aud is held against the URLs under it.",
    )
    database_url: str = Field(
        default="sqlite:///var/trialcards.db",
        description="SQLAlchemy URL of the database; in production postgresql://...",
    )
    secret_key: CommaSeparated = Field(
        default=(),
        description="Signs addresses, keys hashes, encrypts; several, comma separated; the first is current.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="How many worker processes answer.")
    deadline: float = Field(default=4.0, gt=0.1, le=60, description="Total seconds for one hook call.")
    mappings: Path | None = Field(default=None, description="A folder with the site's own concepts and codes.")
    trials: Path | None = Field(default=None, description="A folder with the site's own trial definitions.")
    site: Path | None = Field(
        default=None,
        description="Path of the TOML file with the site's profile: trials offered, contacts, orders; see "
        "[connect.md](connect.md#the-sites-own-profile).",
    )
    terminology: str | None = Field(
        default=None, description="FHIR address of a terminology server that expands concepts by SNOMED CT; https."
    )
    terminology_private_network: bool = Field(
        default=False, description="The terminology server may have a loopback or private address."
    )
    cache: Path | None = Field(
        default=Path("var/cache"),
        description="A folder where many compiled definitions are kept, so that the next start is quick.",
    )
    max_cards: int = Field(default=3, ge=1, le=20, description="How many trial cards one answer shows at most.")
    timezone: str = Field(default="UTC", description="The time zone in which a bare date is read.")
    language: str = Field(default="en", description="The language of cards and pages: en, de or zh-Hans.")
    retention_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="Days that the facts behind a shown card are kept, encrypted; 0 keeps none.",
    )
    snooze_days: int = Field(default=30, ge=0, le=3650, description="Days after which an overridden card returns.")
    restricted_labels: CommaSeparated = Field(
        default=(),
        description="Security labels (system|code, comma separated) whose records no card, list or report may show.",
    )
    operator_tokens: CommaSeparated = Field(
        default=(), description="SHA-256 (hex) of the operators' bearer tokens, comma separated."
    )
    oidc_issuer: str | None = Field(
        default=None, description="The OpenID Connect issuer at which people log in to the worklist, to the letter."
    )
    oidc_client_id: str | None = Field(
        default=None, description="Our client there; redirect: PUBLIC_URL/login/callback."
    )
    oidc_client_secret: str | None = Field(
        default=None, repr=False, description="Its secret; without one it is a public client."
    )
    oidc_groups: CommaSeparated = Field(
        default=(), description="Groups, comma separated; a person in one of them may work on the worklist."
    )
    oidc_signers: CommaSeparated = Field(
        default=(),
        description="Groups, comma separated, whose members, who work on the worklist, may sign definitions.",
    )
    oidc_groups_claim: str = Field(
        default="groups", description="The claim of the ID token that names a person's groups."
    )
    oidc_scopes: str = Field(default="openid profile", description="What is asked for at the login.")
    oidc_private_network: bool = Field(default=False, description="The issuer may have a loopback or private address.")
    max_hook_bytes: int = Field(default=16 * MIB, ge=1024, description="Largest body of a hook call, in bytes.")
    max_match_bytes: int = Field(default=64 * MIB, ge=1024, description="Largest body of a match call, in bytes.")
    profile_calls: bool = Field(
        default=False, description="Log what each part of a call took in time and memory; `serve --profile` sets it."
    )
    max_concurrent: int = Field(default=64, ge=1, description="Hook calls answered at once; more get 503 at once.")
    audit_days: int = Field(
        default=2192, ge=1, le=36_500, description="Days that the audit trail, cards, feedback and worklist are kept."
    )
    traces: str | None = Field(
        default=None, description="Address of an OpenTelemetry collector (OTLP over HTTP); needs the extra otel."
    )
    demo_fhir: str | None = Field(default=None, description="Demo profile: a FHIR server in the demo EHR's place.")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def labels(self) -> frozenset[tuple[str, str]]:
        """The restricted labels as (system, code)."""
        return frozenset(
            (system, code) for system, _, code in (label.partition("|") for label in self.restricted_labels)
        )

    @property
    def is_demo(self) -> bool:
        return self.profile == "demo"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not a time zone; write it like Europe/Berlin") from error
        return value

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        return known_language(value)

    @field_validator("public_url", "demo_fhir", "traces")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("is not an address; write it like https://trialcards.example")
        return value.rstrip("/")

    @field_validator("operator_tokens")
    @classmethod
    def _are_digests(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[0-9a-fA-F]{64}", digest) for digest in value):
            raise ValueError("holds SHA-256 digests, 64 hexadecimal characters each, not the tokens themselves")
        return tuple(digest.lower() for digest in value)

    @field_validator("restricted_labels")
    @classmethod
    def _are_labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[^|\s]+\|[^|\s]+", label) for label in value):
            raise ValueError("holds labels, written like http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R")
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(key) < _SHORTEST_SECRET for key in value):
            raise ValueError(f"needs at least {_SHORTEST_SECRET} characters for each key")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        url_of(value)
        return value

    @model_validator(mode="after")
    def _traces_can_be_sent(self) -> Self:
        if self.traces and find_spec("opentelemetry.exporter") is None:
            raise ValueError(f"{PREFIX}TRACES: {NEEDS_EXTRA}")
        return self

    @field_validator("oidc_issuer")
    @classmethod
    def _an_issuer(cls, value: str | None) -> str | None:
        # To the letter: the issuer of an ID token is compared with it, trailing slash and all.
        good = value is None or place_of(value) is not None
        if not good or (value and value.startswith("http:") and not is_loopback_address(value)):
            raise ValueError("is an address that starts with https://, as the provider writes it")
        return value

    @field_validator("terminology")
    @classmethod
    def _a_server(cls, value: str | None) -> str | None:
        good = value is None or place_of(value) is not None
        if not good or (value and value.startswith("http:") and not is_loopback_address(value)):
            raise ValueError("is an address that starts with https://, without user and query")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _has_openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("holds openid, without which nobody says who logged in")
        return value

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        # Without a group everybody with an account there would read who may be ill with what.
        needed = {"OIDC_CLIENT_ID": self.oidc_client_id, "OIDC_GROUPS": self.oidc_groups}
        if self.oidc_issuer and (missing := [PREFIX + name for name, value in needed.items() if not value]):
            raise ValueError("\n".join(f"{name}: is needed with {PREFIX}OIDC_ISSUER" for name in missing))
        return self

    @model_validator(mode="after")
    def _folders_are_there(self) -> Self:
        for name in ("mappings", "trials"):
            folder: Path | None = getattr(self, name)
            if folder is not None and not folder.is_dir():
                raise ValueError(f"{PREFIX}{name.upper()}: there is no such folder")
        return self

    @model_validator(mode="after")
    def _profile_is_complete(self) -> Self:
        if self.is_demo:
            if not _is_loopback(self.host):
                raise ValueError("HOST: the demo listens on loopback only (127.0.0.1, ::1 or localhost)")
            return self
        needed = {"EHRS": self.ehrs, "PUBLIC_URL": self.public_url, "SECRET_KEY": self.secret_key}
        if missing := [PREFIX + name for name, value in needed.items() if not value]:
            raise ValueError("\n".join(f"{name}: is needed to start" for name in missing))
        return self


def read_settings(profile: Literal["demo", "production"], **given: object) -> Settings:
    """The settings of this process, from the environment and `.env`. SettingsError names each that is wrong."""
    if profile == "demo" and not os.environ.get(PREFIX + "SECRET_KEY"):
        given.setdefault("secret_key", (_demo_secret(Path("var")),))
    misspelled = _misspelled({**os.environ, **dotenv_values(".env")})
    try:
        settings = Settings(_profile=profile, **given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError([*_lines(error), *misspelled]) from None
    if misspelled:
        raise SettingsError(misspelled)
    return settings


def _misspelled(environment: Mapping[str, str | None]) -> list[str]:
    """A line for each variable that is close to a setting, and is none: it would have no effect, in silence.

    A setting that is not close to any may be one of another version, after an upgrade was rolled back.
    """
    known = {name.upper() for name in Settings.model_fields if name not in ("profile", "host", "port")}
    given = {name.upper().removeprefix(PREFIX) for name in environment if name.upper().startswith(PREFIX)}
    near = {name: get_close_matches(name, known - given, 1, 0.75) for name in sorted(given - known)}
    return [
        f"{PREFIX}{name}: is not a setting; did you mean {PREFIX}{meant[0]}?" for name, meant in near.items() if meant
    ]


def _bounds(name: str) -> str:
    """`, from 1 to 64` for a setting with limits."""
    limits: dict[str, float] = {}
    for part in Settings.model_fields[name.lower()].metadata:
        limits |= {each: getattr(part, each) for each in ("gt", "ge", "le") if hasattr(part, each)}
    words = [
        f"{word} {limits[each]:g}"
        for each, word in (("gt", "above"), ("ge", "from"), ("le", "up to"))
        if each in limits
    ]
    return ", " + " and ".join(words) if words else ""


def _words_of(name: str, item: ErrorDetails) -> str:
    """What is wrong with a value, without the value."""
    match item["type"]:
        case "int_parsing" | "int_from_float":
            return f"is not a whole number{_bounds(name)}"
        case "float_parsing":
            return f"is not a number{_bounds(name)}"
        case "greater_than" | "greater_than_equal" | "less_than_equal":
            return f"is a number{_bounds(name)}"
        case "bool_parsing":
            return "is true or false"
    return str(item["msg"]).removeprefix("Value error, ")


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        message = _words_of(name, item)
        label = name.upper() if name.upper() in ("HOST", "PORT") else PREFIX + name.upper()
        lines += [f"{label}: {line}" if name else line for line in message.split("\n")]
    return lines


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _demo_secret(folder: Path) -> str:
    """The demo's own key, made on first use and kept beside its database, readable by its owner only."""
    path = folder / "secret.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()
