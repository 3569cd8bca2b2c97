"""Tries the service beside real systems, and writes what came of it into docs/systems.md. Not a part of the tests.

    python -m tests.systems.run [keycloak] [hapi] [database] [image]

Each system is fetched from a package registry on first use. Exit status 1 when something came back wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.systems import database, hapi, image, keycloak
from tests.systems.report import Report

DOCUMENT = Path(__file__).parents[2] / "docs" / "systems.md"
SYSTEMS: Mapping[str, Callable[[Path], Report]] = {
    "keycloak": keycloak.tried,
    "hapi": hapi.tried,
    "database": database.tried,
    "image": image.tried,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", nargs="*", choices=[*SYSTEMS, []], help="Default: all.")
    chosen = parser.parse_args().system or list(SYSTEMS)
    holds = True
    for name in chosen:
        with TemporaryDirectory(prefix=f"{name}-") as folder:
            report = SYSTEMS[name](Path(folder))
        sys.stdout.write(report.text + "\n")
        write(name, report)
        holds = holds and all(row.holds for row in report.rows)
    sys.exit(0 if holds else 1)


def write(name: str, report: Report) -> None:
    """Put a table into the document, in the place of the one before, with its date."""
    dated = report.text.replace("\n\n", f"\n\nTried on {datetime.now(UTC):%Y-%m-%d}. ", 1)
    marks = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    text = DOCUMENT.read_text("utf-8")
    part = "".join((marks[0], dated, marks[1]))
    found = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
    text = found.sub(lambda _: part, text) if found.search(text) else f"{text.rstrip()}\n\n{part}"
    DOCUMENT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
