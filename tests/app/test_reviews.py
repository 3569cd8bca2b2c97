"""The review of a definition on the service's pages: corrected part by part, signed, and taken out as a file."""

from __future__ import annotations

import asyncio
import html
import os
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.definitions.reviews import Review, Reviews, Stale, edit_write, signature_write
from app.definitions.served import Definitions
from app.login.people import DEMO_COORDINATOR
from app.people import Person
from app.storage.audit import Question
from app.storage.records import Records
from app.wiring import Services
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.authorization_server import AuthorizationServer
from tests.hospital import BASE, OPERATOR, bearer
from tests.registry_drafts import TRIAL, imported
from tests.support.login import CLIENT, GROUP, SIGNERS, log_in, oidc
from tests.support.protocol import production_settings
from trial_defs.definition.loader import hash_of

PAGE = f"/definitions/{TRIAL}"
OURS = {"sec-fetch-site": "same-origin"}
PLATELETS = "I2.platelets"


@pytest.fixture(scope="module")
def packed() -> Catalogue:
    return load_catalogue((OUR_CONCEPTS, *pack_folders(None)))


@pytest.fixture
def folder(tmp_path: Path, packed: Catalogue) -> Path:
    imported(tmp_path / "trials", packed)
    return tmp_path / "trials"


@pytest.fixture
def site(tmp_path: Path, folder: Path) -> Services:
    settings = demo_settings(tmp_path, trials=folder)
    return services_with(settings, Definitions(None, folder))


