"""Tables for spreadsheets, as CSV and XLSX: texts stay texts, and no cell is a formula."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import xlsxwriter

# The wide ones are what some spreadsheets make of the narrow ones, and the other way round.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: object) -> object:
    """The value, with an apostrophe before a text that a spreadsheet would compute."""
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def shortened(items: Sequence[str], most: int) -> str:
    """The first items as one text, and how many more there are."""
    more = len(items) - most
    return "; ".join(items[:most]) + (f"; and {more} more" if more > 0 else "")


MOST_ROWS = 1_048_575  # of a sheet, beside its head
_LONGEST_CELL = 32_767
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False}


def workbook(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A workbook with one sheet, whose head stays in sight and can be filtered by."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {**_OPTIONS, "in_memory": True}) as book:
        Sheet(book, title, columns).write(rows)
    return content.getvalue()


def open_workbook(path: str) -> Any:
    """A workbook that is written row by row, whatever their number."""
    return xlsxwriter.Workbook(path, {**_OPTIONS, "constant_memory": True})


class Sheet:
    """One sheet of a workbook. Columns are as wide as their texts are long, within reason."""

    def __init__(self, book: Any, title: str, columns: Sequence[str], widths: Sequence[int] = ()) -> None:
        self._page, self._columns = book.add_worksheet(title), columns
        self._cells = book.add_format({"text_wrap": True, "valign": "top"})
        for place, column in enumerate(columns):
            width = widths[place] if place < len(widths) else max(12, min(30, len(column) + 4))
            self._page.set_column(place, place, width, self._cells)
        self._page.freeze_panes(1, 1)
        self._page.write_row(0, 0, columns, book.add_format({"bold": True}))
        self._count = 0

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """All rows; what is beyond the limit of a sheet is left out."""
        for row in rows:
            self.add(row)
        self.end()

    def add(self, row: Sequence[object]) -> None:
        if self._count == MOST_ROWS:
            return
        self._count += 1
        for place, value in enumerate(row):
            if isinstance(value, int):
                self._page.write_number(self._count, place, value, self._cells)
            elif value is not None and value != "":
                self._page.write_string(self._count, place, str(value)[:_LONGEST_CELL], self._cells)

    def end(self) -> None:
        self._page.autofilter(0, 0, self._count, len(self._columns) - 1)
