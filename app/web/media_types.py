"""Which form of an answer a caller asks for in its Accept header."""

from __future__ import annotations

FHIR_TYPE = "application/fhir+json"
JSON_TYPE = "application/json"
_ANY = ("*/*", "application/*")


def weights(accept: str) -> dict[str, float]:
    """Each media type of an Accept header with its weight; one that cannot be read counts as not asked for."""
    found: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        given = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
        try:
            found[name] = min(max(float(given), 0.0), 1.0)
        except ValueError:
            found[name] = 0.0
    return found


def prefers_fhir(accept: str) -> bool:
    """Whether FHIR is named and plain JSON is not wanted more."""
    asked = weights(accept)
    return asked.get(FHIR_TYPE, 0) > 0 and asked[FHIR_TYPE] >= asked.get(JSON_TYPE, 0)


def takes_fhir(accept: str) -> bool:
    """Whether a caller takes FHIR as JSON, the only form that there is; one that does not say takes everything."""
    asked = weights(accept)
    names = (FHIR_TYPE, JSON_TYPE, "application/json+fhir", *_ANY)
    return not accept.strip() or any(asked.get(name, 0) > 0 for name in names)
