"""HAPI FHIR's JPA server, a FHIR server that others wrote, with the demo's patients in it.

    python -m tests.hapi.hapi --port 8080      serves http://127.0.0.1:8080/fhir until Ctrl-C

It is fetched into `.cache/` on first use (about 290 MB); its database is in memory and ends with it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from app.demo.charts import demo_patients
from tests import fetched

HERE = Path(__file__).parent
JARS = fetched.CACHE / "hapi" / "lib"
NEEDED = {"javac": "a JDK 17", "mvn": "Maven 3"}
INSTALL = "apt-get install -y default-jdk-headless maven"
LONGEST_START = 120  # seconds; about 20 on two cores
# It is started, asked a little and ended: compiled fast rather than well.
_JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g")
Json = dict[str, Any]


def missing_tools() -> list[str]:
    """What is not on this machine."""
    return fetched.missing(NEEDED)


def install() -> None:
    """Fetch the server, once for each version of the file that names it."""
    fetched.once(JARS.parent, (HERE / "pom.xml",), lambda: fetched.jars(HERE / "pom.xml", JARS))


@contextmanager
def hapi_server(folder: Path, port: int = 0, page_size: int = 200) -> Iterator[str]:
    """An empty HAPI FHIR on that port of loopback (0: any), its files in `folder`; the base address of its FHIR."""
    output = folder / "hapi.log"
    command: list[str | Path] = [
        *_JAVA,
        f"-Djava.io.tmpdir={folder}",
        "-cp",
        f"{JARS}/*",
        HERE / "Hapi.java",
        str(port),
        str(page_size),
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file)
    try:
        yield _address_in(output, process)
    finally:
        process.kill()
        process.communicate()


def _address_in(output: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until and process.poll() is None:
        for line in output.read_text("utf-8").splitlines():
            if line.startswith("ready http"):
                return line.partition(" ")[2]
        time.sleep(0.1)
    raise RuntimeError(f"HAPI FHIR did not start: {output.read_text('utf-8')[-4000:]}")


def put(base: str, resources: Iterable[Json]) -> None:
    """Create or replace resources under their ids, all or none."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    transaction = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    httpx.post(base, json=transaction, timeout=120, trust_env=False).raise_for_status()


def demo_resources() -> list[Json]:
    """Every resource of the demo's own patients, as of today."""
    return [resource for patient in demo_patients(datetime.now(UTC).date()) for resource in patient.resources]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    if missing := missing_tools():
        sys.exit(f"Needed and not found: {', '.join(missing)}. {INSTALL}")
    install()
    with TemporaryDirectory() as folder, hapi_server(Path(folder), given.port) as base:
        put(base, demo_resources())
        sys.stdout.write(f"HAPI FHIR with the demo's patients: {base} (Ctrl-C ends it)\n")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(60)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
