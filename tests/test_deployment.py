"""The files of a deployment: what they start is what the service offers."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import PREFIX, Settings
from tests.server import COMMAND, demo_server

ROOT = Path(__file__).parents[1]
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields} | {"HOST", "PORT", "PGPASSWORD"}


@pytest.fixture(scope="module")
def service() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["trialcards"]


def test_compose_passes_every_setting_of_the_env_file(service: Any) -> None:
    assert service["env_file"] == [{"path": ".env", "required": False}]
    assert service["environment"].keys() <= SETTINGS


def test_compose_mounts_a_folder_of_configuration_that_must_be_there(service: Any) -> None:
    mounted = next(each for each in service["volumes"] if isinstance(each, dict))
    assert (mounted["source"], mounted["read_only"]) == ("./config", True)
    assert mounted["bind"] == {"create_host_path": False}
    assert service["environment"]["TRIALCARDS_EHRS"].endswith("config/ehrs.toml}")
    workdir = re.search(r"^WORKDIR (/srv\S*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert workdir
    assert mounted["target"] == f"{workdir[1]}/config"


def test_compose_starts_the_service_again_and_looks_whether_it_lives(service: Any, tmp_path: Path) -> None:
    assert service["restart"] == "unless-stopped"
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    python = str(COMMAND.with_name("python"))
    with demo_server(tmp_path) as server:
        here = [python, *(word.replace("http://127.0.0.1:8000", server.base) for word in command[1:])]
        assert subprocess.run(here, timeout=30).returncode == 0
    assert subprocess.run(here, timeout=30, stderr=subprocess.DEVNULL).returncode == 1


def test_the_systemd_unit_starts_the_command_and_gives_up_on_a_wrong_setting() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(ROOT / "deploy" / "trialcards.service", "utf-8")
    found = unit["Service"]
    assert found["ExecStart"].split()[1:] == ["serve"]
    assert (found["Restart"], found["RestartPreventExitStatus"], found["KillMode"]) == ("always", "2", "mixed")
    assert int(found["TimeoutStopSec"]) > 10  # as long as an answer may take after SIGTERM
