"""Settings: what each profile needs, and that every problem names the setting and never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, read_settings

SECRET = "canary-secret-that-is-long-enough-to-be-used"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOST", "PORT", "TRIALCARDS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_production_names_everything_that_is_missing() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings("production")
    assert caught.value.problems == (
        "TRIALCARDS_EHRS: is needed to start",
        "TRIALCARDS_PUBLIC_URL: is needed to start",
        "TRIALCARDS_SECRET_KEY: is needed to start",
    )


def test_the_demo_needs_nothing_and_keeps_a_key_of_its_own(tmp_path: Path) -> None:
    first, second = read_settings("demo"), read_settings("demo")
    assert first.secret_key == second.secret_key
    assert (tmp_path / "var" / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_the_demo_refuses_a_host_that_is_not_loopback(host: str) -> None:
    with pytest.raises(SettingsError, match="HOST: the demo listens on loopback only"):
        read_settings("demo", host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_the_demo_listens_on_loopback(host: str) -> None:
    assert read_settings("demo", host=host).host == host


def test_production_is_complete_with_its_three(tmp_path: Path) -> None:
    settings = read_settings(
        "production", ehrs=tmp_path / "ehrs.toml", public_url="https://cards.example/", secret_key=(SECRET,)
    )
    assert settings.public_url == "https://cards.example"
    assert not settings.is_demo


WRONG = [
    ("TRIALCARDS_TIMEZONE", "Canary/Land", "TRIALCARDS_TIMEZONE: is not a time zone"),
    (
        "TRIALCARDS_LANGUAGE",
        "canary",
        "TRIALCARDS_LANGUAGE: is not a language that there is; there are en, de, zh-Hans",
    ),
    ("TRIALCARDS_PUBLIC_URL", "canary", "TRIALCARDS_PUBLIC_URL: is not an address"),
    ("TRIALCARDS_DATABASE_URL", "canary://x", "TRIALCARDS_DATABASE_URL: starts with sqlite"),
    ("TRIALCARDS_DATABASE_URL", "postgresql://u:canary@x:canary/1@h/d", "TRIALCARDS_DATABASE_URL: is a URL"),
    ("TRIALCARDS_SECRET_KEY", "canary", "TRIALCARDS_SECRET_KEY: needs at least 32 characters"),
    ("TRIALCARDS_OPERATOR_TOKENS", "canary", "TRIALCARDS_OPERATOR_TOKENS: holds SHA-256 digests"),
    ("TRIALCARDS_RESTRICTED_LABELS", "canary", "TRIALCARDS_RESTRICTED_LABELS: holds labels"),
    ("TRIALCARDS_WORKERS", "canary", "TRIALCARDS_WORKERS: is not a whole number, from 1 and up to 64"),
    ("TRIALCARDS_WORKERS", "65", "TRIALCARDS_WORKERS: is a number, from 1 and up to 64"),
    ("TRIALCARDS_DEADLINE", "0", "TRIALCARDS_DEADLINE: is a number, above 0.1 and up to 60"),
    ("TRIALCARDS_DEADLINE", "canary", "TRIALCARDS_DEADLINE: is not a number, above 0.1 and up to 60"),
    ("TRIALCARDS_PROFILE_CALLS", "canary", "TRIALCARDS_PROFILE_CALLS: is true or false"),
    ("TRIALCARDS_TRIALS", "/canary/none", "TRIALCARDS_TRIALS: there is no such folder"),
    ("TRIALCARDS_MAPPINGS", "/canary/none", "TRIALCARDS_MAPPINGS: there is no such folder"),
    ("PORT", "canary", "PORT: is not a whole number, from 0 and up to 65535"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings("demo")
    assert message in str(caught.value)
    assert "canary" not in str(caught.value).lower()


def test_lists_are_read_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALCARDS_SECRET_KEY", f"{SECRET}, {SECRET}2")
    assert read_settings("demo").secret_key == (SECRET, SECRET + "2")


def test_every_setting_has_its_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_a_misspelled_setting_is_named_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALCARDS_EHR", "canary.toml")
    with pytest.raises(SettingsError) as caught:
        read_settings("production")
    assert "TRIALCARDS_EHR: is not a setting; did you mean TRIALCARDS_EHRS?" in caught.value.problems
    monkeypatch.delenv("TRIALCARDS_EHR")
    Path(".env").write_text("TRIALCARDS_RESTRICTED_LABEL=canary|R\n")
    with pytest.raises(SettingsError) as caught:
        read_settings("demo")
    assert caught.value.problems == (
        "TRIALCARDS_RESTRICTED_LABEL: is not a setting; did you mean TRIALCARDS_RESTRICTED_LABELS?",
    )


def test_a_setting_of_another_version_or_tool_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALCARDS_IMAGE", "trialcards:1")
    assert read_settings("demo").is_demo
