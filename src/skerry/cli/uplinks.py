"""``skerry uplink``: the ways by which a site reaches the rest of the world, signed into its record."""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any

import click
import msgspec

from skerry.cli.asking import confirm
from skerry.cli.names import complete_sites
from skerry.cli.options import pass_session, with_dry_run, with_yes
from skerry.cli.output import Column, format_bytes, show_list, tell, with_output
from skerry.cli.session import Session
from skerry.manifest.quantities import QuantityError, parse_rate
from skerry.model.answers import UplinkUseView, UplinkView
from skerry.model.errors import NotFound
from skerry.model.uplinks import CLASSES, PREFERENCE_MAX, Uplink, UplinkClass, find_uplink_flaw, format_rate

_BUDGET = re.compile(r"([0-9]{1,9})(M|G|T)i?B?", re.ASCII)
_BUDGET_POWERS = {"M": 2, "G": 3, "T": 4}
_PRICE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII)


class Rate(click.ParamType[int]):
    """A rate like ``256kbit/s``, in bits per second; ``0`` for not stated."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bits per second."""
        if isinstance(value, int):
            return value
        try:
            return 0 if value == "0" else parse_rate(str(value))
        except QuantityError as error:
            self.fail(f"{error}.", param, ctx)


class _Budget(click.ParamType[int]):
    """Bytes a month like ``20Gi``; ``0`` for no limit."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        found = _BUDGET.fullmatch(str(value))
        if value != "0" and found is None:
            self.fail(f"{value!r} is no budget: write 500Mi or 20Gi, which are bytes a month.", param, ctx)
        return 0 if found is None else int(found[1]) * 1024 ** _BUDGET_POWERS[found[2]]


class _Price(click.ParamType[int]):
    """A price like ``1.50`` of a gigabyte, in millionths."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return millionths of the operator's unit, rounded up."""
        if isinstance(value, int):
            return value
        if _PRICE.fullmatch(str(value)) is None:
            self.fail(f"{value!r} is no price: write 1.50, in your own unit for a gigabyte.", param, ctx)
        return int((Decimal(str(value)) * 1_000_000).to_integral_value(ROUND_CEILING))


def _show_rate(bps: int) -> str:
    return format_rate(bps) if bps else ""


COLUMNS: tuple[Column[UplinkView], ...] = (
    Column("uplink", lambda each: each.uplink),
    Column("device", lambda each: each.device),
    Column("class", lambda each: each.kind),
    Column("up", lambda each: _show_rate(each.up_bps)),
    Column("down", lambda each: _show_rate(each.down_bps)),
    Column("price", lambda each: f"{each.price_micro / 1_000_000:g}/GB" if each.price_micro else ""),
    Column("budget", lambda each: f"{format_bytes(each.budget_bytes)} a month" if each.budget_bytes else ""),
    Column("preference", lambda each: each.preference),
)


@click.command("list")
@click.argument("site", shell_complete=complete_sites)
@with_output
@pass_session
def list_uplinks(session: Session, site: str, output: str) -> None:
    """List a site's uplinks, the one that is used first at the top."""
    show_list(session.client.sites.show(site).uplinks, COLUMNS, output, lambda each: f"uplink/{each.uplink}")


def _spent(each: UplinkUseView) -> str:
    share = f" of {format_bytes(each.budget_bytes)}" if each.budget_bytes else ""
    return f"{format_bytes(each.used_bytes)}{share}"


_USE: tuple[Column[UplinkUseView], ...] = (
    Column("uplink", lambda each: each.uplink),
    Column("link", lambda each: "goes by it" if each.has_link else ""),
    Column("class", lambda each: each.kind),
    Column("month", lambda each: each.month or "not told yet"),
    Column("used", _spent),
    Column("cost", lambda each: f"{each.cost_micro / 1_000_000:.2f}" if each.price_micro else ""),
    Column("for", lambda each: ", ".join(f"{word} {format_bytes(size)}" for word, size in _by_size(each.purposes))),
)


def _by_size(purposes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(purposes.items(), key=lambda item: -item[1])


@click.command("use")
@click.argument("site", shell_complete=complete_sites)
@with_output
@pass_session
def show_use(session: Session, site: str, output: str) -> None:
    """Show what went over a site's uplinks this month, and for what."""
    found = [each for links in session.client.sites.list_links(site=site) for each in links.uplinks]
    show_list(found, _USE, output, lambda each: f"uplink/{each.uplink}")


@click.command("set")
@click.argument("site", shell_complete=complete_sites)
@click.argument("uplink")
@click.option("--device", help="The network device that it is at, for example eth0.")
@click.option("--class", "kind", type=click.Choice(CLASSES), help="What sort of line it is.")
@click.option("--up", "up_bps", type=Rate(), help="What it carries out of the site, for example 10Mbit/s.")
@click.option("--down", "down_bps", type=Rate(), help="What it carries into the site.")
@click.option("--price", "price_micro", type=_Price(), help="What a gigabyte costs, in your own unit.")
@click.option("--budget", "budget_bytes", type=_Budget(), help="Bytes a month, for example 20Gi.")
@click.option("--preference", type=click.IntRange(0, PREFERENCE_MAX), help="The lowest that works is used.")
@with_dry_run
@pass_session
def set_uplink(session: Session, site: str, uplink: str, *, dry_run: bool, **given: Any) -> None:
    """Sign an uplink into a site's record; of one that is there already, what is not said stays as it was."""
    present = next((each for each in session.client.sites.show(site).uplinks if each.uplink == uplink), None)
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if present is None and "device" not in said:
        raise click.UsageError(f"Say at which --device of {site} the uplink {uplink} is.")
    wanted = msgspec.structs.replace(_read(present) if present else Uplink(device=""), **said)
    flaw = find_uplink_flaw(wanted)
    if flaw:
        word, _, why = flaw.partition(": ")
        raise click.BadParameter(f"{why}.", param_hint=f"--{word}")
    if dry_run:
        tell(f"would have uplink {uplink} of site {site} at {wanted.device}, {wanted.kind}")
        return
    is_changed = session.client.sites.set_uplink(site, uplink, wanted)
    tell(f"site {site} has uplink {uplink}" if is_changed else f"site {site} has uplink {uplink} like this already")


@click.command()
@click.argument("site", shell_complete=complete_sites)
@click.argument("uplink")
@with_yes
@with_dry_run
@pass_session
def remove(session: Session, site: str, uplink: str, *, yes: bool, dry_run: bool) -> None:
    """Take an uplink out of a site's record; the device itself is not touched."""
    if uplink not in {each.uplink for each in session.client.sites.show(site).uplinks}:
        raise NotFound("E-NOT-FOUND", f"Site {site} has no uplink {uplink!r}.", hint=f"skerry uplink list {site}")
    if dry_run:
        tell(f"would take uplink {uplink} from site {site}")
        return
    confirm(session, f"Take uplink {uplink} from site {site}? Nothing goes over it by policy any more.", yes=yes)
    session.client.sites.remove_uplink(site, uplink)
    tell(f"site {site} has no uplink {uplink} any more")


def _read(view: UplinkView) -> Uplink:
    kind: UplinkClass = next(each for each in CLASSES if each == view.kind)
    return Uplink(
        device=view.device,
        kind=kind,
        price_micro=view.price_micro,
        budget_bytes=view.budget_bytes,
        up_bps=view.up_bps,
        down_bps=view.down_bps,
        preference=view.preference,
    )
