"""What an overlay states of records that are of no concept: `systems`, `other_codes`, `other_names`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mappings.near_words import suggestion
from mappings.yaml_files import Problem

OTHER = "other"  # as the name of a system: none of its codes is of a concept, except those that the overlay lists
KEYS = ("systems", "other_codes", "other_names")


@dataclass(frozen=True)
class Stated:
    """`systems`: address -> our name of the system, or "other". The others: codes and texts that are something else."""

    systems: Mapping[str, str] = field(default_factory=dict)
    other_codes: frozenset[tuple[str, str]] = frozenset()  # (address or our name of the system, code)
    other_names: frozenset[str] = frozenset()  # whole texts, in lower case

    def name_of(self, name: str) -> str:
        """Our name of a system of which `name` is the address; "other" keeps its address, for codes of its own."""
        stated = self.systems.get(name, name)
        return name if stated == OTHER else stated

    def is_other(self, name: str, code: str) -> bool:
        """Whether a code that stands for no concept is certainly something else."""
        return self.systems.get(name) == OTHER or (name, code) in self.other_codes


class StatedReader:
    """Collects what the files of all folders state. `name_of`: our name of a code system, or its address."""

    def __init__(self, name_of: Callable[[str], str], known: Collection[str]) -> None:
        self._name_of, self._known = name_of, known
        self._systems: dict[str, str] = {}
        self._codes: set[tuple[str, str]] = set()
        self._names: set[str] = set()

    def read(self, content: dict[str, object], path: Path) -> list[Problem]:
        """Take these keys out of the content of a file; a problem for each statement that cannot be used."""
        found: list[Problem] = []
        for key, read in zip(KEYS, (self._read_systems, self._read_codes, self._read_names), strict=True):
            if value := content.pop(key, None):  # an empty key says nothing
                found += [Problem(path, f"{key}{where}", text) for where, text in read(value)]
        return found

    def stated(self) -> Stated:
        return Stated(self._systems, frozenset(self._codes), frozenset(self._names))

    def _read_systems(self, value: object) -> list[tuple[str, str]]:
        if not isinstance(value, dict):
            return [("", "is a mapping: the address of a code system -> its name, or other")]
        problems = []
        for address, name in value.items():
            known = self._name_of(str(address))
            if name not in self._known and name != OTHER:
                near = suggestion(str(name), [*self._known, OTHER], 1)
                problems.append((f".{address}", f"is one of {', '.join(sorted(self._known))} or {OTHER}{near}"))
            elif known in self._known and known != name:
                problems.append((f".{address}", f"is an address of {known}; this cannot be changed"))
            else:
                self._systems[known] = str(name)
        return problems

    def _read_codes(self, value: object) -> list[tuple[str, str]]:
        form = 'is an entry like {system: "urn:oid:1.2.3", code: "X1"}'
        if not isinstance(value, list):
            return [("", f"is a list; each {form}")]
        problems = []
        for place, entry in enumerate(value):
            given = entry if isinstance(entry, dict) and set(entry) == {"system", "code"} else {}
            system, code = given.get("system"), given.get("code")
            if isinstance(system, str) and isinstance(code, str) and system.strip() and code.strip():
                self._codes.add((self._name_of(system), code.strip()))
            else:
                problems.append((f".{place}", form))
        return problems

    def _read_names(self, value: object) -> list[tuple[str, str]]:
        if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
            return [("", "is a list of texts, each the whole text of an entry")]
        self._names.update(" ".join(name.split()).casefold() for name in value)
        return []
