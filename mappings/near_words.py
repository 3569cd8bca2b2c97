"""What a misspelled name may have meant, for messages that say what is not known."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel


def suggestion(name: str, known: Collection[str], most: int = 2) -> str:
    """`; did you mean X or Y?` where known names are close to this one, else nothing."""
    as_written = {each.lower(): each for each in known}
    near = [as_written[each] for each in get_close_matches(name.lower(), as_written, most, 0.6)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


@lru_cache(maxsize=16)
def key_names(model: type[BaseModel]) -> frozenset[str]:
    """Every key that a document of this model may have, at any depth."""
    found: set[str] = set()
    seen: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        for name, field in each.model_fields.items():
            found.add(field.alias or name)
            waiting += _models_in(field.annotation)
    return frozenset(found)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
