"""The text on connecting an EHR: one file for the page of the service and for `docs/connect.md`."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from app.ehrs import Ehr, Smart
from app.site_profile import TABLES
from cds_hooks.protocol.services import CHART, OFFERS

_SOURCE = Path(__file__).parents[1] / "texts" / "connect.md"
_BASE = "{TRIALCARDS_PUBLIC_URL}"


@lru_cache(maxsize=1)
def connect_text() -> str:
    """The text as Markdown, its tables of services, prefetch and keys made from the code."""
    services = [[f"`{offer.hook}`", f"`{_BASE}/cds-services/{offer.id}`", offer.title] for offer in OFFERS]
    prefetch = [[f"`{part.key}`", "yes" if part.required else "recommended", f"`{part.template}`"] for part in CHART]
    made = {
        "services": _table(["hook", "address", "what it does"], services),
        "prefetch": _table(["prefetch key", "needed", "template"], prefetch),
        "keys": _table(["key of `[[ehr]]`", "default", "what"], _keys(Ehr)),
        "smart keys": _table(["key of `[ehr.smart]`", "default", "what"], _keys(Smart)),
    }
    made |= {
        f"site {name}": _table([f"key of `{name}`", "default", "what"], _keys(each)) for name, each in TABLES.items()
    }
    text = _SOURCE.read_text("utf-8")
    for name, table in made.items():
        text = text.replace(f"<!-- {name} -->", table)
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _keys(model: type[BaseModel]) -> Iterator[list[str]]:
    for name, field in model.model_fields.items():
        yield [f"`{name}`", "needed" if field.is_required() else _shown(field.default), field.description or ""]


def _shown(default: Any) -> str:
    """A default as TOML has it."""
    if default in (None, (), "", PydanticUndefined):
        return "none"
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in default) + "]`"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def connect_page(base: str) -> str:
    """The text as HTML, below a page's own heading, for the service at this address."""
    return _as_html().replace(_BASE, html.escape(base))


@lru_cache(maxsize=1)
def _as_html() -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(connect_text())
    for position, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                token.attrSet("id", _anchor(tokens[position + 1]))
            case "th_open":
                token.attrSet("scope", "col")
            case "inline":
                _keep_links_inside(token)
    numbers = itertools.count(1)

    # Wide parts scroll by themselves, and are reached by the keyboard.
    def opening() -> str:
        return f'<div class="scroll" tabindex="0" role="group" aria-label="Part {next(numbers)}">'

    def fence(_: Any, tokens: Sequence[Token], index: int, *rest: Any) -> str:
        return f"{opening()}<pre><code>{html.escape(tokens[index].content)}</code></pre></div>"

    parser.add_render_rule("table_open", lambda *_: f"{opening()}<table>")
    parser.add_render_rule("table_close", lambda *_: "</table></div>")
    parser.add_render_rule("fence", fence)
    found: str = parser.renderer.render(tokens, parser.options, {})
    return found


def _anchor(inline: Token) -> str:
    """The id of a heading, as GitHub makes it."""
    words = "".join(each for each in inline.content.lower() if each.isalnum() or each in " -")
    return words.replace(" ", "-")


def _keep_links_inside(token: Token) -> None:
    """The page has no files of the repository beside it: of a link to one, only the words stay."""
    children = token.children or []
    for position, child in enumerate(children):
        if child.type == "link_open" and not str(child.attrGet("href")).startswith(("#", "https://")):
            child.type = child.tag = "text"
            child.nesting = 0
            closing = next(each for each in children[position:] if each.type == "link_close")
            closing.type = closing.tag = "text"
            closing.nesting = 0
