"""A PostgreSQL server from below: connecting with limits, checking what the house needs of it, judging its errors.

Rule: psycopg is imported here alone, and only when a core is told to use PostgreSQL. Neighbours: ``postgres.py`` runs
groups over these steps.
"""

import importlib
import urllib.parse
from collections.abc import Mapping
from enum import Enum
from typing import Any

from skerry.model.errors import Refused, Unavailable
from skerry.safe.errors import StoreAway, StoreFailed, StoreFull
from skerry.store.connections import CoreConnection, make_engine, wrap_connection

#: Seconds until a connection stands; a server on another continent needs one.
CONNECT_S = 5
#: Milliseconds that sent bytes may stay unacknowledged: a server whose machine lost its power is found by this.
SILENT_MS = 10_000
#: Milliseconds of one statement: the largest read of 10,000 sites needs three seconds.
STATEMENT_MS = 60_000
#: Milliseconds a statement waits for a lock that somebody else holds.
LOCK_MS = 10_000
#: The oldest server that is known to do: the oldest that is still looked after by its makers.
VERSION_MIN = 140_000
#: The two halves of the advisory lock that one core holds on its database: "Sker", "core".
_LOCK = (0x536B6572, 0x636F7265)

_CHECKED = ("server_version_num", "server_encoding", "synchronous_commit", "fsync", "full_page_writes")


class Verdict(Enum):
    """Whose affair an error is."""

    #: The one job's that met it.
    job = "job"
    #: Somebody else changed what was read: the whole group may be run again.
    again = "again"


def connect(url: str, *, role: str) -> Any:
    """Connect and set the limits; ``role`` is shown to the server's keeper. The connection begins nothing by itself.

    Raises ``StoreAway``, or ``Unavailable`` without the driver.
    """
    psycopg = load_driver()
    try:
        raw = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name=f"skerry {role}",
            client_encoding="utf8",
            keepalives_idle=CONNECT_S,
            keepalives_interval=CONNECT_S,
            keepalives_count=2,
            tcp_user_timeout=SILENT_MS,
        )
    except psycopg.Error as error:
        raise StoreAway(f"PostgreSQL at {describe(url)} does not answer: {_first_line(error)}") from error
    try:
        for name, limit in (("statement_timeout", STATEMENT_MS), ("lock_timeout", LOCK_MS)):
            raw.execute("SELECT set_config(%s, %s, false)", (name, str(limit)))
        if raw.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
            raise StoreAway(f"PostgreSQL at {describe(url)} is a standby that takes no changes now.")
    except psycopg.Error as error:
        raw.close()
        raise StoreAway(f"PostgreSQL at {describe(url)} went away: {_first_line(error)}") from error
    except BaseException:
        raw.close()
        raise
    return raw


def load_driver() -> Any:
    """Import the driver; raises ``Unavailable`` when it is not installed."""
    try:
        return importlib.import_module("psycopg")
    except ImportError as error:
        raise Unavailable(
            "E-POSTGRES-DRIVER",
            f"PostgreSQL needs a driver that is not installed: {error}.",
            hint="pip install 'skerry[postgres]'",
        ) from error


def describe(url: str) -> str:
    """Return an address without its password and options."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or urllib.parse.parse_qs(parts.query).get("host", ["its socket"])[0]
    return f"{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def read_settings(raw: Any) -> dict[str, str]:
    """Return the server's settings that durability and order stand on."""
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    return dict(raw.execute(query, (list(_CHECKED),)).fetchall())


def complain_about_settings(settings: Mapping[str, str]) -> str:
    """Say what is wrong with a server's settings, or nothing (faults.md §3.1)."""
    if int(settings["server_version_num"]) < VERSION_MIN:
        return f"the server's version is {settings['server_version_num']}, and {VERSION_MIN} is the oldest that will do"
    if settings["server_encoding"] != "UTF8":
        return f"the database's encoding is {settings['server_encoding']}, not UTF8"
    for name in ("synchronous_commit", "fsync", "full_page_writes"):
        if settings[name] == "off":
            return f"{name} is off, so what was acknowledged would be lost with the power"
    return ""


def check_settings(raw: Any, url: str) -> None:
    """Raise ``Refused`` when the server would not keep what it acknowledges."""
    complaint = complain_about_settings(read_settings(raw))
    if complaint:
        raise Refused(
            "E-POSTGRES-SETTING", f"PostgreSQL at {describe(url)} will not do: {complaint}.", hint="skerry core doctor"
        )


def take_lock(raw: Any) -> bool:
    """Take the lock of the one core of this database, held until the connection ends; False when another has it."""
    return bool(raw.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK).fetchone()[0])


def wrap(raw: Any) -> CoreConnection:
    """Return what store functions get over a connection."""
    return wrap_connection(make_engine("postgresql+psycopg://", lambda: raw, use_native_hstore=False))


def find_cause(error: BaseException) -> Any | None:
    """Return the driver's error behind ``error``, through whatever wrapped it."""
    kind = load_driver().Error
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, kind):
            return link
        link = link.__cause__ or link.__context__
    return None


def judge(error: BaseException, raw: Any, name: str) -> Verdict | StoreAway | StoreFull | StoreFailed:
    """Say what an error means: whose affair it is, or what everybody has to be told."""
    cause = find_cause(error)
    if raw.closed:
        return StoreAway(f"PostgreSQL ({name}) went away: {_first_line(cause or error)}")
    state = "" if cause is None else cause.sqlstate or ""
    match state:
        case "40001" | "40P01":
            return Verdict.again
        case "53100":
            return StoreFull(f"No room at PostgreSQL ({name}).")
        case "58030" | "XX001" | "XX002":
            return StoreFailed(f"PostgreSQL ({name}) says that its files are damaged: {_first_line(cause)}")
        case "57014" | "55P03" | "53200" | "53300" | "53400" | "57P03":
            return StoreAway(f"PostgreSQL ({name}) cannot serve this now: {_first_line(cause)}")
        case _:
            return Verdict.job


def is_read_only_error(error: BaseException) -> bool:
    """Say whether a statement was refused because it would have changed something."""
    cause = find_cause(error)
    return cause is not None and cause.sqlstate == "25006"


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
