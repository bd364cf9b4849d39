"""``skerry site cordon``, ``uncordon`` and ``drain``: keeping a site free, by an operator's word to the core."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_sites
from skerry.cli.options import pass_session, with_dry_run, with_wait, with_yes
from skerry.cli.output import Column, show_value, tell, with_output, write_section
from skerry.cli.session import Session
from skerry.cli.views import STAYING, name_drained
from skerry.cli.watching import wait_until
from skerry.model.answers import DrainedInstance, SiteDrain
from skerry.sdk.client import Client
from skerry.sdk.waiting import describe_unready_site

_MOVING: tuple[Column[DrainedInstance], ...] = (
    Column("instance", name_drained),
    Column("to", lambda each: each.to),
)


@click.command()
@click.argument("site", shell_complete=complete_sites)
@with_dry_run
@pass_session
def cordon(session: Session, site: str, dry_run: bool) -> None:
    """Place nothing new at a site; what runs there stays, and new revisions still reach it."""
    if dry_run:
        summary = session.client.sites.show(site).summary
        tell(f"would place nothing new at {site}; its {summary.instances} instances stay")
        return
    session.client.sites.cordon(site)
    tell(f"nothing new is placed at {site}; what runs there stays")
    tell(f"Next: skerry site drain {site}, or skerry site uncordon {site}")


@click.command()
@click.argument("site", shell_complete=complete_sites)
@with_dry_run
@pass_session
def uncordon(session: Session, site: str, dry_run: bool) -> None:
    """Place instances at a site again; what has moved away does not come back by itself."""
    if dry_run:
        kinds = ", ".join(each.kind for each in session.client.sites.show(site).summary.conditions) or "nothing"
        tell(f"would let instances come to {site} again; its conditions are: {kinds}")
        return
    session.client.sites.uncordon(site)
    tell(f"instances may be placed at {site} again")


@click.command()
@click.argument("site", shell_complete=complete_sites)
@with_wait
@with_output
@with_yes
@with_dry_run
@pass_session
def drain(session: Session, site: str, wait_s: int, output: str, yes: bool, dry_run: bool) -> None:
    """Move away what may move, and say what stays and why.

    Copies that are counted in all go to other sites, few at a time; copies wanted at each site, and those with a
    volume, stay. `skerry site cordon` stops it, `skerry site uncordon` ends it. With --wait it returns once
    all that may move has a place elsewhere and the site has let it go.
    """
    found = session.client.sites.drain(site, dry_run=True)
    if not dry_run:
        count = len(found.moving) + sum(each.waits for each in found.staying)
        confirm(session, f"Move {count} instances away from {site}? {len(found.staying)} stay for now.", yes=yes)
        found = session.client.sites.drain(site)
        if wait_s:
            wait_until(lambda: _describe_undrained(session.client, site), wait_s, f"the drain of {site}")
    show_value(found, output, f"site/{site}", lambda: _draw(found))


def _describe_undrained(client: Client, site: str) -> str:
    """Say what still moves away from a site, by a plan of now, or what the site has yet to do; empty at the end."""
    found = client.sites.drain(site, dry_run=True)
    if count := len(found.moving) + sum(each.waits for each in found.staying):
        return f"{count} instances have yet to move"
    detail = client.sites.show(site)
    if detail.document.held < detail.document.wanted:
        return f"site {site} is {detail.summary.state} and has yet to take its newest document"
    return describe_unready_site(detail.summary)


def _draw(found: SiteDrain) -> None:
    write_section("Moves away" if not found.dry_run else "Would move away", found.moving, _MOVING)
    write_section("Stays", found.staying, STAYING)
    if found.dry_run:
        tell(f"Next: skerry site drain {found.site}")
    elif found.moving or any(each.waits for each in found.staying):
        tell(f"\n{found.site} is drained. Next: skerry site show {found.site}")
    elif found.staying:
        tell(f"\nnothing further moves away from {found.site} by itself")
    else:
        tell(f"{found.site} is empty. Next: skerry site uncordon {found.site} when it is back")
