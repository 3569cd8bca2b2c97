"""The image of the Dockerfile, built without a daemon on a Debian base of debootstrap, and the service out of it.

The published base image cannot be had from a package registry; this one has the same Debian and Python. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.web.examples import hook_call
from tests import fetched
from tests.hospital import VIEW, Production, settings_of, signed
from tests.postgres import cluster, programs
from tests.server import free_port, wait_until_ready
from tests.systems.report import Report

ROOT = Path(__file__).parents[2]
NEEDED = {"buildah": "buildah", "debootstrap": "debootstrap"}
BASE, IMAGE = "docker.io/library/python:3.11-slim-bookworm", "localhost/trialcards"
USER = 10001
INSIDE = "/srv/trialcards/config"
CALLS = 20
# How this machine reaches its package registry; it is set in the base only, which is thrown away.
_PASSED_ON = ("PIP_INDEX", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class Builder:
    """buildah with its own storage, by chroot and without overlays, which need a kernel that allows them."""

    def __init__(self, folder: Path) -> None:
        self._options = ("--root", folder / "storage", "--runroot", folder / "run", "--storage-driver", "vfs")

    def run(self, *words: str | Path) -> str:
        return fetched.run(
            "buildah", *self._options, *words, env=os.environ | {"BUILDAH_ISOLATION": "chroot"}
        ).stdout.strip()

    def command(self, *words: str) -> list[str]:
        return ["buildah", *map(str, self._options), *words]


def make_base(builder: Builder, folder: Path) -> None:
    """Debian with Python 3.11, as the base that the Dockerfile names."""
    root = folder / "base"
    fetched.run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm", root)
    (root / "usr/bin/python").symlink_to("python3")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    container = builder.run("from", "scratch")
    builder.run("copy", container, root, "/")
    given = {name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED_ON)}
    for name, value in ({"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"} | given).items():
        builder.run("config", "--env", f"{name}={value}", container)
    builder.run("commit", "--rm", container, BASE)


@contextmanager
def served(builder: Builder, folder: Path, url: str) -> Iterator[Production]:
    """The service out of the image, as its user, with the settings of a hospital."""
    port, config = free_port(), folder / "config"
    config.mkdir()
    given = settings_of(config, url, WORKERS="2") | {"HOST": "127.0.0.1", "PORT": str(port)}
    given["TRIALCARDS_EHRS"] = f"{INSIDE}/ehrs.toml"
    shutil.chown(config, USER, USER)
    container = builder.run("from", "--pull-never", IMAGE)
    volume = f"{config}:{INSIDE}:ro"
    variables = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    command = builder.command("run", "--isolation", "chroot", "--volume", volume, *variables, container, "--")
    output = folder / "image.log"
    with output.open("wb") as file:
        process = subprocess.Popen([*command, "trialcards", "serve"], stdout=file, stderr=file, start_new_session=True)
    server = Production(f"http://127.0.0.1:{port}", process, output)
    try:
        wait_until_ready(server, 180)
        yield server
    finally:
        if process.poll() is None:
            server.kill()


def tried(folder: Path) -> Report:
    """Build it, look into it, and serve from it."""
    source = (
        "Built by buildah (chroot isolation, vfs) from the Dockerfile as it is, on a Debian bookworm of debootstrap "
        "under the name of the base. "
        "**This is not the published base image**: what that one adds is not tried here."
    )
    report = Report("The image", source)
    bin_ = programs()
    assert bin_ is not None, "apt-get install postgresql"
    if missing := fetched.missing(NEEDED):
        raise RuntimeError(f"apt-get install {' '.join(missing)}")
    builder = Builder(folder)
    make_base(builder, folder)
    builder.run("bud", "--isolation", "chroot", "--pull-never", "--tag", IMAGE, ROOT)
    report.add("`buildah bud` of the Dockerfile", "built", "built")
    container = builder.run("from", "--pull-never", IMAGE)
    report.add("`id -u`", builder.run("run", "--isolation", "chroot", container, "--", "id", "-u"), str(USER))
    lint = builder.run("run", "--isolation", "chroot", container, "--", "trialcards", "trials", "lint")
    report.add("`trialcards trials lint`", lint.splitlines()[-1].rpartition(", ")[2], "0 problems")
    bare = subprocess.run(
        builder.command("run", "--isolation", "chroot", container, "--", "trialcards", "serve"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    named = "TRIALCARDS_EHRS named" if "TRIALCARDS_EHRS" in bare.stderr else "TRIALCARDS_EHRS not named"
    report.add(
        "`trialcards serve` without settings", f"status {bare.returncode}, {named}", "status 2, TRIALCARDS_EHRS named"
    )
    with cluster(bin_) as postgres, served(builder, folder, postgres.new_database()) as server:
        answers = [server.post(VIEW, hook_call("patient-view"), signed(VIEW)).status_code for _ in range(CALLS)]
        report.add(
            f"{CALLS} signed hook calls, PostgreSQL, two workers", f"{answers.count(200)} × 200", f"{CALLS} × 200"
        )
    return report
