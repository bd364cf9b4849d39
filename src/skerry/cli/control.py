"""``skerry instance restart``, ``stop`` and ``start``: one instance at one site, by a call that its owner's key signs.

The site remembers a stop itself: it holds over restarts and power cuts, cut off or not, until a start.
"""

from typing import Literal

import click

from skerry.cli.asking import confirm
from skerry.cli.calls import check_reason, find_site, make_sign, name_caller, say_what_is_missing, split_copy
from skerry.cli.names import complete_services, complete_sites
from skerry.cli.options import pass_session, with_dry_run, with_wait, with_yes
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.cli.views import event_kind
from skerry.cli.watching import wait_until
from skerry.model.answers import InstanceDetail
from skerry.model.asks import ControlQuery
from skerry.sdk.client import Client

Verb = Literal["restart", "stop", "start"]

_UP = ("instance.ready", "instance.done")
_DONE: dict[Verb, str] = {
    "restart": "is being restarted",
    "stop": "is stopped until it is started again, or its app restarted",
    "start": "may run again",
}


def _make_control(verb: Verb, about: str) -> click.Command:
    @click.command(verb, help=about)
    @click.argument("where", metavar="APP/SERVICE[.N]", shell_complete=complete_services)
    @click.option(
        "--site", help="At this site; needed where the service runs at several.", shell_complete=complete_sites
    )
    @click.option("--reason", default="", help="Why, in a line; it is shown wherever the instance is.")
    @with_wait
    @with_yes
    @with_dry_run
    @pass_session
    def control(
        session: Session, where: str, site: str | None, reason: str, wait_s: int, yes: bool, dry_run: bool
    ) -> None:
        app, service, copy = split_copy(where)
        ordinal = copy or 0
        check_reason(reason)
        query = ControlQuery(service=service, site=site or find_site(session, app, service), ordinal=ordinal, verb=verb)
        name = f"{app}/{service}.{ordinal} at {query.site}"
        with say_what_is_missing(app, query):
            before = session.client.instances.show(query.site, app, service, str(ordinal))
            if dry_run:
                tell(f"would {verb} {name}, which is {before.summary.phase}")
                return
            if verb != "start":
                confirm(session, f"{verb.capitalize()} {name}, which is {before.summary.phase}?", yes=yes)
            sign = make_sign(session, app, query, verb=verb, by=name_caller(session.client), reason=reason)
            session.client.control_instance(app, query, sign)
        tell(f"{name} {_DONE[verb]}")
        if wait_s:
            wait_until(lambda: _describe(session.client, app, query, before), wait_s, f"the {verb} of {name}")
        tell(f"Next: skerry instance show {app}/{service} --site {query.site} --ordinal {ordinal}")

    return control


restart = _make_control(
    "restart", "End one instance and start it again. Its site does so as soon as the call is there; others go on."
)
stop = _make_control(
    "stop",
    "Stop one instance at its site, until it is started again or its app restarted. "
    "The site remembers it, also over power cuts. The copy keeps its place, and no other comes instead.",
)
start = _make_control("start", "Let one instance run again that was stopped, from here or at the box.")


def _describe(client: Client, app: str, query: ControlQuery, before: InstanceDetail) -> str:
    """Say how an instance is not yet as it was told to be; empty when it is."""
    detail = client.instances.show(query.site, app, query.service, str(query.ordinal))
    now = detail.summary
    if now.site_state != "online":
        return f"{query.site} is {now.site_state}"
    if query.verb == "stop":
        return "" if now.phase == "held" else f"it is {now.phase}"
    is_up = now.phase in ("ready", "done")
    if query.verb == "restart":
        # That it is ready may be known from before: its site tells of it once more.
        last = max((int(event.id) for event in before.events), default=0)
        is_up = is_up and any(event_kind(each) in _UP and int(each.id) > last for each in detail.events)
    return "" if is_up else f"it is {now.phase}"
