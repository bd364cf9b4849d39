"""Ways from and to a network device of a node: the chains of the app that lead what it brings; pure."""

from collections.abc import Iterator, Mapping

from skerry.model.chain import ChainEnd
from skerry.model.ids import SiteName
from skerry.model.trace import TraceLine
from skerry.plan.trace.chains import BEYOND, at_service, find_chains, trace_chain
from skerry.plan.trace.doors import trace_doors
from skerry.plan.trace.ends import End
from skerry.plan.trace.known import Known, Placed
from skerry.plan.trace.packet import Told, say
from skerry.plan.trace.wish import Wish


def list_device_places(known: Known, end: End) -> list[Placed]:
    """Return the places of the steps that an app's chains from or to a device have: at their sites it is led."""
    chains = known.revisions[end.app].chains or ()
    steps = {step for chain in chains if _device(end) in (chain.start, chain.end) for step in chain.through}
    return [each for step in sorted(steps) for each in known.list_places(end.app, step)]


def trace_device(
    device: End,
    place: Placed | None,
    other: End,
    other_place: Placed | None,
    wish: Wish,
    known: Known,
    told: Mapping[SiteName, Told],
    *,
    leaves: bool,
) -> Iterator[TraceLine]:
    """Give the chains between a device and another end, and what comes behind them; ``leaves``: it begins there."""
    revision = known.revisions[device.app]
    if place is None:
        text = f"no step of a chain of {device.app} from or to {device.device} has a place: skerry why {device.app}"
        yield TraceLine(hop="end", site=device.site, verdict="stopped", text=text, source=f"revision {revision.number}")
        return
    near = told[place.site]
    if other_place is not None and (other_place.site, other.app) != (place.site, device.app):
        text = (
            f"{device.device} at {place.site} and {other.text} are not of one app at one site, so no chain is between"
        )
        yield say("chain", near, "stopped", text)
        return
    if other.kind == "instance":
        there = at_service(other.service)
    else:
        there = _device(other) if other.kind == "device" else BEYOND
    ends = (_device(device), there) if leaves else (there, _device(device))
    chains = find_chains(revision, *ends, wish)
    for chain in chains:
        for line in trace_chain(chain, revision, near):
            yield line
            if line.verdict == "stopped":
                return
    if not chains:
        way = f"from {device.device} to {other.text}" if leaves else f"from {other.text} to {device.device}"
        yield say("chain", near, "told", f"no chain of {device.app} leads what goes {way}")
        if other.kind == "instance" and leaves:
            yield from trace_doors(other, other_place, wish, known, told)
            return
    if not (other.kind == "instance" and leaves):
        text = f"from there on the node's own routes and rules count, which say what is at {device.device}"
        yield say("way out", near, "passes", text)


def _device(end: End) -> ChainEnd:
    return ChainEnd(kind="interface", name=end.device) if end.device else BEYOND
