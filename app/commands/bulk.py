"""`trialcards export-bulk`: the arguments of a Bulk Data export, and how far it is."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import typer

from app.bulk.export import TYPES, BulkExport, Wanted, discover_token_url
from app.bulk.token import BackendToken, BulkError, read_key
from app.commands.ending import stop

SCOPE = "system/*.rs"


def export_command(
    base: Annotated[str, typer.Argument(help="Address of the FHIR server, like https://ehr.example/fhir/r4.")],
    to: Annotated[Path, typer.Option("--out", help="Folder for the files; made where it is missing.")],
    client_id: Annotated[
        str | None, typer.Option(help="Id under which the server knows us (SMART Backend Services).")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Our private key: JWK, JWK set or PEM; RSA, or EC on P-384.")] = None,
    kid: Annotated[str | None, typer.Option(help="Key id, where the key file has none.")] = None,
    token_url: Annotated[
        str | None, typer.Option(help="Token endpoint. Default: from the server's SMART configuration.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Scopes to ask for; older servers want system/*.read.")] = SCOPE,
    group: Annotated[str | None, typer.Option(help="Id of a Group to export. Default: all patients.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="A resource type; may repeat. Default: all that are read.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what changed since then: an instant like 2026-11-01T00:00:00Z.")
    ] = None,
    file_host: Annotated[
        list[str] | None, typer.Option(help="Another host whose files want the token; may repeat.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust beside the usual ones, PEM.")] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="For a test server: http, not only https.")] = False,
) -> None:
    """Fetch a FHIR Bulk Data export for `trialcards screen`.

    Asks for $export, waits as long as the server says, and fetches the files, each of which appears as a whole. An
    export that was stopped goes on when the same command is given again. Without --client-id no token is asked for.

    Exit status 0 when every file is there, 2 when something about the call or the server is not usable.
    """
    wanted = Wanted(base, group, tuple(types or TYPES), since)
    try:
        _check(base, token_url, allow_http)
        if unknown := set(wanted.types) - set(TYPES):
            raise BulkError(f"--type: {', '.join(sorted(unknown))} is not read here; there are {', '.join(TYPES)}")
        with httpx.Client(timeout=httpx.Timeout(60, connect=10), trust_env=False, verify=_trust(ca_file)) as client:
            token = _token(client, base, client_id, key, kid, token_url, scope, allow_http)
            BulkExport(client, wanted, to, _Lines(), token, frozenset(file_host or ())).run()
    except BulkError as error:
        stop(str(error))
    typer.echo(f"The export is complete: {to}")


def _token(
    client: httpx.Client,
    base: str,
    client_id: str | None,
    key: Path | None,
    kid: str | None,
    token_url: str | None,
    scope: str,
    allow_http: bool,
) -> BackendToken | None:
    if client_id is None:
        return None
    if key is None:
        raise BulkError("--key: is needed with --client-id")
    signing = read_key(key)
    url = token_url or discover_token_url(client, base)
    _check(url, None, allow_http)
    return BackendToken(client, url, client_id, signing, scope, kid)


def _check(base: str, token_url: str | None, allow_http: bool) -> None:
    for address in filter(None, (base, token_url)):
        parts = urlsplit(address)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query:
            raise BulkError("BASE: is the address of a FHIR server, like https://ehr.example/fhir/r4")
        if parts.scheme == "http" and not allow_http:
            raise BulkError(
                "http shows patient data and tokens to everyone on the way; --allow-http is for a test server"
            )


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError):
            raise BulkError("--ca-file: cannot be read as PEM certificates") from None
    return context


class _Lines:
    """A line for each thing that happens."""

    def waiting(self, seconds: float, said: str) -> None:
        shown = "".join(each for each in said if each.isprintable())[:60]
        typer.echo(f"  the server is at work{f' ({shown})' if shown else ''}; next look in {seconds:.0f} s", err=True)

    def fetched(self, name: str, lines: int) -> None:
        typer.echo(f"  {name}: {lines} lines", err=True)
