"""A resource or data type whose shape is off, brought into its form where its meaning is clear.

An object where a list is expected, a number in a string, a code where an object should be. A member's form is told by
its struct, so one rule for each form mends every resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct

from mappings.chart import fhir

_as_sent = msgspec.json.Encoder(decimal_format="number")


def as_sent(value: object) -> Raw:
    """A value as JSON again, its numbers as numbers."""
    return Raw(_as_sent.encode(value))


@dataclass(frozen=True, slots=True)
class _Form:
    name: str  # in Python
    kind: Any
    many: bool


class _Misfit(ValueError):
    """The value cannot be read as the form asks."""


@lru_cache(maxsize=128)
def _forms(kind: type[Struct]) -> Mapping[str, _Form]:
    hints = get_type_hints(kind)
    return {
        field.encode_name: _form(field.name, hints[field.name])
        for field in msgspec.structs.fields(kind)
        if hints[field.name] is not Any
    }


def _form(name: str, hint: Any) -> _Form:
    if hint is Raw:
        return _Form(name, Raw, False)
    if get_origin(hint) is tuple:
        return _Form(name, get_args(hint)[0], True)
    return _Form(name, next(part for part in get_args(hint) if part is not type(None)), False)


S = TypeVar("S", bound=Struct)


def shaped(value: Any, kind: type[S]) -> S | None:
    """The struct that the value can be read as; None when it cannot, or there is none."""
    try:
        return _struct(value, kind) if value is not None else None
    except _Misfit:
        return None


def _struct(value: Any, kind: type[S]) -> S:
    value = _wrap(value, kind)
    if not isinstance(value, dict):
        raise _Misfit
    forms = _forms(kind)
    fields = {}
    for name, item in value.items():
        form = forms.get(name)
        if form is None or item is None:
            continue
        try:
            fields[form.name] = _field(item, form)
        except _Misfit:
            if form.name in _LABELS:
                fields[form.name] = _LABELS[form.name]
            elif form.name not in _EXPENDABLE:
                raise
    return kind(**fields)


_EXPENDABLE = frozenset({
    "display", "issued", "last_updated", "method", "note", "patient_instruction", "search", "version_id"
})  # fmt: skip
# Security labels that do not fit their form are not lost: `labels.py` keeps such a record back.
_LABELS: Mapping[str, Any] = {
    "meta": fhir.Meta(security=(fhir.UNREADABLE_LABEL,)),
    "security": (fhir.UNREADABLE_LABEL,),
}


def _wrap(value: Any, kind: type[Struct]) -> Any:
    """A code, text or address that stands where an object should."""
    if isinstance(value, str):
        if issubclass(kind, fhir.CodeableConcept | fhir.Annotation):
            return {"text": value}
        if issubclass(kind, fhir.Reference):
            return {"reference": value}
    if issubclass(kind, fhir.CodeableConcept) and isinstance(value, dict) and "code" in value and "coding" not in value:
        return {"coding": [value]}
    return value


def _field(value: Any, form: _Form) -> Any:
    if form.kind is Raw:
        return as_sent(value)
    if form.many:
        return tuple(_one(item, form.kind) for item in listed(value))
    if isinstance(value, list):
        if len(value) != 1:
            raise _Misfit
        value = value[0]
    return _one(value, form.kind)


def _one(value: Any, kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _struct(value, kind)
    if kind is str:
        return _string(value)
    if kind is bool:
        return _boolean(value)
    return _number(value)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Misfit
    return str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and fhir.clean(value).lower() in ("true", "false"):
        return fhir.clean(value).lower() == "true"
    raise _Misfit


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _Misfit
    try:
        return Decimal(fhir.clean(value) if isinstance(value, str) else value)
    except InvalidOperation as error:
        raise _Misfit from error


def listed(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if item is not None]


def text_of(value: Any) -> str | None:
    return fhir.clean(value) if isinstance(value, str) else None
