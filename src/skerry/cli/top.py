"""``skerry top``: what sites and instances use, drawn again while one looks, and JSON lines in a pipe.

While it runs the core asks the sites shown for quicker samples; nobody has to end that, it ends by itself.
"""

import collections

import click

from skerry.cli.names import complete_sites
from skerry.cli.options import pass_session
from skerry.cli.output import Column, format_bytes, is_drawn
from skerry.cli.session import Session
from skerry.cli.watching import show_again
from skerry.clock import pause
from skerry.model.answers import InstanceUseView, SiteLinks, SiteUseView

#: Below this share of free disk a person should look: images and volumes grow while nobody does.
_DISK_FREE_LOW = 0.1
#: Between two looks: samples come every half minute at best.
_LOOK_S = 5.0


def share(used: int, whole: int) -> str:
    """Say how much of something is used."""
    return f"{format_bytes(used)} of {format_bytes(whole)}" if whole else ""


def processors(thousandths: int | None) -> str:
    """Say how many processors are busy."""
    return "" if thousandths is None else f"{thousandths / 1000:.2f}"


def notes(each: SiteUseView) -> tuple[str, ...]:
    """Name what calls for a person."""
    low = each.disk_bytes and each.sampled_s_ago is not None
    full = low and each.disk_bytes - each.disk_used_bytes < each.disk_bytes * _DISK_FREE_LOW
    return (*each.conditions, *(("disk-nearly-full",) if full and "disk-full" not in each.conditions else ()))


SITES: tuple[Column[SiteUseView], ...] = (
    Column("site", lambda each: each.site),
    Column("state", lambda each: each.state),
    Column("cpu", lambda each: f"{processors(each.cpu_used_m)} of {processors(each.cpu_m)}" if each.cpu_m else ""),
    Column("load", lambda each: "" if each.sampled_s_ago is None else processors(each.load_m)),
    Column("memory", lambda each: share(each.memory_used_bytes, each.memory_bytes)),
    Column("disk", lambda each: share(each.disk_used_bytes, each.disk_bytes)),
    Column("round trip", lambda each: f"{each.link_rtt_us / 1000:.0f} ms" if each.link_rtt_us else ""),
    Column("instances", lambda each: f"{each.ready} of {each.instances}"),
    Column("sampled", lambda each: "never" if each.sampled_s_ago is None else f"{each.sampled_s_ago} s ago"),
    Column("look at", notes),
)
INSTANCES: tuple[Column[InstanceUseView], ...] = (
    Column("instance", lambda each: f"{each.app}/{each.service}.{each.ordinal}"),
    Column("site", lambda each: each.site),
    Column("phase", lambda each: each.phase),
    Column("cpu", lambda each: processors(each.cpu_used_m)),
    Column("memory", lambda each: "" if each.sampled_s_ago is None else format_bytes(each.memory_bytes)),
    Column("received", lambda each: format_bytes(each.received_bytes)),
    Column("sent", lambda each: format_bytes(each.sent_bytes)),
    Column("read", lambda each: format_bytes(each.read_bytes)),
    Column("written", lambda each: format_bytes(each.written_bytes)),
    Column("restarts", lambda each: each.restarts),
    Column("sampled", lambda each: "never" if each.sampled_s_ago is None else f"{each.sampled_s_ago} s ago"),
)


def name_peers(each: SiteLinks) -> str:
    """Say how the ways to other sites are, those that work first."""
    counts = collections.Counter(peer.way for peer in each.peers)
    return ", ".join(f"{counts[way]} {way}" for way in ("direct", "relayed", "quiet", "cut") if counts[way])


def worst_loss(each: SiteLinks) -> str:
    """Name the peer that loses most."""
    lossy = [(peer.loss_m, peer.site) for peer in each.peers if peer.loss_m]
    return f"{max(lossy)[0] / 10:.1f} % to {max(lossy)[1]}" if lossy else ""


def name_uplink(each: SiteLinks) -> str:
    """Name the uplink that has the link, and what is spent of its budget."""
    used = next((uplink for uplink in each.uplinks if uplink.has_link), None)
    if used is None:
        return ""
    spent = f", {used.used_bytes * 100 // used.budget_bytes} % spent" if used.budget_bytes else ""
    return f"{used.uplink} ({used.kind}{spent})"


LINKS: tuple[Column[SiteLinks], ...] = (
    Column("site", lambda each: each.site),
    Column("state", lambda each: each.state),
    Column("round trip", lambda each: f"{each.rtt_us / 1000:.0f} ms" if each.rtt_us else ""),
    Column("uplink", name_uplink),
    Column("to other sites", name_peers),
    Column("loses most", worst_loss),
    Column("through tunnels", lambda each: format_bytes(sum(p.received_bytes + p.sent_bytes for p in each.peers))),
    Column("sampled", lambda each: "never" if each.sampled_s_ago is None else f"{each.sampled_s_ago} s ago"),
)


def _rest(_: float) -> None:
    pause(_LOOK_S)


@click.command()
@click.argument("what", type=click.Choice(("sites", "apps", "links")), default="sites")
@click.option("--site", default="", help="Only this site.", shell_complete=complete_sites)
@click.option("--app", default="", help="With apps: only this app.")
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("-o", "--output", type=click.Choice(("table", "jsonl")), default=None, help="How to show it.")
@pass_session
def top(session: Session, what: str, site: str, app: str, once: bool, output: str | None) -> None:
    """Show what sites use, instances of apps, or links of sites, until interrupted. In a pipe: JSON lines."""
    client = session.client
    shown = output or ("table" if is_drawn() else "jsonl")
    if what == "apps":
        show_again(
            lambda: list(client.instances.list_use(page_size=1_000, app=app, site=site)),
            INSTANCES,
            shown,
            lambda each: f"instance/{each.instance}@{each.site}",
            watch=not once,
            rest=_rest,
        )
        return
    if app:
        raise click.UsageError("--app goes with `skerry top apps`.")
    if what == "links":
        show_again(
            lambda: list(client.sites.list_links(page_size=1_000, site=site)),
            LINKS,
            shown,
            lambda each: f"link/{each.site}",
            watch=not once,
            rest=_rest,
        )
        return
    show_again(
        lambda: list(client.sites.list_use(page_size=1_000, site=site)),
        SITES,
        shown,
        lambda each: f"site/{each.site}",
        watch=not once,
        rest=_rest,
    )
