"""TOML files that people write: read, and every key that does not fit named with its place and never its value."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mappings.near_words import suggestion

Place = tuple[int | str, ...]


class TomlUnusable(ValueError):
    """A file that cannot be read as TOML; the message names it."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. TomlUnusable says what is wrong with it, with the line where there is one."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TomlUnusable(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise TomlUnusable(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at [^)]*\)$", str(error))
        raise TomlUnusable(f"{path}: is not readable TOML {where[0] if where else ''}".rstrip()) from None


def problem_lines(
    path: Path,
    error: ValidationError,
    keys_beside: Callable[[Place], Collection[str]],
    name_of: Callable[[Place], str] = lambda _: "",
) -> Iterator[tuple[str, str, str]]:
    """For each problem: the kind, the place, and a line for the user.

    `keys_beside`: the keys that there are at the place of an unknown one. `name_of`: what the entry there is called.
    """
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        place = item["loc"]
        where = ".".join(map(str, place))
        match item["type"]:
            case "extra_forbidden":
                message = "is not a known key" + suggestion(str(place[-1]), keys_beside(place))
            case "missing":
                message = "is required"
            case _:
                message = item["msg"].removeprefix("Value error, ")
        yield item["type"], where, f"{path}: {where}{name_of(place)}: {message}"
