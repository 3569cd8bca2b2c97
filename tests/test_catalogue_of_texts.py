"""What people read of cards, explanations and their page is in the catalogue of texts, and nowhere in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path
    for pattern in ("cards/*.py", "explanation/*.py", "words/*.py")
    for path in (ROOT / "cds_hooks").glob(pattern)
    # How a criterion is computed, what changed between versions, and numbers in English: not translated yet.
    if path.name not in ("__init__.py", "paraphrase.py", "change_words.py", "numbers.py")
)
TEMPLATES = [ROOT / "app" / "templates" / name for name in ("report.html", "parts.html")]
ALLOWED = {
    "(address left out)",  # is in a text of a chart, whatever its language
    r" \(([A-Za-z0-9-]{2,9})\)$",  # a pattern
}


def sentences(tree: ast.AST) -> Iterator[str]:
    """The strings of a module that hold a word and a blank, docstrings and what is raised apart."""
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for raised in (node for node in ast.walk(tree) if isinstance(node, ast.Raise | ast.Assert)):
        skipped |= {id(each) for each in ast.walk(raised)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            text = node.value
            if re.search(r"[A-Za-z]{2,}.* |^ .*[A-Za-z]{2,}", text) and text not in ALLOWED:
                yield text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_module_has_no_sentence_of_its_own(path: Path) -> None:
    assert list(sentences(ast.parse(path.read_text("utf-8")))) == []


def outside(template: str) -> Iterator[str]:
    """The words of a template that are neither markup nor expression; labels in attributes too."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "\0", template, flags=re.DOTALL)
    labels = re.findall(r'(?:aria-label|title|alt|placeholder)="([^"\0]+)"', text)
    for part in (*labels, *re.sub(r"<[^>]*>", "\0", text).split("\0")):
        if re.search(r"[A-Za-z]{2,}", part) and part.strip(" ·\n") != "TrialCards":
            yield part.strip()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_words_of_its_own(path: Path) -> None:
    assert list(outside(path.read_text("utf-8"))) == []


def test_a_sentence_outside_the_catalogue_is_found() -> None:
    assert list(sentences(ast.parse('def f():\n    "A docstring."\n    return f"not met on {day}"'))) == ["not met on "]
    assert list(outside('<p title="A label">Not met {{ day }}</p>')) == ["A label", "Not met"]
