"""How a node steers packets through the steps of service chains: ``plan_chains`` writes one whole action.

Every next position is a *hop*: a mark, and a routing table of the same number that leads to the step and nowhere else.
A hop keeps its number for as long as the node has it, so a change of chains is: new hops first, then all rules at once,
then the hops that nobody uses. No packet meets half of a change.
An app that ends keeps its chains until nothing of it runs any more; nothing else is told or tested of them then.
Neighbours: ``chain_path.py`` finds the ends and steps of one chain here, ``chain_rules.py`` writes its rules.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.chain import Chain
from skerry.model.ids import Digest, InstanceId, NodeName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ChainHop, ContainerSeen, Observation
from skerry.plan.actions import ApplyChains, ProbeChain, Steer
from skerry.plan.chain_devices import CLEAR, AppKey, find_obstacles
from skerry.plan.chain_marks import Hops
from skerry.plan.chain_path import Path
from skerry.plan.chain_probes import PROBES, find_due, probe_key
from skerry.plan.chain_rules import compile_path
from skerry.plan.history import History, Led
from skerry.plan.instances import LIVE, Wanted
from skerry.plan.site_plan import PlanDraft


def plan_chains(
    draft: PlanDraft,
    wanted: dict[InstanceId, Wanted],
    observed: Observation,
    history: History,
    node: NodeName,
    shut_out: Mapping[InstanceId, Wanted],
) -> bool:
    """Have the node steer as the chains of its apps say; say whether it does.

    ``shut_out`` are instances of apps that are held because they cut the node off.
    """
    leaving = _find_leaving(wanted, history.led | _note_led(shut_out), observed.containers)
    draft.led = _note_led(wanted) | leaving
    apps = _newest_chains(wanted)
    seen = observed.chains
    if seen is None or seen.reason:
        for (tenant, app), chains in sorted(apps.items()):
            reason = "nothing here steers packets" if seen is None else seen.reason
            for chain in chains:
                draft.wait(f"chain/{tenant}/{app}/{chain.name}", reason)
        return not any(apps.values())
    hops = Hops(seen.hops)
    obstacles = find_obstacles(apps, wanted, observed)
    specs = _list_specs(wanted)
    paths = [
        Path(chain, *app, observed, history, specs, obstacles.get((app, chain.name), CLEAR))
        for app, chains in sorted(apps.items())
        for chain in chains
    ]
    led = {name: each.spec for name, each in leaving.items()}
    crossing = _leave_out_unseen(observed)
    last_paths = [
        Path(chain, *app, crossing, history, led)
        for app, chains in sorted(_choose_newest(leaving.values()).items())
        for chain in chains
    ]
    for ((tenant, app), name), obstacle in sorted(obstacles.items(), key=lambda each: each[0]):
        draft.wait(f"chain/{tenant}/{app}/{name}", obstacle.reason)
    marked = enumerate([*paths, *last_paths])
    steers = [steer for number, path in marked for steer in compile_path(path, hops, f"c{number}")]
    action = ApplyChains(hops=hops.list(), steers=tuple(steers), digest=chains_digest(hops.list(), tuple(steers)))
    idle = not (action.hops or action.steers)
    is_so = seen.digest == ("" if idle else action.digest) and seen.hops == action.hops
    draft.facts += [path.tell(node, history, is_so=is_so) for path in paths]
    if not is_so:
        draft.add(action)
        return False
    draft.chains = tuple(path.count(seen.counts, f"c{number}") for number, path in enumerate(paths))
    probes = (path.choose_probe(PROBES) for path in paths)
    due, next_us = find_due(
        history.probes, [each for each in probes if isinstance(each, ProbeChain)], draft.now.boot_us
    )
    draft.wake(next_us)
    if due is not None:
        draft.add(due)
    return True


def find_probe(
    wanted: dict[InstanceId, Wanted], observed: Observation, history: History, key: str, count: int
) -> ProbeChain | str:
    """Return how to test one chain of this node now, or why that cannot be."""
    apps = _newest_chains(wanted)
    for (tenant, app), chains in apps.items():
        for chain in chains:
            if probe_key(tenant, app, chain.name) == key:
                seen = observed.chains
                if seen is None or seen.reason:
                    return "nothing here steers packets" if seen is None else seen.reason
                obstacle = find_obstacles(apps, wanted, observed).get(((tenant, app), chain.name), CLEAR)
                return Path(chain, tenant, app, observed, history, _list_specs(wanted), obstacle).choose_probe(count)
    return f"no chain {key} is to be here"


def chains_digest(hops: tuple[ChainHop, ...], steers: tuple[Steer, ...]) -> Digest:
    """Name what steers packets by what it is made from."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode((hops, steers))).hexdigest())


def _find_leaving(
    wanted: Mapping[InstanceId, Wanted], before: Mapping[InstanceId, Led], containers: Iterable[ContainerSeen]
) -> dict[InstanceId, Led]:
    """Return what was wanted of apps of which nothing is wanted here any more, while something of them runs.

    Without chains of the node's devices: who is there is no part of the app, and does not end with it.
    """
    stay = {(item.derived.spec.tenant, item.derived.spec.app) for item in wanted.values()}
    going = {(seen.tenant, seen.app) for seen in containers if seen.state in LIVE} - stay
    found: dict[InstanceId, Led] = {}
    for name, each in before.items():
        if (each.spec.tenant, each.spec.app) in going:
            kept = tuple(chain for chain in each.chains if "interface" not in (chain.start.kind, chain.end.kind))
            found[name] = msgspec.structs.replace(each, chains=kept)
    return found


def _leave_out_unseen(observed: Observation) -> Observation:
    """Leave out networks that are no bridges here: nobody says any more which are at devices of the node."""
    here = {(each.tenant, each.app, each.name) for each in observed.networks}
    containers = tuple(
        msgspec.structs.replace(
            seen,
            addresses={name: each for name, each in seen.addresses.items() if (seen.tenant, seen.app, name) in here},
        )
        for seen in observed.containers
    )
    return msgspec.structs.replace(observed, containers=containers)


def _note_led(wanted: Mapping[InstanceId, Wanted]) -> dict[InstanceId, Led]:
    return {name: Led(item.derived.spec, item.number, item.chains) for name, item in wanted.items() if item.chains}


def _list_specs(wanted: Mapping[InstanceId, Wanted]) -> dict[InstanceId, InstanceSpec]:
    return {name: item.derived.spec for name, item in wanted.items()}


def _newest_chains(wanted: Mapping[InstanceId, Wanted]) -> dict[AppKey, tuple[Chain, ...]]:
    return _choose_newest(Led(item.derived.spec, item.number, item.chains) for item in wanted.values())


def _choose_newest(led: Iterable[Led]) -> dict[AppKey, tuple[Chain, ...]]:
    """Return the chains of each app, as its newest revision here has them."""
    found: dict[AppKey, Led] = {}
    for each in led:
        key = each.spec.tenant, each.spec.app
        if key not in found or found[key].number < each.number:
            found[key] = each
    return {key: each.chains for key, each in found.items() if each.chains}
