"""``skerry network``: the networks of apps, and which site has which part of those over several sites."""

import click

from skerry.cli.names import complete_apps, complete_networks
from skerry.cli.options import pass_session, split_owned
from skerry.cli.output import Column, show_list, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.model.answers import NetworkPartView, NetworkView

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
        if found.more:
            tell(f"{found.more} further parts are not listed")
        lone = sum(not part.sees for part in found.parts)
        if lone and len(found.parts) > 1:
            tell(f"Next: {lone} sites see no other yet; skerry site show SITE says what is missing there")

    show_value(found, output, f"network/{network}", draw)


def _list_some(names: tuple[str, ...], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "") if names else "nobody"
