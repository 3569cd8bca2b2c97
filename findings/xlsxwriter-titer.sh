#!/usr/bin/env bash
# XlsxWriter's `write` turns a titer with an equals sign into a formula whose stored value is 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check XlsxWriter==3.3.1 openpyxl==3.1.5
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import openpyxl
import xlsxwriter

print("XlsxWriter", version("XlsxWriter"))
with xlsxwriter.Workbook("book.xlsx") as book:
    sheet = book.add_worksheet()
    returned = [sheet.write(0, 0, "=1:80"), sheet.write_string(1, 0, "=1:80")]
formula, text = (openpyxl.load_workbook("book.xlsx").active.cell(row, 1) for row in (1, 2))
cached = openpyxl.load_workbook("book.xlsx", data_only=True).active.cell(1, 1).value
print(f"write -> {returned[0]}, type {formula.data_type}, stored value {cached!r}; write_string -> type {text.data_type}")
assert (formula.data_type, cached, text.data_type) == ("f", 0, "s"), (formula.data_type, cached, text.data_type)
PYTHON
