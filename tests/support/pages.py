"""What tests of pages share with others."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page


def pages_of(page: Page, path: Path) -> int:
    printed = page.pdf(path=path, format="A4")
    assert printed.startswith(b"%PDF")
    return len(re.findall(rb"/Type\s*/Page\b", printed))