@pytest.fixture
async def client(site: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(site) as client:
        yield client


def was(page: str, part: str) -> str:
    """What the page's form says of a part as it is shown."""
    found = re.search(rf'name="part" value="{re.escape(part)}"><input type="hidden" name="was" value="([^"]+)"', page)
    assert found, (part, page[:300])
    return found[1]


def article(page: str, part: str) -> str:
    return page.split(f'id="part-{part}"')[1].split("</article>")[0]


async def act(client: httpx.AsyncClient, part: str, does: str, **more: str) -> httpx.Response:
    """Open the page and send the form of one part."""
    page = (await client.get(PAGE)).text
    form = {"part": part, "was": was(page, part), "act": does} | more
    return await client.post(f"{PAGE}/parts", data=form, headers=OURS)


async def exported(client: httpx.AsyncClient) -> str:
    answer = await client.get(f"{PAGE}/definition.yaml")
    assert answer.headers["content-disposition"] == f'attachment; filename="{TRIAL}.yaml"'
    return answer.text


async def sign_every_part(client: httpx.AsyncClient) -> str:
    """Accept part after part, as the page leads; the page afterwards."""
    for _ in range(20):
        page = (await client.get(PAGE)).text
        left = [
            part for part in re.findall(r'data-part="([^"]+)" tabindex', page) if "Signed by" not in article(page, part)
        ]
        if not left:
            return page
        assert (await act(client, left[0], "accept")).status_code == 303
    raise AssertionError("parts are left")


# -- what is shown


async def test_a_draft_is_listed_and_shown_beside_its_text(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/definitions")).text
    assert f'<a href="{PAGE}">{TRIAL}</a>, 1 of its parts ask something' in listed
    page = (await client.get(PAGE)).text
    assert f'<a href="#part-{PLATELETS}" data-parts="{PLATELETS}">Platelets at least 75 x 10^9/L</a>' in page
    assert "74 × 10⁹/L → <b>not met</b>" in article(page, PLATELETS)
    assert "no result → <b>unknown</b>" in article(page, PLATELETS)
    parts = re.findall(r'data-part="([^"]+)" tabindex', page)
    assert parts[:2] == ["gate:main", "I3.alt"]  # the gate, and what asks
    in_order = re.findall(r'data-part="([^"]+)" tabindex', (await client.get(f"{PAGE}?order=text")).text)
    assert in_order[1:4] == ["I1.systemic-lupus-erythematosus", PLATELETS, "I3.hemoglobin"]


async def test_a_served_definition_is_reviewed_too_and_the_text_that_is_not_there_is_named(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/definitions/NCT06711146")).text
    assert "is not beside its file" in page
    assert 'data-part="gate:sle"' in page
    assert (await client.get("/definitions/NOTHING")).status_code == 404


async def test_what_is_written_is_checked_as_it_would_be_saved(client: httpx.AsyncClient) -> None:
    good = "id: A.b\nsource: here\ntext: Platelets\ninclude: {value: {of: platelets, is: '>= 50 10*9/L'}}"
    said = (await client.post(f"{PAGE}/check", data={"part": PLATELETS, "text": good}, headers=OURS)).json()
    assert said["problems"] == []
    assert said["cases"] == ["Platelets: 49 × 10⁹/L → not met, 50 × 10⁹/L → met, no result → unknown"]
    for text, problem in (
        (good.replace("platelets,", "platelet,"), '"platelet" is not a concept'),
        (good.replace("include", "inclde"), "inclde: is not a word of this language; did you mean"),
        (good.replace("50 10*9/L", "50"), "is not a limit"),
        (good.replace("id:", "id"), "is not readable YAML"),
        ("", "The criterion is empty"),
        ("- just words", "A list of criteria"),
    ):
        said = (await client.post(f"{PAGE}/check", data={"part": PLATELETS, "text": text}, headers=OURS)).json()
        assert problem in said["problems"][0]


# -- corrections


async def test_a_correction_changes_its_lines_and_keeps_every_comment(client: httpx.AsyncClient, folder: Path) -> None:
    before = (folder / f"{TRIAL}.yaml").read_text("utf-8")
    page = (await client.get(PAGE)).text
    written = html.unescape(
        article(page, PLATELETS).split('spellcheck="false" autocapitalize="off">')[1].split("</textarea>")[0]
    )
    answer = await act(client, PLATELETS, "correct", text=written.replace("75 10*9/L'", "100 10*9/L'  # protocol 4.1"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#part-{PLATELETS}")
    after = await exported(client)
    assert after == before.replace("is: '>= 75 10*9/L'", "is: '>= 100 10*9/L'  # protocol 4.1")
    assert "# a reviewer's own comment" in after
    assert (folder / f"{TRIAL}.yaml").read_text("utf-8") == before
    assert (
        "Corrected by Demo coordinator, 2026-11-01 12:00 UTC; not signed as it is now" in (await client.get(PAGE)).text
    )


async def test_what_is_wrong_is_not_saved_and_stays_in_the_box(client: httpx.AsyncClient, site: Services) -> None:
    answer = await act(client, PLATELETS, "correct", text="id: X\nsource: here\ntext: <b>&amp;\nexclude: {sex: any}")
    assert answer.status_code == 422
    assert "exclude.sex" in answer.text
    assert "text: &lt;b&gt;&amp;amp;" in article(answer.text, PLATELETS)
    assert await site.reviews.of(TRIAL) is None


async def test_a_criterion_is_left_to_a_person_split_and_joined(client: httpx.AsyncClient) -> None:
    await act(client, "E1.hypertension", "person")
    text = await exported(client)
    assert "judgement:\n      ask: 'Is this so: “Severe hypertension”?'\n      evidence:\n      - hypertension" in text
    one = "id: E2.epilepsy\nsource: Exclusion 2\ntext: E\nexclude:\n  # both\n  any:\n"
    one += "  - condition: {is: epilepsy}\n  - condition: {is: seizure}"
    await act(client, "E2.epilepsy", "correct", text=one)
    answer = await act(client, "E2.epilepsy", "split")
    assert answer.headers["location"] == f"{PAGE}#part-E2.epilepsy.1"
    text = await exported(client)
    assert "- id: E2.epilepsy.1\n  # both\n" in text
    assert "- id: E2.epilepsy.2\n  source: Exclusion 2\n  text: Seizure" in text
    await act(client, "E2.epilepsy.1", "join", other="E2.epilepsy.2", verb="any")
    text = await exported(client)
    assert "E2.epilepsy.2" not in text
    assert "any:\n    - condition:\n        is: epilepsy\n    - condition:\n        is: seizure" in text


async def test_a_criterion_is_taken_out_only_where_another_has_its_words(client: httpx.AsyncClient) -> None:
    page = (await client.get(PAGE)).text
    assert 'value="remove"' in article(page, "I3.text")
    assert 'value="remove"' not in article(page, PLATELETS)
    assert (await act(client, "I3.text", "remove")).status_code == 303
    assert "I3.text" not in await exported(client)
    refused = await act(client, PLATELETS, "remove")
    assert (refused.status_code, "Leave it to a person instead" in refused.text) == (422, True)


async def test_one_criterion_is_written_as_several(client: httpx.AsyncClient) -> None:
    two = "\n".join(
        f"- id: I4.{name}\n  source: Inclusion 4\n  text: {name}\n  include: {{sex: {name}}}"
        for name in ("female", "male")
    )
    assert (await act(client, "I4.text", "correct", text=two)).status_code == 303
    text = await exported(client)
    assert "- id: I4.female\n  source: Inclusion 4" in text
    assert "I4.text" not in text


@pytest.mark.parametrize(
    ("part", "does", "more", "said"),
    [
        (PLATELETS, "split", {}, "Only `all` of an inclusion and `any` of an exclusion can be split"),
        ("gate:main", "person", {}, "A gate asks the record"),
        ("gate:main", "split", {}, "can be split"),
        (PLATELETS, "join", {"other": "E3.hiv", "verb": "any"}, "Both criteria are in one list"),
        (PLATELETS, "join", {"other": PLATELETS, "verb": "any"}, "choose another one"),
        (PLATELETS, "join", {"other": "I3.alt", "verb": "none"}, "“any” or “all”"),
        (PLATELETS, "correct", {"text": "id: I3.alt\nsource: h\ntext: t\ninclude: {sex: male}"}, "stands here twice"),
        (PLATELETS, "correct", {"text": "- {source: h}\n- {id: B}"}, "id"),
        (PLATELETS, "sing", {}, "The form names no act"),
    ],
)
async def test_an_edit_that_cannot_be_made_says_why(
    part: str, does: str, more: dict[str, str], said: str, client: httpx.AsyncClient, site: Services
) -> None:
    answer = await act(client, part, does, **more)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert await site.reviews.of(TRIAL) is None


# -- two reviewers


async def test_a_stale_correction_names_who_changed_it_and_loses_neither(client: httpx.AsyncClient) -> None:
    page = (await client.get(PAGE)).text
    stale = {"part": PLATELETS, "was": was(page, PLATELETS), "act": "correct"}
    one = "id: I2.platelets\nsource: Inclusion 2\ntext: First\ninclude: {value: {of: platelets, is: '>= 80 10*9/L'}}"
    assert (await act(client, PLATELETS, "correct", text=one)).status_code == 303
    two = one.replace("First", "Second").replace("80", "90")
    refused = await client.post(f"{PAGE}/parts", data=stale | {"text": two}, headers=OURS)
    assert refused.status_code == 409
    assert "I2.platelets was changed meanwhile (corrected by Demo coordinator, 2026-11-01 12:00 UTC)" in refused.text
    shown = html.unescape(article(refused.text, PLATELETS))
    assert "text: Second" in shown
    assert "text: First" in shown
    assert "text: First" in await exported(client)


async def test_two_reviewers_of_different_parts_at_once_lose_nothing(site: Services) -> None:
    other = services_with(site.settings, Definitions(None, site.settings.trials))
    async with serving(site) as one, serving(other) as two:
        page = (await one.get(PAGE)).text
        parts = {
            name: {"part": name, "was": was(page, name), "act": "person"}
            for name in (PLATELETS, "E2.epilepsy", "E3.hiv", "I3.hemoglobin")
        }
        answers = await asyncio.gather(
            *(
                client.post(f"{PAGE}/parts", data=form, headers=OURS)
                for client, form in zip((one, two, one, two), parts.values(), strict=True)
            )
        )
        done = [name for name, answer in zip(parts, answers, strict=True) if answer.status_code == 303]
        assert {answer.status_code for answer in answers} <= {303, 409}
        assert len(done) >= 2
        text = await exported(one)
        for name in parts:
            own = text.split(f"id: {name}\n")[1].split("- id:")[0]
            assert ("judgement" in own) == (name in done), name


async def test_of_two_corrections_of_one_part_at_once_one_is_saved(site: Services) -> None:
    other = services_with(site.settings, Definitions(None, site.settings.trials))
    async with serving(site) as one, serving(other) as two:
        form = {"part": PLATELETS, "was": was((await one.get(PAGE)).text, PLATELETS), "act": "correct"}
        texts = [
            f"id: I2.platelets\nsource: h\ntext: T{n}\ninclude: {{value: {{of: platelets, is: '>= {n} 10*9/L'}}}}"
            for n in (80, 90)
        ]
        answers = await asyncio.gather(
            *(
                c.post(f"{PAGE}/parts", data=form | {"text": t}, headers=OURS)
                for c, t in zip((one, two), texts, strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [303, 409]


async def test_a_part_that_somebody_joined_away_is_said_to_be_gone(client: httpx.AsyncClient) -> None:
    page = (await client.get(PAGE)).text
    await act(client, PLATELETS, "join", other="I3.hemoglobin", verb="all")
    form = {"part": "I3.hemoglobin", "was": was(page, "I3.hemoglobin"), "act": "person"}
    refused = await client.post(f"{PAGE}/parts", data=form, headers=OURS)
    assert (refused.status_code, "not in the definition any more" in refused.text) == (409, True)


# -- signatures


async def test_signed_part_by_part_and_whole_it_leaves_as_a_file_that_is_served(
    client: httpx.AsyncClient, site: Services, folder: Path
) -> None:
    page = (await client.get(PAGE)).text
    assert "Sign the whole" not in page
    page = await sign_every_part(client)
    assert "Signed by Demo coordinator, 2026-11-01 12:00 UTC: read against the source" in article(page, PLATELETS)
    hidden = re.search(r'name="hash" value="(sha256:[0-9a-f]+)"', page)
    assert hidden
    assert (await client.post(f"{PAGE}/sign-off", data={"hash": "sha256:0"}, headers=OURS)).status_code == 409
    done = await client.post(f"{PAGE}/sign-off", data={"hash": hidden[1]}, headers=OURS)
    assert done.status_code == 303, done.text
    text = await exported(client)
    assert 'signed_off: {by: "Demo coordinator", on: 2026-11-01}' in text
    assert "# Signed I2.platelets by Demo coordinator, 2026-11-01T12:00Z: read against the source" in text
    assert "question:" not in text
    assert "# a reviewer's own comment" in text
    assert "Download it and put it into the folder" in (await client.get(PAGE)).text
    (folder / f"{TRIAL}.yaml").write_text(text, "utf-8")
    assert await site.definitions.reload_if_changed()
    assert site.definitions.now.trials[TRIAL].signed_off
    assert "The file holds exactly this, and it is served." in (await client.get(PAGE)).text
    entries = await site.audit.entries(Question())
    assert {(each.action, each.outcome, each.patient) for each in entries} >= {("review", "signed", "")}


async def test_a_signature_is_under_the_words_of_a_part_and_not_its_successor(client: httpx.AsyncClient) -> None:
    await act(client, PLATELETS, "accept")
    assert "Signed by" in article((await client.get(PAGE)).text, PLATELETS)
    changed = "id: I2.platelets\nsource: Inclusion 2\ntext: P\ninclude: {value: {of: platelets, is: '>= 80 10*9/L'}}"
    await act(client, PLATELETS, "correct", text=changed)
    assert "Signed by" not in article((await client.get(PAGE)).text, PLATELETS)
    await act(client, PLATELETS, "accept")
    commented = changed.replace("text: P", "text: P  # why")
    await act(client, PLATELETS, "correct", text=commented)
    assert "Signed by" in article((await client.get(PAGE)).text, PLATELETS)


async def test_a_change_after_the_whole_was_signed_takes_the_signature_off(
    client: httpx.AsyncClient, site: Services, folder: Path
) -> None:
    page = await sign_every_part(client)
    hidden = re.search(r'name="hash" value="(sha256:[0-9a-f]+)"', page)
    assert hidden
    await client.post(f"{PAGE}/sign-off", data={"hash": hidden[1]}, headers=OURS)
    (folder / f"{TRIAL}.yaml").write_text(await exported(client), "utf-8")
    await site.definitions.reload_if_changed()
    await act(client, PLATELETS, "person")
    text = await exported(client)
    assert "\nsigned_off" not in text
    assert "# Signed" not in text
    assert "version: 2\n" in text


async def test_a_gate_that_lets_everybody_in_is_not_signed(client: httpx.AsyncClient) -> None:
    await act(client, "gate:main", "correct", text="title: T\ngate: {judgement: {ask: Is it so?}}\nquestion: Which?")
    refused = await act(client, "gate:main", "accept")
    assert (refused.status_code, "lets every patient in" in refused.text) == (422, True)


async def test_what_lint_objects_to_is_not_signed(tmp_path: Path, packed: Catalogue) -> None:
    folder = tmp_path / "trials"
    imported(
        folder, packed, "Inclusion Criteria:\n\n* Systemic lupus erythematosus\n\nExclusion Criteria:\n\n* Epilepsy\n"
    )
    services = services_with(demo_settings(tmp_path, trials=folder), Definitions(None, folder))
    async with serving(services) as client:
        own = "id: E1.epilepsy\nsource: E\ntext: t\nexclude: {condition: {is: systemic-lupus-erythematosus}}"
        await act(client, "E1.epilepsy", "correct", text=own)
        page = await sign_every_part(client)
        assert "excludes exactly what" in page
        assert "Sign the whole" not in page
        review = await services.reviews.of(TRIAL)
        assert review
        refused = await client.post(f"{PAGE}/sign-off", data={"hash": hash_of(review.content.encode())}, headers=OURS)
        assert (refused.status_code, "excludes exactly what" in refused.text) == (422, True)


async def test_nothing_is_signed_whole_while_a_part_is_not(client: httpx.AsyncClient, folder: Path) -> None:
    form = {"hash": hash_of((folder / f"{TRIAL}.yaml").read_bytes())}
    refused = await client.post(f"{PAGE}/sign-off", data=form, headers=OURS)
    assert (refused.status_code, "10 parts are not signed yet" in refused.text) == (422, True)


# -- the file and the review


async def test_a_file_that_changed_under_a_review_is_named_and_the_review_can_be_discarded(
    client: httpx.AsyncClient, site: Services, folder: Path
) -> None:
    await act(client, PLATELETS, "person")
    path = folder / f"{TRIAL}.yaml"
    path.write_text(path.read_text("utf-8").replace("Epilepsy", "Epilepsy of any kind"), "utf-8")
    await site.definitions.reload_if_changed()
    page = (await client.get(PAGE)).text
    assert "file has changed since this review began" in page
    assert (await client.post(f"{PAGE}/discard", data={"revision": "7"}, headers=OURS)).status_code == 409
    assert (await client.post(f"{PAGE}/discard", data={"revision": "1"}, headers=OURS)).status_code == 303
    page = (await client.get(PAGE)).text
    assert "file has changed" not in page
    assert "Epilepsy of any kind" in page


@pytest.fixture
def read_only(folder: Path) -> Iterator[Path]:
    """The site's folder as a read-only mount has it."""
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


async def test_a_folder_that_cannot_be_written_is_no_hindrance(client: httpx.AsyncClient, read_only: Path) -> None:
    before = {name: os.stat(read_only / name).st_mtime_ns for name in os.listdir(read_only)}
    assert (await act(client, PLATELETS, "person")).status_code == 303
    assert "judgement" in await exported(client)
    assert {name: os.stat(read_only / name).st_mtime_ns for name in os.listdir(read_only)} == before


async def test_a_document_in_another_folder_is_not_read(tmp_path: Path, packed: Catalogue) -> None:
    path = imported(tmp_path / "trials", packed)
    path.with_name(f"{TRIAL}.source.json").rename(tmp_path / "elsewhere.json")
    path.write_text(path.read_text("utf-8").replace(f"{TRIAL}.source.json", "../elsewhere.json"), "utf-8")
    services = services_with(demo_settings(tmp_path, trials=path.parent), Definitions(None, path.parent))
    async with serving(services) as client:
        assert "is not beside its file" in (await client.get(PAGE)).text


# -- who may


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": "Nora Nord"}) as server:
        yield server


@pytest.fixture
def hospital(tmp_path: Path, folder: Path, provider: AuthorizationServer) -> Services:
    settings = production_settings(tmp_path, trials=folder, **oidc(provider))
    return services_with(settings, Definitions(None, folder))


async def test_nobody_reads_or_writes_a_review_without_a_login(hospital: Services) -> None:
    async with serving(hospital, BASE) as client:
        for path in ("/definitions", PAGE, f"{PAGE}/definition.yaml"):
            assert (await client.get(path)).status_code == 401
            asked = await client.get(path, headers={"accept": "text/html"})
            assert asked.headers["location"] == f"/login?next={path}"
        for path in ("check", "parts", "sign-off", "discard"):
            assert (await client.post(f"{PAGE}/{path}", data={}, headers=OURS)).status_code == 401


async def test_a_coordinator_corrects_and_does_not_sign(hospital: Services, provider: AuthorizationServer) -> None:
    async with serving(hospital, BASE) as client:
        await log_in(client, PAGE, to="sign")
        page = (await client.get(PAGE)).text
        assert 'value="accept"' not in page
        assert (await act(client, PLATELETS, "person")).status_code == 303
        refused = await act(client, PLATELETS, "accept")
        assert (refused.status_code, "in no group that signs" in refused.text) == (403, True)
        assert not await hospital.reviews.signatures(TRIAL)
        provider.claims["groups"] = [GROUP, SIGNERS]
        await log_in(client, PAGE)
        refused = await act(client, PLATELETS, "accept")
        assert (refused.status_code, "log in again" in refused.text) == (403, True)
        await log_in(client, PAGE, to="sign")
        assert (await act(client, PLATELETS, "accept")).status_code == 303
        hospital.clock = lambda: NOW + timedelta(minutes=16)
        assert (await act(client, "E3.hiv", "accept")).status_code == 403
        assert [each.person for each in (await hospital.reviews.signatures(TRIAL)).values()] == ["Nora Nord"]


async def test_a_token_reads_and_changes_nothing(hospital: Services) -> None:
    async with serving(hospital, BASE) as client:
        token = bearer(OPERATOR)
        page = await client.get(PAGE, headers=token)
        assert page.status_code == 200
        assert 'name="was"' not in page.text
        assert (await client.get(f"{PAGE}/definition.yaml", headers=token)).text.startswith("# Drafted")
        for path in ("parts", "sign-off", "discard"):
            refused = await client.post(f"{PAGE}/{path}", data={"act": "person", "part": PLATELETS}, headers=token)
            assert (refused.status_code, "names nobody" in refused.text) == (403, True)
        assert await hospital.reviews.of(TRIAL) is None


async def test_a_form_of_another_site_changes_nothing(client: httpx.AsyncClient, site: Services) -> None:
    form = {"part": PLATELETS, "was": was((await client.get(PAGE)).text, PLATELETS), "act": "person"}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        for path in ("parts", "check", "sign-off", "discard"):
            assert (await client.post(f"{PAGE}/{path}", data=form, headers=headers)).status_code == 403
    assert await site.reviews.of(TRIAL) is None


async def test_what_is_too_large_or_of_another_kind_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{PAGE}/check", data={"text": "x" * 70_000}, headers=OURS)).status_code == 413
    assert (await client.post(f"{PAGE}/check", json={}, headers=OURS)).status_code == 415


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "!!python/object/apply:os.system ['true']",
        "id: A\nsource: s\ntext: t\ninclude: " + "{not: " * 400 + "{sex: male}" + "}" * 400,
        "\x00",
        "id: A\nsource: s\ntext: t\ninclude: {sex: male}\nsigned_off: {by: me, on: 2026-11-01}",
        "id: A\nsource: s\ntext: t\ninclude: {sex: male}\nafter: []",
    ],
)
async def test_hostile_words_are_a_problem_and_no_fault(text: str, client: httpx.AsyncClient, site: Services) -> None:
    said = await client.post(f"{PAGE}/check", data={"part": PLATELETS, "text": text}, headers=OURS)
    assert said.status_code == 200
    assert said.json()["problems"]
    assert (await act(client, PLATELETS, "correct", text=text)).status_code == 422
    assert await site.reviews.of(TRIAL) is None


# -- the store


async def test_of_two_that_begin_or_go_on_at_once_one_is_kept(records: Records) -> None:
    store = Reviews(records)
    begun = Review("id: A", "sha256:0", 0)

    async def keep(before: Review, text: str) -> bool:
        try:
            await store.keep("T", before, text, NOW, [edit_write("T", "I1", "corrected", DEMO_COORDINATOR, NOW)])
        except Stale:
            return False
        return True

    assert sorted(await asyncio.gather(keep(begun, "one"), keep(begun, "two"))) == [False, True]
    first = await store.of("T")
    assert first
    assert first.revision == 1
    assert sorted(await asyncio.gather(keep(first, "three"), keep(first, "four"))) == [False, True]
    assert len(await store.edits("T")) == 2  # nothing of those that were refused
    with pytest.raises(Stale):
        await store.discard("T", first)
    assert await store.trials() == ["T"]


async def test_the_first_signature_under_the_same_words_counts(records: Records) -> None:
    store = Reviews(records)
    for minutes, name in ((5, "Later"), (0, "First")):
        write = signature_write("T", "I1", "words", "read", Person(name, name), NOW + timedelta(minutes=minutes))
        await records.write(write)
    assert (await store.signatures("T"))["I1", "words"].person == "First"
