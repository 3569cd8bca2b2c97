"""`trialcards token` and `trialcards serve --check`: what anybody who connects an EHR asks first."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from tests.hospital import BASE, VIEW, settings_of, signed
from tests.server import environment, free_port


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    return environment(**settings_of(tmp_path, f"sqlite:///{tmp_path}/records.db"))


def explained(given: dict[str, str], token: str, *options: str) -> Result:
    return CliRunner().invoke(cli, ["token", "-", *options], input=token, env=given)


def test_a_good_token_would_be_accepted(given: dict[str, str]) -> None:
    result = explained(given, f"Bearer {signed(VIEW)}\n")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "The token would be accepted.")
    assert f"  aud     {BASE}{VIEW}" in result.output


@pytest.mark.parametrize(
    ("token", "options", "message"),
    [
        (
            signed("/x"),
            (),
            f"refused: aud is not the address that is called; accepted: {BASE}/api/",
        ),
        (signed(VIEW), ("--url", f"{BASE}/api/v1/match"), f"that is called; accepted: {BASE}/api/v1/match\n"),
        (
            signed(iss="https://other.example"),
            (),
            "refused: iss (or tenant) is that of no entry, to the letter; ",
        ),
        (signed(jti=None), (), "refused: jti is missing or not a string"),
        (signed(), ("--at", "2020-01-01T00:00:00Z"), "refused: the call is not between iat and exp"),
        (signed()[:-8] + "AAAAAAAA", (), "refused: the signature does not fit the key with this kid"),
        ("hello", (), "-: this is not a signed token"),
    ],
)
def test_what_speaks_against_a_token_is_named(
    given: dict[str, str], token: str, options: tuple[str, ...], message: str
) -> None:
    result = explained(given, token, *options)
    assert result.exit_code == 1
    assert message in result.output


def test_everything_that_is_wrong_is_named_at_once_and_no_patient(given: dict[str, str]) -> None:
    token = signed("/x", jti=None, exp=None, fhirUser="Practitioner/canary", patient="canary")
    result = explained(given, token)
    assert result.output.count("refused: ") == 3
    assert "canary" not in result.output


def test_what_a_token_says_cannot_drive_the_terminal(given: dict[str, str]) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202eevil\nrefused: nothing\r"
    shown = explained(given, signed(VIEW, iss=hostile, sub=[hostile, {hostile: 1}], jti="j" * 5000)).output
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\\u001b]0;owned\\u0007" in shown
    assert "\nrefused: nothing" not in shown
    assert "j" * 200 + "… (5000 characters)" in shown
    assert "j" * 201 not in shown


def test_a_file_that_is_not_there_and_an_instant_that_is_none_are_named(given: dict[str, str]) -> None:
    result = CliRunner().invoke(cli, ["token", "none.jwt"], env=given)
    assert (result.exit_code, result.output) == (2, "none.jwt: there is no such file\n")
    assert explained(given, signed(), "--at", "yesterday").output.endswith("like 2026-11-01T08:00:00Z\n")


# -- serve --check


def checked(given: dict[str, str]) -> Result:
    return CliRunner().invoke(cli, ["serve", "--check"], env=given)


def test_a_service_that_is_complete_passes_its_check(given: dict[str, str], tmp_path: Path) -> None:
    result = checked(given)
    assert result.exit_code == 0, result.output
    assert [line.split("(")[0].strip() for line in result.output.splitlines()] == [
        "ok      settings and EHRs", "ok      definitions", "ok      database", "ok      keys of st",
    ]  # fmt: skip


def test_what_does_not_answer_fails_the_check(given: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    nowhere = f"http://127.0.0.1:{port}"
    (tmp_path / "ehrs.toml").write_text(
        f'[[ehr]]\nname = "st"\nissuer = "i"\njwks_url = "{nowhere}/jwks.json"\nfhir_servers = ["{nowhere}/fhir"]\n'
        "allow_http = true\nprivate_network = true\n"
    )
    result = checked(
        given
        | {
            "TRIALCARDS_DATABASE_URL": f"postgresql://u:canary@127.0.0.1:{port}/d",
            "TRIALCARDS_OIDC_ISSUER": f"{nowhere}/realm",
            "TRIALCARDS_OIDC_CLIENT_ID": "c",
            "TRIALCARDS_OIDC_GROUPS": "g",
            "TRIALCARDS_OIDC_PRIVATE_NETWORK": "true",
        }
    )
    assert result.exit_code == 1
    failed = [line for line in result.output.splitlines() if line.startswith("FAILED")]
    assert [line.split(":")[0] for line in failed] == [
        "FAILED  database (postgresql)", "FAILED  keys of st", "FAILED  FHIR server of st", "FAILED  login",
    ]  # fmt: skip
    assert f"port {port}" in failed[0]
    assert f"{nowhere}/fhir/metadata does not answer" in failed[2]
    assert "canary" not in result.output
