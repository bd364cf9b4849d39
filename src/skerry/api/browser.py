"""A browser's session: an API token in a cookie that no script can read, and the proof that our own page asks.

The token decides what may be done, as anywhere; the core keeps no session. A cookie goes along with whatever request a
browser makes, so one that rests on it must come from our own pages: the browser says so (``Sec-Fetch-Site``,
``Origin``), and everything but a read carries a header that other sites' forms and pictures cannot send. Sockets take
no cookie at all.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from skerry.model.errors import NotAllowed

COOKIE = "skerry_session"
#: Cookies do not heed ports: sent below this path only, so that a neighbour on another port rarely sees it.
COOKIE_PATH = "/v1"
#: What our pages send with each request that is made by a script.
PAGE_HEADER = "skerry-console"

_VALUE = re.compile(r"[a-z0-9_]{1,128}", re.ASCII)


def read_session(headers: Mapping[str, str]) -> str:
    """Return the token of the session cookie, empty when there is none."""
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and _VALUE.fullmatch(value):
            return value
    return ""


def check_page(method: str, headers: Mapping[str, str]) -> None:
    """Raise ``NotAllowed`` unless the request comes from a page of this very core."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    foreign = site != "same-origin" if site is not None else _is_foreign(origin, headers.get("host", ""))
    if foreign or (method not in ("GET", "HEAD") and PAGE_HEADER not in headers):
        raise NotAllowed("E-ORIGIN", "A browser's session serves the pages of this core and nobody else's.")


def write_cookie(token: str, headers: Mapping[str, str]) -> str:
    """Return the ``Set-Cookie`` that begins a session, or ends it when ``token`` is empty; it ends with the browser."""
    secure = "; Secure" if urlsplit(headers.get("origin", "")).scheme == "https" else ""
    end = "" if token else "; Max-Age=0"
    return f"{COOKIE}={token}; Path={COOKIE_PATH}; HttpOnly; SameSite=Strict{secure}{end}"


def _is_foreign(origin: str | None, host: str) -> bool:
    """Judge by ``Origin``; browsers leave it out of reads of their own pages, which ``SameSite`` covers."""
    return origin is not None and urlsplit(origin).netloc != host
