"""``skerry site relay``: let a site pass on datagrams between other sites, signed into its record."""

import re
from typing import Any

import click

from skerry.cli.names import complete_sites
from skerry.cli.options import pass_session, with_dry_run
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.cli.uplinks import Rate
from skerry.model.site_relay import PAIR_BPS, SiteRelay, find_relay_flaw

_PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)


class _Ports(click.ParamType[tuple[int, int]]):
    """Ports like ``52000-52099``."""

    name = "ports"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the first and the last."""
        found = _PORTS.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} are no ports: write 52000-52099, two for each pair of sites.", param, ctx)
        return int(found[1]), int(found[2])


@click.command("relay")
@click.argument("site", shell_complete=complete_sites)
@click.option("--ports", type=_Ports(), help="UDP ports that it lends, two for each pair of sites.")
@click.option("--address", default="", help="Where other sites reach them, if that is not the node's own address.")
@click.option("--pair-rate", "pair_bps", type=Rate(), default=PAIR_BPS, help="What a pair may use; 10Mbit/s by itself.")
@click.option("--rate", "bps", type=Rate(), default=0, help="What all pairs may use together; no limit by itself.")
@click.option("--off", is_flag=True, help="Let it relay for nobody any more.")
@with_dry_run
@pass_session
def relay(
    session: Session,
    site: str,
    ports: tuple[int, int] | None,
    address: str,
    pair_bps: int,
    bps: int,
    *,
    off: bool,
    dry_run: bool,
) -> None:
    """Let a site pass on what two others send each other that cannot reach each other; it can read nothing of it."""
    if off == (ports is not None):
        raise click.UsageError("Say which --ports the site lends, or --off.")
    wanted = None
    if ports is not None:
        wanted = SiteRelay(first=ports[0], last=ports[1], address=address, pair_bps=pair_bps, bps=bps)
        flaw = find_relay_flaw(wanted)
        if flaw:
            word, _, why = flaw.partition(": ")
            raise click.BadParameter(f"{why}.", param_hint=f"--{word}")
    said = "relays for nobody" if wanted is None else f"relays by UDP ports {wanted.first}-{wanted.last}"
    if dry_run:
        session.client.sites.show(site)
        tell(f"would sign that site {site} {said}")
        return
    is_changed = session.client.sites.set_relay(site, wanted)
    tell(f"site {site} {said}" + ("" if is_changed else " already"))
