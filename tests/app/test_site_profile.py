"""The site's own profile: what it changes, and how a wrong one is named at start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.definitions.served import Definitions
from app.site_profile import SiteProfile, SiteProfileError, load_profile
from app.web.examples import WHOLE_CHART, hook_call
from tests.app.conftest import demo_settings, services_with, serving
from trial_defs.definition import expressions as x

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "site.example.toml"
LUPUS = "NCT06711146"
OFFICE = """
[contact]
name = "Trials office"
phone = "+00 0 000 000"
performer = "Organization/office"
"""
OFFERED = (
    OFFICE
    + f"""
[[trial]]
id = "{LUPUS}"
recruiting = "closed"
contact = {{ name = "Lupus study" }}
"""
)


def profile(folder: Path, text: str) -> SiteProfile:
    path = folder / "site.toml"
    path.write_text(text, "utf-8")
    return load_profile(path)


def problem(folder: Path, text: str) -> str:
    """What is wrong with a profile, as a start says it."""
    with pytest.raises(SiteProfileError) as caught:
        Definitions(profile=profile(folder, text)).read()
    return str(caught.value).replace(f"{folder}/site.toml: ", "")


def test_the_example_is_usable() -> None:
    found = load_profile(EXAMPLE)
    assert Definitions(profile=found).read().offers == frozenset({LUPUS})
    assert found.contact_for(LUPUS) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nmae = 'x'", "nmae: is not a known key; did you mean name?"),
        ("[contact]\nphone = '1'", "contact.name: "),
        ("[contact]\nname = 'x'\nurl = 'ftp://x'", "contact.url: is an address that starts with https://"),
        ("[contact]\nname = 'x'\nperformer = 'Patient/1'", "contact.performer: is a reference like Organization/1"),
        ('[contact]\nname = "a\\u0007b"', "contact.name: is one line of text"),
        ("[webhook]\nurl = 'http://x.example'", "webhook.url: is an address that starts with https://"),
        ("[defaults]\npregnancy_asked_until = 5", "defaults.pregnancy_asked_until: "),
        ("[[trial]]\nid = 'NCT06711164'", f"NCT06711164 is not a trial that is served; did you mean {LUPUS}?"),
        (f"[[trial]]\nid = '{LUPUS}'\nrecruiting = 'open'", "trial.0.recruiting: is one of"),
        (f"[[trial]]\nid = '{LUPUS}'\n[[trial]]\nid = '{LUPUS}'", f"trial.1.id: {LUPUS} is in trial.0 too"),
        (f"[[trial]]\nid = '{LUPUS}'\ntolerance = {{ platlets = '5' }}", "tolerance.platlets: platlets is not"),
        (f"[[trial]]\nid = '{LUPUS}'\ntolerance = {{ platelets = '5 mg/dL' }}", "trial.0.tolerance.platelets: "),
        ("[[order]]\nconcept = 'lvfe'\ncode = {system='urn:x', code='1'}", "lvfe is not a concept"),
        ("[[order]]\nconcept = 'epilepsy'\ncode = {system='urn:x', code='1'}", "is not a test that is ordered"),
        ("[[order]]\nconcept = 'lvef'\ncode = {system='x', code='1'}", "order.0.code.system: is the address"),
        ("= nothing", "is not readable TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteProfileError, match=r"nowhere\.toml: cannot be read"):
        load_profile(tmp_path / "nowhere.toml")


def test_a_wrong_profile_stops_a_command_and_the_service(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("[[trial]]\nid = 'NONE'\n")
    shown = CliRunner().invoke(cli, ["match", str(EXAMPLE), "--site", str(path)])
    assert shown.exit_code == 2
    assert "trial.0.id: NONE is not a trial that is served" in shown.stderr
    with pytest.raises(SiteProfileError, match="NONE"):
        services_with(demo_settings(tmp_path, site=path)).definitions.read()


async def cards(tmp_path: Path, text: str) -> list[Any]:
    definitions = Definitions(profile=profile(tmp_path, text))
    definitions.read()
    async with serving(services_with(demo_settings(tmp_path, max_cards=9), definitions)) as client:
        answer = await client.post("/cds-services/trial-match-patient-view", json=hook_call("patient-view"))
    found: list[Any] = answer.json()["cards"]
    return found


async def test_a_card_says_whom_to_call_and_the_referral_goes_there(tmp_path: Path) -> None:
    (card, *_) = await cards(tmp_path, OFFICE)
    assert "**Call:** Trials office, +00 0 000 000." in card["detail"]
    referral = card["suggestions"][0]["actions"][0]["resource"]
    assert referral["performer"] == [{"reference": "Organization/office"}]


async def test_only_the_trials_that_are_listed_are_offered(tmp_path: Path) -> None:
    topics = {card["source"]["topic"]["code"] for card in await cards(tmp_path, "")}
    assert len(topics) > 1
    assert LUPUS in topics
    listed = {c["source"]["topic"]["code"] for c in await cards(tmp_path, f"[[trial]]\nid = '{LUPUS}'")}
    assert listed == {LUPUS}


async def test_a_trial_that_is_closed_here_has_no_card_and_is_still_answered_for(tmp_path: Path) -> None:
    assert await cards(tmp_path, OFFERED) == []
    definitions = Definitions(profile=profile(tmp_path, OFFERED))
    definitions.read()
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        report = (await client.post("/api/v1/match?asOf=2026-11-01", json=WHOLE_CHART)).json()
    verdicts = {trial["trial"]: trial["verdict"] for trial in report["trials"]}
    assert verdicts[LUPUS] == "closed"
    assert len(verdicts) == 5


def test_a_status_of_the_site_takes_the_place_of_the_registrys_and_of_its_end(tmp_path: Path) -> None:
    found = Definitions(profile=profile(tmp_path, "[[trial]]\nid = 'CNCT19-AID'\nrecruiting = 'recruiting'")).read()
    trial = found.trials["CNCT19-AID"]
    assert (trial.status, trial.overdue_after) == ("recruiting", None)
    as_registered = Definitions().read().trials["CNCT19-AID"]
    assert as_registered.overdue_after is not None
    assert trial.hash == as_registered.hash


def test_the_profile_is_part_of_what_a_report_names(tmp_path: Path) -> None:
    plain = Definitions().read().catalogue.hash
    rules = f"[[trial]]\nid = '{LUPUS}'\ntolerance = {{ platelets = '5 10*9/L' }}"
    assert Definitions(profile=profile(tmp_path, rules)).read().catalogue.hash != plain
    assert Definitions(profile=profile(tmp_path, OFFICE)).read().catalogue.hash == plain


def test_a_tolerance_of_the_site_makes_the_near_miss(tmp_path: Path) -> None:
    rules = f"[[trial]]\nid = '{LUPUS}'\ntolerance = {{ platelets = '5 10*9/L' }}"
    trial = Definitions(profile=profile(tmp_path, rules)).read().trials[LUPUS]
    leaves = [leaf for c in trial.cohorts[0].criteria for leaf in x.leaves_of(c.asks)]
    platelets = [leaf for leaf in leaves if isinstance(leaf, x.Value) and leaf.concept == "platelets"]
    assert {(str(leaf.tolerance), leaf.tolerance_percent) for leaf in platelets} == {("5", None)}


def test_the_age_of_pregnancy_and_the_codes_of_orders_are_the_sites(tmp_path: Path) -> None:
    text = """
[defaults]
pregnancy_asked_until = 52
[[order]]
concept = "lvef"
code = { system = "urn:oid:1.2.3", code = "ECHO", display = "Echo" }
"""
    known = Definitions(profile=profile(tmp_path, text)).read().catalogue.concepts
    assert known["pregnancy"].asked_until == 52
    assert known["lvef"].order is not None
    assert known["lvef"].order.local is not None
    assert known["lvef"].order.local.code == "ECHO"
