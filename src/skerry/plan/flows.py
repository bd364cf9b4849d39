"""What the node counts of packets: of each network, and of each uplink what goes there by tunnels and from instances.

Pure. Counting decides nothing and stops nothing. Of a network is counted what leaves its bridge for anywhere else and
what comes to it, before any rule of the node and after all of them: the difference was dropped here, by whomever. What
stays at one bridge passes no rule and is not counted. Counters last as long as the boot; what is no longer wished loses
its own, and the others go on.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from skerry.model.ids import Digest
from skerry.model.limits import SAMPLE_NETWORKS_MAX
from skerry.model.network import OVERLAY_PORTS, bridge_name
from skerry.model.observed import NetworkSeen, Observation
from skerry.model.samples import NetworkUse
from skerry.model.uplinks import Uplink
from skerry.plan.actions import ApplyFlows
from skerry.plan.site_plan import PlanDraft

#: What is counted of a network: towards the node's rules, behind them, and the same of what comes to the bridge.
NETWORK_COUNTS = ("tried", "left", "meant", "came")
#: What is counted of an uplink, both ways together: tunnels to other sites, and what instances and the world exchange.
UPLINK_COUNTS = ("tunnels", "instances")


def plan_flows(draft: PlanDraft, observed: Observation, uplinks: Mapping[str, Uplink]) -> None:
    """Have the node count what it should, where it can count at all."""
    seen = observed.flows
    if seen is None or seen.reason:
        return
    action = make_flows(observed, uplinks)
    if seen.digest != action.digest:
        draft.add(action)


def make_flows(observed: Observation, uplinks: Mapping[str, Uplink]) -> ApplyFlows:
    """Return what is to be counted; with an empty digest nothing is."""
    bridges = sorted(bridge_name(each.tenant, each.app, each.name) for each in observed.networks)
    devices = sorted(each.device for each in uplinks.values())
    port = observed.overlay.port if observed.overlay is not None else 0
    ports = (port, port + OVERLAY_PORTS - 1) if port else (0, 0)
    content = msgspec.json.encode((bridges, devices, ports))
    digest = Digest("sha256:" + hashlib.sha256(content).hexdigest()) if bridges or devices else Digest("")
    return ApplyFlows(bridges=tuple(bridges), devices=tuple(devices), ports=ports, digest=digest)


def network_counter(bridge: str, what: str) -> str:
    """Name a counter of a network, as nft has it: the bridge's name is of letters and digits."""
    return f"{bridge}_{what}"


def uplink_counter(device: str, what: str) -> str:
    """Name a counter of an uplink; a device may be called what no word of nft may be."""
    return f"u{hashlib.sha256(device.encode()).hexdigest()[:12]}_{what}"


def list_network_use(networks: Iterable[NetworkSeen], counts: Mapping[str, tuple[int, int]]) -> Iterator[NetworkUse]:
    """Give what each network has moved since it is counted; one that has moved nothing is left out."""
    for each in sorted(networks, key=lambda each: (each.tenant, each.app, each.name))[:SAMPLE_NETWORKS_MAX]:
        bridge = bridge_name(each.tenant, each.app, each.name)
        tried, left, meant, came = (counts.get(network_counter(bridge, what), (0, 0)) for what in NETWORK_COUNTS)
        if tried[0] or meant[0]:
            # They are read one after the other while packets go on.
            lost = [
                max(before[place] - after[place], 0)
                for before, after in ((tried, left), (meant, came))
                for place in (0, 1)
            ]
            yield NetworkUse(
                tenant=each.tenant,
                app=each.app,
                network=each.name,
                sent_packets=left[0],
                sent_bytes=left[1],
                received_packets=came[0],
                received_bytes=came[1],
                dropped_packets=lost[0] + lost[2],
                dropped_bytes=lost[1] + lost[3],
            )


def sum_purposes(observed: Observation, uplinks: Mapping[str, Uplink], linked: Mapping[str, int]) -> dict[str, int]:
    """Return bytes since some beginning by ``DEVICE/PURPOSE``, for devices of uplinks.

    ``linked`` is what the agent's own link has carried, by the same names.
    """
    counts = observed.flows.counts if observed.flows is not None else {}
    devices = {each.device for each in uplinks.values()}
    found = {name: size for name, size in linked.items() if name.rpartition("/")[0] in devices}
    for device in sorted(devices):
        for what in UPLINK_COUNTS:
            counted = counts.get(uplink_counter(device, what))
            if counted is not None:
                found[f"{device}/{what}"] = counted[1]
    return found
