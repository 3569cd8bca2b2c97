"""A browser for logins: it keeps cookies, follows redirects, and fills in Keycloak's form. It runs no script."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx

_MOST_STEPS = 15


class Browser:
    """One person's browser. Cookies are kept by host and port, whatever they say of encryption: all is on loopback."""

    def __init__(self) -> None:
        self._cookies: dict[str, dict[str, str]] = {}
        self._http = httpx.Client(trust_env=False, timeout=30)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, address: str) -> httpx.Response:
        return self._followed("GET", address)

    def post(self, address: str, **form: str) -> httpx.Response:
        return self._followed("POST", address, form)

    def log_in(self, address: str, name: str, password: str) -> httpx.Response:
        """Open an address that leads to Keycloak's form, and fill it in; the page on which that ends."""
        return self.fill_in(self.get(address), name, password)

    def fill_in(self, form: httpx.Response, name: str, password: str) -> httpx.Response:
        assert asks_for_password(form), form.text[:2000]
        found = re.search(r'<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"', form.text)
        assert found, form.text[:2000]
        return self.post(unescape(found[1]), username=name, password=password, credentialId="")

    def _followed(self, method: str, address: str, form: dict[str, str] | None = None) -> httpx.Response:
        for _ in range(_MOST_STEPS):
            answer = self._sent(method, address, form)
            if not answer.is_redirect:
                return answer
            method, form, address = "GET", None, urljoin(address, answer.headers["location"])
        raise AssertionError(f"more than {_MOST_STEPS} redirects")

    def _sent(self, method: str, address: str, form: dict[str, str] | None) -> httpx.Response:
        jar = self._cookies.setdefault(urlsplit(address).netloc, {})
        own = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
        headers = {"accept": "text/html", "cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        headers |= {"origin": own, "sec-fetch-site": "same-origin"} if method == "POST" else {}
        self._http.cookies.clear()
        answer = self._http.request(method, address, data=form, headers=headers)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if not value or "max-age=0" in line.lower():
                jar.pop(name, None)
            else:
                jar[name] = value
        return answer


def asks_for_password(page: httpx.Response) -> bool:
    """Whether this is Keycloak's login form."""
    return 'id="kc-form-login"' in page.text and 'type="password"' in page.text


def link(page: httpx.Response, words: str) -> str:
    """Where the link of these words leads."""
    found = re.search(rf'<a[^>]*href="([^"]+)"[^>]*>{re.escape(words)}</a>', page.text)
    assert found, page.text[:2000]
    return unescape(found[1])
