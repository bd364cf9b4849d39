"""``skerry chain``: ordered paths of traffic through services, and who has that traffic at each node."""

import click

from skerry.cli.names import complete_apps, complete_chains
from skerry.cli.options import pass_session, split_owned
from skerry.cli.output import Column, show_list, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.model.answers import ChainNodeView, ChainView

COLUMNS: tuple[Column[ChainView], ...] = (
    Column("chain", lambda each: f"{each.app}/{each.chain}"),
    Column("path", lambda each: " → ".join((each.start, *each.through, each.end))),
    Column("fail", lambda each: each.fail),
    Column("whole", lambda each: each.whole),
    Column("around", lambda each: each.around),
    Column("closed", lambda each: each.closed),
)

_NODES: tuple[Column[ChainNodeView], ...] = (
    Column("site", lambda each: each.site),
    Column("node", lambda each: each.node, wide=True),
    Column("state", lambda each: each.state),
    Column("steps", lambda each: ", ".join(each.steps[step] or f"{step}: none" for step in each.steps)),
    Column("reason", lambda each: each.reason),
)


@click.command()
@click.option("--app", default="", help="Only chains of this app.", shell_complete=complete_apps)
@with_output
@pass_session
def list_chains(session: Session, app: str, output: str) -> None:
    """List the service chains of apps."""
    found = session.client.chains.list(page_size=1_000, app=app)
    show_list(found, COLUMNS, output, lambda each: f"chain/{each.app}/{each.chain}")


@click.command()
@click.argument("chain", metavar="APP/CHAIN", shell_complete=complete_chains)
@with_output
@pass_session
def show(session: Session, chain: str, output: str) -> None:
    """Show a chain, and who has its traffic at each node."""
    app, name = split_owned(chain, "CHAIN")
    found = session.client.chains.show(app, name)

    def draw() -> None:
        view = found.chain
        write_pairs(
            [
                ("path", " → ".join((view.start, *view.through, view.end))),
                ("way back", "the same steps the other way round" if view.symmetric else "straight"),
                ("fail", view.fail),
            ]
        )
        if found.nodes:
            write_section("Nodes", found.nodes, _NODES)
        if found.more:
            tell(f"{found.more} further nodes are not listed")
        if view.closed:
            tell(f"Next: at {view.closed} nodes nothing passes; skerry instance list --app {app} says why")

    show_value(found, output, f"chain/{chain}", draw)
