"""How a node steers packets through the steps of service chains: ``plan_chains`` writes one whole action.

Every next position is a *hop*: a mark, and a routing table of the same number that leads to the step and nowhere else.
A hop keeps its number for as long as the node has it, so a change of chains is: new hops first, then all rules at once,
then the hops that nobody uses. No packet meets half of a change.
Neighbours: ``chain_path.py`` finds the ends and steps of one chain here, ``chain_rules.py`` writes its rules.
"""

import hashlib

import msgspec

from skerry.model.chain import Chain
from skerry.model.ids import Digest, InstanceId, NodeName
from skerry.model.observed import ChainHop, Observation
from skerry.plan.actions import ApplyChains, ProbeChain, Steer
from skerry.plan.chain_devices import CLEAR, AppKey, find_obstacles
from skerry.plan.chain_marks import Hops
from skerry.plan.chain_path import Path
from skerry.plan.chain_probes import PROBES, find_due, probe_key
from skerry.plan.chain_rules import compile_path
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.site_plan import PlanDraft


def plan_chains(
    draft: PlanDraft, wanted: dict[InstanceId, Wanted], observed: Observation, history: History, node: NodeName
) -> bool:
    """Have the node steer as the chains of its apps say; say whether it does."""
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
    paths = [
        Path(chain, *app, observed, history, wanted, obstacles.get((app, chain.name), CLEAR))
        for app, chains in sorted(apps.items())
        for chain in chains
    ]
    for ((tenant, app), name), obstacle in sorted(obstacles.items(), key=lambda each: each[0]):
        draft.wait(f"chain/{tenant}/{app}/{name}", obstacle.reason)
    steers = [steer for number, path in enumerate(paths) for steer in compile_path(path, hops, f"c{number}")]
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
                return Path(chain, tenant, app, observed, history, wanted, obstacle).choose_probe(count)
    return f"no chain {key} is to be here"


def chains_digest(hops: tuple[ChainHop, ...], steers: tuple[Steer, ...]) -> Digest:
    """Name what steers packets by what it is made from."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode((hops, steers))).hexdigest())


def _newest_chains(wanted: dict[InstanceId, Wanted]) -> dict[AppKey, tuple[Chain, ...]]:
    """Return the chains of each app, as its newest revision here has them."""
    found: dict[AppKey, tuple[int, tuple[Chain, ...]]] = {}
    for item in wanted.values():
        spec = item.derived.spec
        key = spec.tenant, spec.app
        if key not in found or found[key][0] < item.number:
            found[key] = item.number, item.chains
    return {key: chains for key, (_, chains) in found.items() if chains}
