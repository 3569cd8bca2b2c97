"""Server-rendered pages: one set of templates, one policy. Nothing comes from elsewhere, no script is in a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from cds_hooks.words.texts import texts_of

ROOM = Path(__file__).parents[1]
_TEMPLATES = Environment(
    loader=FileSystemLoader([ROOM / "templates", ROOM / "demo" / "templates"]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals["t"] = texts_of()  # where a page gives no texts of its own


def policy(*, frames: str = "'none'") -> str:
    """The Content-Security-Policy of our pages; `frames` are the ancestors in whose frame a page may stand."""
    own = "style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'"
    return f"default-src 'none'; {own}; base-uri 'none'; frame-ancestors {frames}"


def page(
    template: str, status: int = 200, headers: Mapping[str, str] | None = None, /, **values: object
) -> HTMLResponse:
    """A page made of a template. `section` among the values marks where in the site it stands, `t` are
    the texts of its language."""
    given = {"Content-Security-Policy": policy(), "Referrer-Policy": "no-referrer"} | dict(headers or {})
    content = render(template, **{"section": "", "is_demo": False, "person": None} | values)
    return HTMLResponse(content, status, given)


def render(template: str, **values: object) -> str:
    """The text that a template and these values make; what is not markup is escaped."""
    return _TEMPLATES.get_template(template).render(values)
