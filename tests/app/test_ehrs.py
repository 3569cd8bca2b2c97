"""The file of trusted EHRs, and which addresses count as theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.addresses import is_under
from app.ehrs import Ehr, EhrsError, demo_ehr, load_ehrs

ENTRY = """
[[ehr]]
name = "st-example"
issuer = "https://ehr.example/oauth2"
jwks_url = "https://ehr.example/jwks.json"
fhir_servers = ["https://fhir.good.example/fhir/r4"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "ehrs.toml"
    path.write_text(text)
    return path


def loaded(folder: Path, text: str) -> Ehr:
    return load_ehrs(written(folder, text))[0]


def problem(folder: Path, text: str) -> str:
    with pytest.raises(EhrsError) as caught:
        load_ehrs(written(folder, text))
    return str(caught.value)


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    ehr = loaded(tmp_path, ENTRY)
    assert ehr.algorithms == ("ES384", "RS384")
    assert (ehr.replay_guard, ehr.max_token_lifetime, ehr.match_extension) == (True, 900, False)
    assert (ehr.allow_http, ehr.private_network, ehr.smart, ehr.timezone) == (False, False, None, "")


def test_every_key_of_the_contract_is_known(tmp_path: Path) -> None:
    ehr = loaded(
        tmp_path,
        ENTRY
        + """
algorithms = ["RS384"]
audiences = ["cards"]
tenants = ["a"]
subject = "client"
services = ["trial-match-patient-view"]
cors_origins = ["https://ehr.example"]
replay_guard = false
max_token_lifetime = 300
allow_http = true
private_network = true
match_extension = true
timezone = "Europe/Berlin"
language = "de"
[ehr.prefetch_aliases]
pat = "patient"
[ehr.smart]
client_id = "x"
""",
    )
    assert ehr.prefetch_aliases == {"pat": "patient"}
    assert ehr.smart is not None
    assert ehr.language == "de"


PROBLEMS = [
    (ENTRY + "canary = 1", 'ehr.0.canary ("st-example"): is not a known key'),
    (ENTRY.replace("issuer", "isuer"), 'ehr.0.issuer ("st-example"): is required'),
    (ENTRY.replace("issuer", "isuer"), 'ehr.0.isuer ("st-example"): is not a known key; did you mean issuer?'),
    (ENTRY.replace("jwks_url", "jwks"), "is not a known key; did you mean jwks_url or jwks_file?"),
    (
        ENTRY + "[ehr.smart]\nclient = 'x'",
        'ehr.0.smart.client ("st-example"): is not a known key; did you mean client_id',
    ),
    ("ehr = []", "ehr: has no entry; write [[ehr]]"),
    ("[[ehrs]]", "ehrs: is not a known key; did you mean ehr?"),
    (ENTRY + 'algorithms = ["HS256"]', 'ehr.0.algorithms.0 ("st-example"): '),
    (ENTRY + 'algorithms = ["none"]', 'ehr.0.algorithms.0 ("st-example"): '),
    (ENTRY + 'timezone = "Canary/Land"', 'ehr.0.timezone ("st-example"): is not a time zone'),
    (
        ENTRY + 'language = "zh-hans"',
        'ehr.0.language ("st-example"): is not a language that there is; did you mean zh-Hans?',
    ),
    (ENTRY + 'cors_origins = ["https://a.example/x"]', 'ehr.0.cors_origins ("st-example"): holds origins'),
    (ENTRY + 'jwks_file = "keys.json"', "has exactly one of jwks_url and jwks_file"),
    (ENTRY.replace("https://fhir", "http://fhir"), "fhir_servers: an address starts with https://"),
    (ENTRY.replace("https://ehr.example/jwks", "http://ehr.example/jwks"), "jwks_url: an address starts with https://"),
    (ENTRY + ENTRY, "ehr.1.name: stands twice"),
    (ENTRY + ENTRY.replace("st-example", "b"), "ehr.1.issuer: stands twice"),
    ("[[ehr]\n", "is not readable TOML"),
    ("", "ehr: is required"),
]


@pytest.mark.parametrize(("text", "message"), PROBLEMS)
def test_a_file_that_is_not_usable_is_named_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    said = problem(tmp_path, text)
    assert message in said
    assert "ehrs.toml" in said
    assert "Canary/Land" not in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EhrsError, match=r"none\.toml: cannot be read"):
        load_ehrs(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "is not a JSON Web Key Set")]
)
def test_a_key_file_that_is_not_usable_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "keys.json").write_text(content)
    text = ENTRY.replace('jwks_url = "https://ehr.example/jwks.json"', 'jwks_file = "keys.json"')
    assert f"ehr.0.jwks_file: {message}" in problem(tmp_path, text)


