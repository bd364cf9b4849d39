"""Services that start again with what they depend on (``depends_on.*.restart``), or whose namespaces they share. Pure.

The specification of such an instance names that of its dependency, so an update or a wished restart of the one makes
another specification of the other, and all that holds for a change holds for it: the order, the wait for the
dependency, a crash in between. A container that merely dies and is started again changes no specification, nor does a
further copy of the dependency: the first one at the node stands for all.
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.ids import Digest, InstanceId
from skerry.model.instance import spec_digest
from skerry.plan.derive import Derived
from skerry.plan.instances import Wanted, find_peers
from skerry.plan.sharing import find_pair, find_shared


def settle_companions(wanted: dict[InstanceId, Wanted]) -> dict[InstanceId, Wanted]:
    """Return ``wanted`` with the specifications of dependencies written into those that start again with them."""
    if not any(spec.restart_with or find_shared(spec) for spec in (item.derived.spec for item in wanted.values())):
        return wanted
    settled: dict[InstanceId, Wanted] = {}
    for name in sorted(wanted):
        _settle(name, wanted, settled, ())
    return settled


def find_companions(wanted: Mapping[InstanceId, Wanted], meant: Iterable[InstanceId]) -> tuple[InstanceId, ...]:
    """Return the further instances that start again when those that are meant do, in the order of their names."""
    found = set(meant)
    before = set[InstanceId]()
    while found != before:
        before = set(found)
        services = {(unit.tenant, unit.app, unit.service) for unit in (wanted[name].assignment for name in before)}
        found |= {
            name
            for name, item in wanted.items()
            for service in (*(item.derived.spec.restart_with or ()), find_shared(item.derived.spec))
            if (item.assignment.tenant, item.assignment.app, service) in services
        }
    return tuple(sorted(found.difference(meant)))


def _settle(
    name: InstanceId,
    wanted: dict[InstanceId, Wanted],
    settled: dict[InstanceId, Wanted],
    above: tuple[InstanceId, ...],
) -> Wanted:
    """Settle one instance after those that it depends on; a circle, which a manifest of ours lacks, ends somewhere."""
    if name in settled or name in above:
        return settled.get(name, wanted[name])
    item = wanted[name]
    spec = item.derived.spec
    if spec.restart_with:
        firsts: dict[str, str] = {}
        for service in spec.restart_with:
            peers = find_peers(spec, service, wanted.values())
            first = min(peers, key=lambda peer: peer.assignment.ordinal, default=None)
            above_it = (*above, name)
            firsts[service] = (
                "" if first is None else _settle(first.derived.spec.id, wanted, settled, above_it).derived.digest
            )
        spec = msgspec.structs.replace(spec, restart_with=firsts)
    if find_shared(spec) is not None:
        pair = find_pair(spec, (each.derived.spec for each in wanted.values()))
        joined = "" if pair is None else _settle(pair.id, wanted, settled, (*above, name)).derived.digest
        spec = msgspec.structs.replace(spec, joined=Digest(joined))
    if spec is not item.derived.spec:
        item = msgspec.structs.replace(item, derived=Derived(spec, spec_digest(spec)))
    settled[name] = item
    return item
