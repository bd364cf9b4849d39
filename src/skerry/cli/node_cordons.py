"""``skerry node cordon``, ``uncordon``, ``drain``, ``remove``: keeping a machine of a site free, and taking it out."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_nodes
from skerry.cli.nodes import find_node
from skerry.cli.options import pass_session, with_dry_run, with_wait, with_yes
from skerry.cli.output import Column, show_value, tell, with_output, write_section
from skerry.cli.session import Session
from skerry.cli.views import STAYING, name_drained
from skerry.cli.watching import wait_until
from skerry.model.answers import DrainedInstance, NodeDrain
from skerry.sdk.client import Client

_MOVING: tuple[Column[DrainedInstance], ...] = (
    Column("instance", name_drained),
    Column("to", lambda each: f"{each.to}/{each.to_node}" if each.to_node else each.to),
)


@click.command()
@click.argument("where", metavar="SITE/NODE", shell_complete=complete_nodes)
@with_dry_run
@pass_session
def cordon(session: Session, where: str, dry_run: bool) -> None:
    """Place nothing new on a machine; what runs there stays, and new revisions still reach it."""
    found = find_node(session.client, where)
    if dry_run:
        tell(f"would place nothing new on {where}; its {len(found.instances)} instances stay")
        return
    session.client.nodes.cordon(found.summary.site, found.summary.node)
    tell(f"nothing new is placed on {where}; what runs there stays")
    tell(f"Next: skerry node drain {where}, or skerry node uncordon {where}")


@click.command()
@click.argument("where", metavar="SITE/NODE", shell_complete=complete_nodes)
@with_dry_run
@pass_session
def uncordon(session: Session, where: str, dry_run: bool) -> None:
    """Place instances on a machine again; what has moved away does not come back by itself."""
    node = find_node(session.client, where).summary
    if dry_run:
        kinds = ", ".join(each.kind for each in node.conditions) or "nothing"
        tell(f"would let instances come to {where} again; its conditions are: {kinds}")
        return
    session.client.nodes.uncordon(node.site, node.node)
    tell(f"instances may be placed on {where} again")


@click.command()
@click.argument("where", metavar="SITE/NODE", shell_complete=complete_nodes)
@with_wait
@with_output
@with_yes
@with_dry_run
@pass_session
def drain(session: Session, where: str, wait_s: int, output: str, yes: bool, dry_run: bool) -> None:
    """Move away what may move, and say what stays and why.

    A copy that is wanted at its site goes to another machine there, if one has room; copies that are counted in all may
    go to another site too. What has a volume stays. `skerry node cordon` stops it, `skerry node uncordon` ends it.
    """
    node = find_node(session.client, where).summary
    found = session.client.nodes.drain(node.site, node.node, dry_run=True)
    if not dry_run:
        count = len(found.moving) + sum(each.waits for each in found.staying)
        confirm(session, f"Move {count} instances away from {where}? {len(found.staying)} stay for now.", yes=yes)
        found = session.client.nodes.drain(node.site, node.node)
        if wait_s:
            wait_until(lambda: _describe_undrained(session.client, found), wait_s, f"the drain of {where}")
    show_value(found, output, f"node/{where}", lambda: _draw(found, where))


@click.command()
@click.argument("where", metavar="SITE/NODE", shell_complete=complete_nodes)
@with_yes
@with_dry_run
@pass_session
def remove(session: Session, where: str, yes: bool, dry_run: bool) -> None:
    """Take a machine out of its site's record, which is signed anew; the only one of a site stays.

    Drain it first: what still runs there goes on, and nobody is told of it any more.
    """
    found = find_node(session.client, where)
    if dry_run:
        tell(f"would take {where} out of its site's record, with {len(found.instances)} instances on it")
        return
    confirm(session, f"Take {where} out of its site? {len(found.instances)} instances are on it.", yes=yes)
    session.client.sites.remove_node(found.summary.site, found.summary.node)
    tell(f"{where} is no node of {found.summary.site} any more")


def _describe_undrained(client: Client, drained: NodeDrain) -> str:
    """Say what still moves away from a node, by a plan of now; empty at the end."""
    found = client.nodes.drain(drained.site, drained.node, dry_run=True)
    count = len(found.moving) + sum(each.waits for each in found.staying)
    return f"{count} instances have yet to move" if count else ""


def _draw(found: NodeDrain, where: str) -> None:
    write_section("Moves away" if not found.dry_run else "Would move away", found.moving, _MOVING)
    write_section("Stays", found.staying, STAYING)
    if found.dry_run:
        tell(f"Next: skerry node drain {where}")
    elif found.moving or any(each.waits for each in found.staying):
        tell(f"\n{where} is drained. Next: skerry node show {where}")
    elif found.staying:
        tell(f"\nnothing further moves away from {where} by itself")
    else:
        tell(f"{where} is empty. Next: skerry node uncordon {where} when it is back")