def test_entries_may_share_an_issuer_when_their_tenants_differ(tmp_path: Path) -> None:
    second = ENTRY.replace("st-example", "b")
    ehrs = load_ehrs(written(tmp_path, ENTRY + 'tenants = ["a"]\n' + second + 'tenants = ["b"]\n'))
    assert [ehr.name for ehr in ehrs] == ["st-example", "b"]


GOOD = ["https://fhir.good.example/fhir/r4", "https://FHIR.good.example:443/fhir/r4/"]
BAD = [
    "https://fhir.good.example@evil.example/fhir/r4",
    "https://fhir.good.example.evil.example/fhir/r4",
    "https://fhir.good.example:8443/fhir/r4",
    "https://fhir.good.example/fhir/r4/../admin",
    "https://fhir.good.example/fhir/%2e%2e/fhir/r4",
    "https:\\\\fhir.good.example\\fhir\\r4",
    "https://fhir.good.example/fhir/r4?x=1",
    "https://fhir.good.example/fhir/r4#x",
    "https://fhir.good.example/fhir",
    "http://fhir.good.example/fhir/r4",
    "httpsx://fhir.good.example/fhir/r4",
    "file:///etc/passwd",
    "https://fhir.gооd.example/fhir/r4",
    "https://fhir.good.example/fhir/r4\r\nX: y",
    "//fhir.good.example/fhir/r4",
    "",
]


@pytest.mark.parametrize("address", GOOD)
def test_a_configured_server_is_known_in_its_spellings(tmp_path: Path, address: str) -> None:
    assert loaded(tmp_path, ENTRY).trusted_base(address) == "https://fhir.good.example/fhir/r4"


@pytest.mark.parametrize("address", BAD)
def test_any_other_address_is_not_trusted(tmp_path: Path, address: str) -> None:
    assert loaded(tmp_path, ENTRY).trusted_base(address) is None


@pytest.mark.parametrize(
    "address",
    ["http://2130706433/fhir", "http://0/fhir", "http://0x7f.1/fhir", "http://169.254.169.254/", "http://10.0.0.1"],
)
def test_the_demo_trusts_only_plain_names_of_this_machine(address: str) -> None:
    assert demo_ehr(None, "UTC").trusted_base(address) is None
    assert demo_ehr(None, "UTC").trusted_base("http://127.0.0.1:9/fhir/") == "http://127.0.0.1:9/fhir"


def test_a_next_link_lies_under_its_base_or_is_not_followed() -> None:
    base = "https://a.example/fhir"
    assert is_under("https://a.example/fhir?page=2", base)
    assert is_under("https://a.example:443/fhir/Observation?patient=1&_count=2", base)
    for other in (
        "https://b.example/fhir?x",
        "http://a.example/fhir?x",
        "https://a.example/fhirx?x",
        "/fhir",
        "?page=2",
    ):
        assert not is_under(other, base)


def test_an_entry_with_a_problem_is_named_once(tmp_path: Path) -> None:
    assert problem(tmp_path, ENTRY.replace("jwks_url", "jwks")).count("\n") == 0
