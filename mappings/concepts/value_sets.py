"""A site's value sets as FHIR resources, read as an overlay of the concept catalogue.

A ValueSet says which concept it is for by an identifier of our code system: `{"system":
"https://trialcards.org/fhir/CodeSystem/concept", "value": "platelets"}`. What counts is its expansion; without one, the
codes that it lists, the value sets of our own concepts that it includes, and patterns in ICD-10 and ATC ("M32.1.*").
Anything else would have to be looked up in a terminology server and is refused by name: a value set that is understood
in part would find patients in part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mappings.yaml_files import DefinitionError, Problem

Overlay = dict[str, object]

_OURS = re.compile(r"^https://trialcards\.org/fhir/ValueSet/([a-z0-9-]+)(?:\|.*)?$")
_PATTERN = re.compile(r"^[A-Z0-9.\\?]+\.\*$")
_PROBLEMS_AT_MOST = 10


def read_value_set(
    raw: bytes, path: Path, own_system: str, name_of: Callable[[str], str], prefix_systems: frozenset[str]
) -> tuple[str, Overlay]:
    """The concept that a ValueSet is for, and its codes in the form of a concept file.

    `name_of` gives our name of a code system, or its address where it has none. DefinitionError with every problem.
    """
    resource = _value_set(raw, path)
    concept = next((i.get("value") for i in _objects(resource, "identifier") if i.get("system") == own_system), None)
    if not isinstance(concept, str):
        message = f"needs an identifier with system {own_system} and the id of a concept as value"
        raise DefinitionError([Problem(path, "identifier", message)])
    reader = _Reader(path, own_system, name_of, prefix_systems, concept)
    expansion = resource.get("expansion")
    if isinstance(expansion, dict) and "contains" in expansion:
        reader.contained(_objects(expansion, "contains"), "expansion.contains")
    else:
        reader.composed(resource.get("compose"))
    if reader.problems:
        raise DefinitionError(reader.problems[:_PROBLEMS_AT_MOST])
    return concept, reader.overlay()


def _value_set(raw: bytes, path: Path) -> Mapping[str, Any]:
    try:
        resource = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DefinitionError([Problem(path, "", "is not readable JSON")]) from error
    if not isinstance(resource, dict) or resource.get("resourceType") != "ValueSet":
        raise DefinitionError([Problem(path, "resourceType", "a .json file here is a FHIR ValueSet")])
    return resource


def _objects(holder: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """The members of a list that are objects."""
    value = holder.get(key)
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


class _Reader:
    """Collects codes, and what cannot be used."""

    def __init__(
        self, path: Path, own_system: str, name_of: Callable[[str], str], prefix_systems: frozenset[str], concept: str
    ) -> None:
        self.path, self.own_system, self.name_of, self.prefix_systems = path, own_system, name_of, prefix_systems
        self.concept = concept
        self.problems: list[Problem] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.local: list[dict[str, str]] = []
        self.includes: list[str] = []

    def reject(self, where: str, message: str) -> None:
        self.problems.append(Problem(self.path, where, message))

    def overlay(self) -> Overlay:
        parts = {"codes": self.codes, "local_codes": self.local, "includes": self.includes}
        return {key: value for key, value in parts.items() if value}

    def contained(self, entries: Iterator[Mapping[str, Any]], where: str) -> None:
        """The codes of an expansion, with those nested below."""
        for index, entry in enumerate(entries):
            here = f"{where}.{index}"
            if not entry.get("abstract") and ("code" in entry or "system" in entry):
                self.add(entry.get("system"), entry, here)
            self.contained(_objects(entry, "contains"), f"{here}.contains")

    def composed(self, compose: object) -> None:
        if not isinstance(compose, dict) or not compose.get("include"):
            self.reject("compose", "needs an expansion, or codes under compose.include")
            return
        if compose.get("exclude"):
            self.reject("compose.exclude", "needs an expansion: what is excluded is worked out by a terminology server")
        for index, part in enumerate(_objects(compose, "include")):
            self.included(part, f"compose.include.{index}")

    def included(self, part: Mapping[str, Any], where: str) -> None:
        for address in part.get("valueSet") or ():
            match = _OURS.match(address) if isinstance(address, str) else None
            if match is None or "system" in part:
                self.reject(
                    f"{where}.valueSet", "needs an expansion: only the value sets of our concepts are known here"
                )
            else:
                self.includes.append(match[1])
        filters = list(_objects(part, "filter"))
        if "system" in part and not part.get("concept") and not filters:
            self.reject(where, "a whole code system is no value set of a concept")
        for concept in _objects(part, "concept"):
            self.add(part.get("system"), concept, f"{where}.concept")
        for one in filters:
            self.filtered(part.get("system"), one, f"{where}.filter", alone=len(filters) == 1)

    def filtered(self, system: object, one: Mapping[str, Any], where: str, *, alone: bool) -> None:
        pattern = str(one.get("value", ""))
        name = self.name_of(system) if isinstance(system, str) else ""
        is_known = one.get("op") == "regex" and one.get("property") == "code" and _PATTERN.match(pattern)
        if not (alone and is_known and name in self.prefix_systems):
            self.reject(where, "needs an expansion: a filter is worked out by a terminology server")
            return
        start = pattern.removesuffix(".*").replace("\\.?", ".").replace("\\.", ".")
        self.codes.setdefault(name, {})[f"{start}*"] = "from the site's value set"

    def add(self, system: object, entry: Mapping[str, Any], where: str) -> None:
        code = entry.get("code")
        if not (isinstance(system, str) and system.strip() and isinstance(code, str) and code.strip()):
            self.reject(where, "a code has a system and a code")
            return
        if system == self.own_system:
            # Our own code of another concept is a way to say that the set includes it.
            self.includes += [code] if code != self.concept else []
            return
        name = self.name_of(system)
        if name == system.strip().rstrip("/"):
            self.local.append({"system": system, "code": code})
            return
        if name in self.prefix_systems:
            code = code.rstrip("*")  # the asterisk of double coding, which in our files would be a pattern
        self.codes.setdefault(name, {})[code] = str(entry.get("display") or "from the site's value set")
