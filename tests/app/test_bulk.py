"""Fetching an export from a Bulk Data server: tokens, waiting, files, and every way in which it goes wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from typer.testing import CliRunner

from app.bulk.export import BulkExport, Wanted, discover_token_url
from app.bulk.token import BackendToken, BulkError, read_key
from app.cli import cli
from app.screen.export import open_export
from mappings.concepts.catalogue import Catalogue
from tests.bulk_server import CLIENT, Answer, BulkServer, Json
from tests.exports import a_patient

KEY = ECKey.generate_key("P-384", private=True)


@dataclass
class Watched:
    """Notes what it is told, and how long the export slept."""

    waits: list[float] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)

    def waiting(self, seconds: float, said: str) -> None:
        self.waits.append(seconds)

    def fetched(self, name: str, lines: int) -> None:
        self.files[name] = lines


@pytest.fixture(scope="module")
def resources(catalogue: Catalogue) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for each in a_patient(
        "p1", catalogue, conditions={"systemic-lupus-erythematosus": {}}, results={"platelets": "90 10*9/L"}
    ):
        found.setdefault(each["resourceType"], []).append(each)
    return found


def export(server: BulkServer, folder: Path, **changes: Any) -> tuple[Json, Watched]:
    """Run an export against the server as a registered client; no second is really waited."""
    watched = Watched()
    with httpx.Client(trust_env=False, timeout=5) as client:
        token = None
        if server.key:
            token = BackendToken(client, discover_token_url(client, server.base), CLIENT, KEY, "system/*.rs")
        wanted = changes.pop("wanted", Wanted(server.base, group="7"))
        given = {"token": token, "sleep": watched.slept.append} | changes
        return BulkExport(client, wanted, folder, watched, **given).run(), watched


def test_an_export_is_asked_for_waited_for_fetched_and_tidied_up(
    resources: dict[str, list[Json]], tmp_path: Path
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    with BulkServer(resources, KEY) as server:
        server.answers["/status/1"] = [
            (202, {"Retry-After": "7", "X-Progress": "half"}, b""),
            (202, {"Retry-After": later}, b""),
            (429, {"Retry-After": "11"}, b""),
            (202, {}, b""),
        ]
        manifest, watched = export(server, tmp_path)
    kick_off = server.asked[2]
    assert kick_off[1].startswith(
        "/fhir/Group/7/$export?_outputFormat=application/fhir%2Bndjson&_type=Patient,Observation,"
    )
    assert kick_off[2]["prefer"] == "respond-async"
    assert kick_off[2]["accept"] == "application/fhir+json"
    assert watched.waits[0] == 7
    assert 30 < watched.waits[1] <= 40
    assert 11 in watched.slept
    assert watched.files == {f"{kind}.{n:05}.ndjson": 1 for n, kind in enumerate(resources)}
    assert server.paths("DELETE") == ["/status/1"]
    assert json.loads((tmp_path / "manifest.json").read_text())["output"] == manifest["output"]
    assert not (tmp_path / "export.json").exists()


def test_what_was_fetched_can_be_screened(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        export(server, tmp_path)
    found = open_export([tmp_path])
    assert found.base_url == server.base
    assert "Procedure" in found.complete  # asked for, and there was none
    assert {file.kind for file in found.files} == set(resources)


@pytest.mark.parametrize("key", [KEY, RSAKey.generate_key(2048, private=True)], ids=["EC", "RSA"])
def test_the_assertion_is_signed_with_the_registered_key(
    key: ECKey | RSAKey, resources: dict[str, list[Json]], tmp_path: Path
) -> None:
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "key.pem").write_bytes(key.as_pem(private=True))
    with BulkServer(resources, key) as server, httpx.Client(trust_env=False) as client:
        for name in ("key.json", "key.pem"):
            token = BackendToken(client, f"{server.origin}/token", CLIENT, read_key(tmp_path / name), "system/*.rs")
            assert token.header()["Authorization"].startswith("Bearer token-")


def test_a_token_is_renewed_before_it_ends_and_when_it_is_refused(
    resources: dict[str, list[Json]], tmp_path: Path
) -> None:
    now = [1_000_000.0]
    with BulkServer(resources, KEY, uses=2) as server:
        export(server, tmp_path)
        assert len(server.tokens) > 2
        with httpx.Client(trust_env=False) as client:
            token = BackendToken(client, f"{server.origin}/token", CLIENT, KEY, "x", clock=lambda: now[0])
            with pytest.raises(BulkError, match="answered 400"):
                token.header()  # an assertion from 1970 has expired


def test_an_export_that_was_stopped_goes_on_where_it_was(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        server.answers["/files/Observation"] = [(500, {}, b"")]
        with pytest.raises(BulkError, match="was not given \\(500\\)"):
            export(server, tmp_path)
        assert (tmp_path / "export.json").exists()
        assert not (tmp_path / "manifest.json").exists()
        before = len(server.asked)
        export(server, tmp_path)
        again = [path for _, path, _ in server.asked[before:]]
    assert not any("$export" in path or path == "/files/Patient" for path in again)
    assert (tmp_path / "manifest.json").exists()


def test_a_file_that_breaks_off_is_fetched_again_and_never_left_in_part(
    resources: dict[str, list[Json]], tmp_path: Path
) -> None:
    with BulkServer(resources, KEY) as server:
        server.answers["/files/Patient"] = [(200, {"Content-Length": "9000"}, b'{"resourceType":')]
        _, watched = export(server, tmp_path)
    assert watched.files["Patient.00000.ndjson"] == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_file_with_fewer_lines_than_announced_is_refused(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        server.answers["/files/Patient"] = [(200, {}, b"")]
        with pytest.raises(BulkError, match="has 0 lines where the manifest says 1"):
            export(server, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_the_token_goes_to_no_host_that_was_not_named(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer({"Patient": resources["Patient"]}) as store, BulkServer(resources, KEY) as server:
        server.manifest["output"] = [{"type": "Patient", "url": f"{store.origin}/files/Patient"}]
        with pytest.raises(BulkError, match="--file-host"):
            export(server, tmp_path / "a")
        assert store.asked == []
        server.manifest["requiresAccessToken"] = False
        export(server, tmp_path / "b")
        server.manifest["requiresAccessToken"] = True
        server.answers["/files/Patient"] = [(307, {"Location": f"{store.origin}/files/Patient"}, b"")]
        server.manifest["output"] = [{"type": "Patient", "url": f"{server.origin}/files/Patient"}]
        export(server, tmp_path / "c")
    assert len(store.asked) == 2
    assert all("authorization" not in headers for _, _, headers in store.asked)


def test_a_manifest_in_pages_is_read_to_its_end(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        entries = [{"type": kind, "url": f"{server.origin}/files/{kind}"} for kind in resources]
        server.manifest |= {"output": entries[:1], "link": [{"relation": "next", "url": f"{server.origin}/page2"}]}
        server.answers["/page2"] = [(200, {}, json.dumps({"output": entries[1:]}).encode())]
        _, watched = export(server, tmp_path)
    assert len(watched.files) == len(resources)


def test_no_name_of_the_servers_leads_out_of_the_folder(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        server.manifest["output"] = [{"type": "../../canary", "url": f"{server.origin}/files/Patient"}]
        server.manifest["error"] = [{"type": "OperationOutcome", "url": f"{server.origin}/files/Condition"}]
        export(server, tmp_path / "in")
    assert {path.name for path in (tmp_path / "in").iterdir()} == {
        "other.00000.ndjson",
        "errors.00000.ndjson",
        "manifest.json",
    }


def _outcome(code: str) -> bytes:
    return json.dumps({"issue": [{"code": code, "diagnostics": "canary"}]}).encode()


TROUBLE: list[tuple[str, Answer, str]] = [
    ("/fhir/Group/7/$export", (200, {}, b"{}"), "was not accepted \\(200\\)"),
    ("/status/1", (500, {}, _outcome("exception")), "failed on the server \\(500, exc"),
    ("/status/1", (404, {}, b""), "has forgotten the export"),
    ("/status/1", (200, {}, b"[]"), "manifest cannot be read"),
    ("/token", (401, {}, b'{"error_description":"canary"}'), "the token endpoint answered 401"),
    ("/token", (200, {}, b"canary"), "without an access token"),
    ("/fhir/.well-known/smart-configuration", (404, {}, b""), "give --token-url"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "answer", "message"), TROUBLE)
def test_trouble_is_told_in_our_words(
    path: str, answer: Answer, message: str, resources: dict[str, list[Json]], tmp_path: Path
) -> None:
    with BulkServer(resources, KEY) as server:
        server.answers[path] = [answer]
        with pytest.raises(BulkError, match=message) as error:
            export(server, tmp_path)
    assert "canary" not in str(error.value)


def test_trouble_that_may_be_over_soon_is_waited_out(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    transient = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"transient"}]}'
    with BulkServer(resources, KEY) as server:
        server.answers["/fhir/Group/7/$export"] = [(503, {"Retry-After": "5"}, b""), (429, {}, b"")]
        server.answers["/status/1"] = [(500, {}, transient)]
        server.answers["/files/Patient"] = [(503, {}, b"")]
        _, watched = export(server, tmp_path)
    assert 5 in watched.slept
    assert len(watched.slept) == 4


def test_nobody_waits_for_ever(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        server.answers["/status/1"] = [(202, {"Retry-After": "50"}, b"")] * 4
        with pytest.raises(BulkError, match="not ready in time"):
            export(server, tmp_path, patience=120)
        export(server, tmp_path, patience=120)


def test_a_folder_is_not_used_for_two_exports(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    with BulkServer(resources, KEY) as server:
        server.answers["/status/1"] = [(500, {}, b"")]
        with pytest.raises(BulkError):
            export(server, tmp_path)
        with pytest.raises(BulkError, match="unfinished export of something else"):
            export(server, tmp_path, wanted=Wanted(server.base, group="8"))
        export(server, tmp_path)
        with pytest.raises(BulkError, match="holds a finished export"):
            export(server, tmp_path)


def test_an_instant_with_an_offset_reaches_the_server_as_it_was_given() -> None:
    assert Wanted("https://a.example/fhir", since="2026-11-01T00:00:00+02:00").url.endswith(
        "_since=2026-11-01T00:00:00%2B02:00"
    )


def test_the_command_fetches_an_export(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps(KEY.as_dict(private=True)))
    with BulkServer(resources, KEY) as server:
        arguments = [
            server.base,
            "--out",
            str(tmp_path / "out"),
            "--client-id",
            CLIENT,
            "--key",
            str(tmp_path / "key.json"),
        ]
        result = CliRunner().invoke(cli, ["export-bulk", *arguments, "--allow-http"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "manifest.json").exists()


UNUSABLE = [
    (["http://a.example/fhir"], "--allow-http is for a test server"),
    (["canary"], "BASE: is the address of a FHIR server"),
    (["https://a.example/fhir", "--type", "Canary"], "--type: Canary is not read here; there are "),
    (["https://a.example/fhir", "--client-id", "x"], "--key: is needed with --client-id"),
    (["https://a.example/fhir", "--client-id", "x", "--key", "none"], "--key: cannot be read"),
    (["https://a.example/fhir", "--ca-file", "none"], "--ca-file: cannot be read"),
]


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE)
def test_an_argument_that_is_not_usable_is_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["export-bulk", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"canary", "is not one private key"),
        (b'{"keys":[]}', "is not one private key"),
        (json.dumps(KEY.as_dict(private=False)).encode(), "must be a private"),
        (json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=True)).encode(), "on the curve P-384"),
    ],
)
def test_a_key_that_cannot_sign_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(BulkError, match=message):
        read_key(tmp_path / "key")


REFUSED = b'{"issue": [{"code": "processing", "diagnostics": "Resource types [Medication] are invalid for this type"}]}'


class WithoutMedication(BulkServer):
    """Refuses Medication in an export of patients, as HAPI FHIR does; `is_whole` : exports the whole server instead."""

    is_whole = True

    def _usual(self, call: Any, path: str, body: bytes) -> Answer:
        if path in ("/fhir/Patient/$export", "/fhir/Group/7/$export"):
            types = call.path.partition("_type=")[2].partition("&")[0].split(",")
            if "Medication" in types:
                return 400, {}, REFUSED
        if path == "/fhir/$export":
            assert "_type=Medication" in call.path
            return (202, {"Content-Location": f"{self.origin}/status/2"}, b"") if self.is_whole else (400, {}, b"{}")
        if path == "/status/2":
            output = [{"type": "Medication", "url": f"{self.origin}/files/Medication", "count": 1}]
            return 200, {}, json.dumps({"output": output, "requiresAccessToken": self.key is not None}).encode()
        if path.startswith("/fhir/Medication/"):
            found = {each["id"]: each for each in self.resources["Medication"]}.get(path.rpartition("/")[2])
            return (200, {}, json.dumps(found).encode()) if found else (404, {}, b"")
        return super()._usual(call, path, body)

    def _manifest(self) -> Json:
        whole = super()._manifest()
        return whole | {"output": [each for each in whole["output"] if each["type"] != "Medication"]}


def with_drugs(resources: dict[str, list[Json]], base: str = "") -> dict[str, list[Json]]:
    uses: list[Json] = [
        {"resourceType": "MedicationRequest", "id": name, "medicationReference": {"reference": reference}}
        for name, reference in (("a", "Medication/rtx"), ("b", f"{base}Medication/rtx"), ("c", "Medication/gone"))
    ]
    uses.append({"resourceType": "MedicationRequest", "id": "d", "medicationReference": {"reference": "../Patient/1"}})
    return resources | {"MedicationRequest": uses, "Medication": [{"resourceType": "Medication", "id": "rtx"}]}


@pytest.mark.parametrize("group", [None, "7"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_medications_that_a_patient_export_refuses_are_had_another_way(
    resources: dict[str, list[Json]], tmp_path: Path, group: str | None, is_whole: bool
) -> None:
    with WithoutMedication(with_drugs(resources)) as server:
        server.is_whole = is_whole
        manifest, watched = export(server, tmp_path / "out", wanted=Wanted(server.base, group=group))
        assert manifest["request"] == Wanted(server.base, group=group).url
    assert watched.files["Medication.00000.ndjson" if not is_whole else _only_medications(watched)] == 1
    medications = [
        line for path in (tmp_path / "out").glob("Medication.*.ndjson") for line in path.read_bytes().split()
    ]
    assert b"rtx" in b"".join(medications)
    assert {entry["type"] for entry in manifest["output"]} >= {"Medication", "MedicationRequest", "Condition"}
    assert not list((tmp_path / "out").glob("*.part"))
    assert not (tmp_path / "out" / "export.json").exists()


def _only_medications(watched: Watched) -> str:
    (name,) = [name for name in watched.files if name.startswith("Medication.")]
    return name


def test_an_export_that_was_stopped_between_its_two_parts_goes_on(
    resources: dict[str, list[Json]], tmp_path: Path
) -> None:
    with WithoutMedication(with_drugs(resources)) as server:
        server.answers["/status/2"] = [(500, {}, _outcome("exception"))]
        with pytest.raises(BulkError, match="failed on the server"):
            export(server, tmp_path / "out", wanted=Wanted(server.base))
        asked = len(server.paths())
        manifest, _ = export(server, tmp_path / "out", wanted=Wanted(server.base))
        assert not any("$export" in path for path in server.paths()[asked:])
    assert "Medication" in {entry["type"] for entry in manifest["output"]}


def test_a_refused_kick_off_shows_the_servers_own_words(resources: dict[str, list[Json]], tmp_path: Path) -> None:
    said = json.dumps(
        {"issue": [{"code": "processing", "diagnostics": "No\u0007 export\n today" + "x" * 900}]}
    ).encode()
    with BulkServer(resources) as server:
        server.answers["/fhir/Patient/$export"] = [(400, {}, said)] * 2
        with pytest.raises(BulkError, match=r"400, processing.*No export today") as error:
            export(server, tmp_path / "out", wanted=Wanted(server.base))
    assert len(str(error.value)) < 500
