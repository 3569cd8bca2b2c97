"""YAML as the definitions use it: text stays text, a key occurs once, and every problem says where it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from mappings.near_words import suggestion


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: file, path inside it ("common.2.include.value.is"), and what would be accepted."""

    file: Path
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}  {self.path}  {self.message}" if self.path else f"{self.file}  {self.message}"


class DefinitionError(ValueError):
    """Definitions that cannot be used, with every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class _Loader(yaml.SafeLoader):
    """Scalars stay strings (no `no` -> False, no 9.0 -> float, no dates), except true, false and null."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml, where PyYAML was built with it: nine times as fast."""


def _unique_mapping(loader: _Loader | _FastLoader, node: yaml.MappingNode) -> dict[object, object]:
    seen: dict[object, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f'"{key}" stands here twice', key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


for _loader in (_Loader, _FastLoader):
    _loader.yaml_implicit_resolvers = {}
    for _first in "tf":
        _loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), [_first])
    _loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def _load(text: str) -> object:
    try:
        return yaml.load(text, Loader=_FastLoader)
    except yaml.YAMLError:
        # Read again by the one whose words and places the problems are told in.
        return yaml.load(text, Loader=_Loader)


def read_yaml(raw: bytes, path: Path) -> dict[str, object]:
    """The mapping that a file holds. DefinitionError with line and column where it is not readable."""
    try:
        content = _load(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DefinitionError([Problem(path, "", f"is not UTF-8 (byte {error.start})")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise DefinitionError([Problem(path, where, f"is not readable YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise DefinitionError([Problem(path, "", "is not readable YAML")]) from error
    if not isinstance(content, dict):
        raise DefinitionError([Problem(path, "", "must be a mapping of names")])
    return content


def problems_of(error: ValidationError, path: Path, prefix: str = "", *, known: Collection[str] = ()) -> list[Problem]:
    """Each finding of pydantic as a problem in our words. `known`: the keys that an unknown one may have meant."""
    found = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in (*((prefix,) if prefix else ()), *item["loc"]))
        match item["type"]:
            case "extra_forbidden":
                message = "is not a word of this language" + suggestion(str(item["loc"][-1]), known)
            case "missing":
                message = "is required"
            case _:
                message = str(item["msg"]).removeprefix("Value error, ")
        found.append(Problem(path, where, message))
    return found
