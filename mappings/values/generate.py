"""Makes `ucum_symbols.txt`: the prefixes and symbols of UCUM, as the package `ucumvert` reads them.

Run it with `python -m mappings.values.generate` when that package is renewed; `--check` says whether the file is that
of the installed package.
"""

from __future__ import annotations

import sys

from mappings.values.ucum_symbols import FILE


def text() -> str:
    """The file as it should be: the prefixes, the symbols that take one, and those that take none, a line each."""
    from ucumvert.parser import get_base_units, get_metric_units, get_non_metric_units, get_prefixes

    lines = (get_prefixes(), [*get_base_units(), *get_metric_units()], get_non_metric_units())
    head = (
        "# Made by mappings/values/generate.py from ucumvert: prefixes, symbols that take one, symbols that take none."
    )
    return "\n".join([head, *(" ".join(sorted(set(line))) for line in lines)]) + "\n"


def main() -> None:
    if "--check" in sys.argv[1:]:
        sys.exit(FILE.read_text("utf-8") != text() and f"{FILE.name}: run python -m mappings.values.generate")
    FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
