"""What acts on what runs and on volumes share: what is meant, and having the call signed for the node's nonce."""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import click

from skerry.cli.names import complete_services, complete_sites
from skerry.cli.options import F, split_service
from skerry.cli.session import Session
from skerry.model.asks import ExecQuery, VolumeControlQuery
from skerry.model.errors import Invalid, NotFound
from skerry.model.ids import AppName, ServiceName, SiteName
from skerry.model.limits import CALL_BY_CHARACTERS_MAX, CALL_REASON_CHARACTERS_MAX
from skerry.model.signed import Call, Envelope
from skerry.sdk.client import Client
from skerry.sdk.commands import Nonce
from skerry.trust.envelope import encode_payload

#: Sites named where one has to be chosen.
_SITES_NAMED = 3
_COPY = re.compile(r"([^.:]+)[.:](\d{1,3})", re.ASCII)


def with_instance(function: F) -> F:
    """Add ``APP/SERVICE``, ``--site`` and ``--ordinal``."""
    for decorate in (
        click.option("--ordinal", type=click.IntRange(0), default=0, show_default=True, help="In this copy."),
        click.option(
            "--site", help="At this site; needed where the service runs at several.", shell_complete=complete_sites
        ),
        click.argument("where", metavar="APP/SERVICE[.N]", shell_complete=complete_services),
    ):
        function = decorate(function)
    return function


def split_instance(where: str) -> tuple[str, str]:
    """Return app and service; both must be named."""
    app, service = split_service(where)
    if not service:
        raise click.BadParameter(f"{where!r} names no service: write APP/SERVICE.")
    return app, service


def split_copy(where: str, ordinal: int | None = None) -> tuple[str, str, int | None]:
    """Return app, service and which copy: the number in ``APP/SERVICE.N``, as listings show it, else ``ordinal``.

    ``APP/SERVICE:N`` says the same. Names of services have neither sign.
    """
    found = _COPY.fullmatch(where)
    if found is None:
        app, service = split_instance(where)
        if "." in service or ":" in service:
            raise click.BadParameter(f"{where!r} has no copy's number at its end: write APP/SERVICE.N.")
        return app, service, ordinal
    number = int(found[2])
    if ordinal not in (None, 0, number):
        raise click.BadParameter(f"{where!r} is not copy {ordinal}.")
    return *split_instance(found[1]), number


def find_site(session: Session, app: str, service: str) -> str:
    """Return the only site where a service runs."""
    found = {each.site for each in session.client.instances.list(app=app) if each.service == service}
    if not found:
        raise NotFound("E-NOT-FOUND", f"{app}/{service} runs nowhere.", hint=f"skerry why {app}")
    if len(found) > 1:
        some = ", ".join(sorted(found)[:_SITES_NAMED])
        raise click.UsageError(f"{app}/{service} runs at {len(found)} sites: say --site, for example {some}.")
    return found.pop()


def name_caller(client: Client) -> str:
    """Return what the person at this end calls themselves, for who reads it at the site."""
    session = client.core.show_session()
    return (session.user or f"token {session.token_id}")[:CALL_BY_CHARACTERS_MAX]


def check_reason(reason: str) -> str:
    """Return why something is done, which is shown at the site; a line and no more."""
    if len(reason) > CALL_REASON_CHARACTERS_MAX or not reason.isprintable():
        raise click.BadParameter(f"The reason is one line of at most {CALL_REASON_CHARACTERS_MAX} characters.")
    return reason


def make_sign(
    session: Session, app: str, query: ExecQuery | VolumeControlQuery, **words: Any
) -> Callable[[Nonce], Envelope]:
    """Return what has the call signed; ``words`` are its verb and what belongs to that."""
    about = (
        {"volume": query.volume, "snapshot": query.snapshot}
        if isinstance(query, VolumeControlQuery)
        else {"service": ServiceName(query.service), "ordinal": query.ordinal}
    )

    def sign(told: Nonce) -> Envelope:
        if told.site != query.site:
            raise Invalid("E-SUBJECT", f"The core asks for a call at {told.site}, not at {query.site}.")
        call = Call(
            tenant=session.context.tenant,
            site=SiteName(query.site),
            node=told.node,
            nonce=told.nonce,
            app=AppName(app),
            **about,
            **words,
        )
        return session.signer.sign_call(encode_payload(call))

    return sign


@contextmanager
def say_what_is_missing(app: str, query: ExecQuery) -> Generator[None]:
    """Name what was asked for: the core says the same of everything that is not there."""
    try:
        yield
    except NotFound as error:
        what = f"{app}/{query.service}, copy {query.ordinal}, at site {query.site}"
        detail = f"{error.detail.removesuffix('.')}: {what}."
        raise NotFound(error.code, detail, hint=f"skerry app show {app}") from error
