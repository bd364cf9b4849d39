"""``skerry network``: the networks of apps, which site has which part of those over sites, and the way of packets."""

import click

from skerry.cli.names import complete_apps, complete_networks, complete_services
from skerry.cli.options import pass_session, split_owned
from skerry.cli.output import Column, format_bytes, show_list, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.model.answers import NetworkFlow, NetworkPartView, NetworkView, TraceAnswer
from skerry.model.trace import PROTOCOLS, TraceLine, TraceProtocol, TraceVerdict

COLUMNS: tuple[Column[NetworkView], ...] = (
    Column("network", lambda each: f"{each.app}/{each.network}"),
    Column("kind", lambda each: each.kind),
    Column("over", lambda each: "all sites of the app" if each.scope == "app" else "each site by itself"),
    Column("way out", lambda each: "no" if each.internal else "yes"),
    Column("services", lambda each: ", ".join(each.services)),
    Column("sites", lambda each: each.sites),
)

_PARTS: tuple[Column[NetworkPartView], ...] = (
    Column("site", lambda each: each.site),
    Column("addresses", lambda each: ", ".join(each.ranges)),
    Column("sees", lambda each: _list_some(each.sees)),
    Column("looked for at", lambda each: ", ".join(each.endpoints) or "nobody looks for it"),
    Column("relay", lambda each: each.relay, wide=True),
)


#: What a person sees at a glance; the word stands in ``-o json``.
_SIGNS: dict[TraceVerdict, str] = {"passes": "passes", "stopped": "STOPS", "unknown": "unknown", "told": ""}


def _read_port(text: str) -> tuple[int, TraceProtocol]:
    """Read a port like ``80`` or ``53/udp``, or ``icmp``; empty is none in particular. Raises ``BadParameter``."""
    if text in ("", "icmp"):
        protocol: TraceProtocol = "icmp" if text else "tcp"
        return 0, protocol
    number, _, word = text.partition("/")
    known: dict[str, TraceProtocol] = {each: each for each in PROTOCOLS}
    found = known.get(word or "tcp")
    if found is None or not (number.isascii() and number.isdigit() and 0 < int(number) <= 65_535):
        raise click.BadParameter(f"{text!r} is no port: write 80, 53/udp or icmp.", param_hint="--port")
    return int(number), found


_FLOWS: tuple[Column[NetworkFlow], ...] = (
    Column("site", lambda each: each.site),
    Column("sent", lambda each: format_bytes(each.sent_bytes)),
    Column("received", lambda each: format_bytes(each.received_bytes)),
    Column("dropped", lambda each: f"{each.dropped_packets} packets" if each.dropped_packets else ""),
    Column("sampled", lambda each: f"{each.sampled_s_ago} s ago"),
)


@click.command()
@click.option("--app", default="", help="Only networks of this app.", shell_complete=complete_apps)
@with_output
@pass_session
def list_networks(session: Session, app: str, output: str) -> None:
    """List the networks of apps."""
    found = session.client.networks.list(page_size=1_000, app=app)
    show_list(found, COLUMNS, output, lambda each: f"network/{each.app}/{each.network}")


@click.command()
@click.argument("network", metavar="APP/NETWORK", shell_complete=complete_networks)
@with_output
@pass_session
def show(session: Session, network: str, output: str) -> None:
    """Show a network, and its part at each site where it is one over sites."""
    app, name = split_owned(network, "NETWORK")
    found = session.client.networks.show(app, name)

    def draw() -> None:
        view = found.network
        over = "all sites of the app, encrypted between them" if view.scope == "app" else "each site by itself"
        pairs = [
            ("kind", view.kind),
            ("over", over),
            ("way out", "no" if view.internal else "yes"),
            ("services", ", ".join(view.services) or "none"),
            ("sites", str(view.sites)),
        ]
        write_pairs([*pairs, ("all of it", found.prefix)] if found.prefix else pairs)
        if found.parts:
            write_section("Parts", found.parts, _PARTS)
        if found.flows:
            write_section("Moved", found.flows, _FLOWS)
        if found.more:
            tell(f"{found.more} further parts are not listed")
        lone = sum(not part.sees for part in found.parts)
        if lone and len(found.parts) > 1:
            tell(f"Next: {lone} sites see no other yet; skerry site show SITE says what is missing there")

    show_value(found, output, f"network/{network}", draw)


_LINES: tuple[Column[TraceLine], ...] = (
    Column("", lambda each: _SIGNS[each.verdict]),
    Column("hop", lambda each: each.hop),
    Column("site", lambda each: each.site),
    Column("what", lambda each: each.text),
    Column("known from", lambda each: each.source),
    Column("age", lambda each: "" if each.age_s is None else f"{each.age_s} s"),
)


@click.command()
@click.argument("start", metavar="FROM", shell_complete=complete_services)
@click.argument("end", metavar="TO", shell_complete=complete_services)
@click.option("--port", default="", help="What is sent to, for example 80 or 53/udp.")
@with_output
@pass_session
def trace(session: Session, start: str, end: str, port: str, output: str) -> None:
    """Follow packets from one end to another, and say where they stop and why.

    An end is APP/SERVICE[-ORDINAL][@SITE], APP/interface:DEVICE[@SITE], a site, internet, an address, or a host name of
    an entrance.
    """
    number, protocol = _read_port(port)
    found = session.client.networks.trace(start=start, end=end, port=number, protocol=protocol)

    def draw() -> None:
        to = f" port {found.port}" if found.port else ""
        places = [f"{text} at {site}" if site and site != text else text for text, site in _name_ends(found)]
        write_pairs([("from", places[0]), ("to", places[1] + to), ("verdict", f"{found.verdict}: {found.reason}")])
        write_section("Way", found.lines, _LINES)

    show_value(found, output, f"trace/{start}/{end}", draw)


def _name_ends(found: TraceAnswer) -> tuple[tuple[str, str], tuple[str, str]]:
    return (found.start, found.start_site), (found.end, found.end_site)


def _list_some(names: tuple[str, ...], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "") if names else "nobody"
