"""What can go wrong while answering, and how it is said.

  ServiceError
    BadJson            400   the body is not JSON as everyone reads it
    NotAuthenticated   401   no token that we trust; never says why
    NotAllowed         403   a known caller, but not for this
    NotHere            404   the address, service, trial or report does not exist
    NotAcceptable      406   a form of the answer that there is not
    TooSlow            408   the body did not arrive in time
    NotRepeatable      409   a kept answer that cannot be given again as it was
    Gone               410   a kept answer whose facts are kept no longer
    ChartUnavailable   412   what the answer needs could not be read from the EHR
    TooLarge           413   the body is over the limit
    WrongMediaType     415   the body is not sent as plain JSON
    Unusable           422   JSON, but not what this address takes
    Unavailable        503   a part of our own is missing, or too many calls at once

On the CDS Hooks and FHIR paths an error is a FHIR OperationOutcome, elsewhere an RFC 9457 problem document. Its words
are ours: an error names the place and what would be accepted, never a value or a name that the sender chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

CDS_PATH = "/cds-services"
FHIR_PATH = "/fhir"


class ServiceError(Exception):
    """Expected trouble: a status, a FHIR issue code and a sentence for the person who must act."""

    status: int = 500
    issue: str = "exception"
    title: str = "Unexpected error"

    def __init__(self, detail: str, place: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.headers = dict(headers or {})


class BadJson(ServiceError):
    status, issue, title = 400, "structure", "Body is not JSON"


class NotAuthenticated(ServiceError):
    status, issue, title = 401, "login", "Not authenticated"

    def __init__(self) -> None:
        # Telling a wrong issuer from a wrong signature would help only an attacker.
        super().__init__("This call needs valid credentials.", headers={"WWW-Authenticate": "Bearer"})


class NotAllowed(ServiceError):
    status, issue, title = 403, "forbidden", "Not allowed"


class NotHere(ServiceError):
    status, issue, title = 404, "not-found", "Not found"


class NotAcceptable(ServiceError):
    status, issue, title = 406, "not-supported", "No such form"


class TooSlow(ServiceError):
    status, issue, title = 408, "timeout", "Body not complete in time"


class NotRepeatable(ServiceError):
    status, issue, title = 409, "conflict", "Answer not repeatable"


class Gone(ServiceError):
    status, issue, title = 410, "deleted", "Facts not kept"


class ChartUnavailable(ServiceError):
    status, issue, title = 412, "incomplete", "Chart not available"


class TooLarge(ServiceError):
    status, issue, title = 413, "too-long", "Body too large"


class WrongMediaType(ServiceError):
    status, issue, title = 415, "not-supported", "Media type not supported"


class Unusable(ServiceError):
    status, issue, title = 422, "invalid", "Body or parameter not usable"


RETRY_AFTER = 5  # seconds


class Unavailable(ServiceError):
    status, issue, title = 503, "transient", "Not available now"

    def __init__(self, detail: str, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


def is_cds_path(path: str) -> bool:
    return path == CDS_PATH or path.startswith(CDS_PATH + "/")


def speaks_fhir(path: str) -> bool:
    """Whether the readers of this address expect an error as an OperationOutcome."""
    return is_cds_path(path) or path == FHIR_PATH or path.startswith(FHIR_PATH + "/")


def error_response(path: str, error: ServiceError) -> Response:
    """The error as the address's readers expect it."""
    if speaks_fhir(path):
        return Response(
            msgspec.json.encode(_outcome(error)), error.status, error.headers, media_type="application/fhir+json"
        )
    return Response(
        msgspec.json.encode(_problem(error)), error.status, error.headers, media_type="application/problem+json"
    )


def _outcome(error: ServiceError) -> dict[str, object]:
    issue: dict[str, object] = {"severity": "error", "code": error.issue, "diagnostics": error.detail}
    if error.place:
        issue["expression"] = [error.place]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _problem(error: ServiceError) -> dict[str, object]:
    problem = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.detail}
    return problem | ({"place": error.place} if error.place else {})


def unexpected(request_id: str) -> ServiceError:
    """What a caller hears of our own fault: an opaque id under which the log has the rest."""
    return ServiceError(f"Something went wrong on our side. Reference {request_id}.")


def from_status(status: int, headers: Mapping[str, str] | None = None) -> ServiceError:
    """An error that the router raised (404, 405) in our words."""
    if status == HTTPStatus.NOT_FOUND:
        return NotHere("There is nothing at this address.", headers=headers)
    error = ServiceError(HTTPStatus(status).phrase + ".", headers=headers)
    error.status, error.title = status, HTTPStatus(status).phrase
    error.issue = "not-supported" if status == HTTPStatus.METHOD_NOT_ALLOWED else "processing"
    return error
