"""What makes no sense in what few services ask for beside their node: hooks, disks, vendors' devices, sharing.

One function for one service, one for what services say of each other. Client, core and site ask the same ones.
"""

from collections.abc import Iterator

from skerry.model.app import AppRevision, DiskLimit, Further, Hook, Service, SharedNamespace
from skerry.model.grants import NodeUse, find_device_flaw, find_vendor_flaw
from skerry.model.limits import GRANTS_MAX, HOOKS_MAX, INTEGER_MAX

#: Shares of a disk's time, as control groups have them.
WEIGHT_MIN, WEIGHT_MAX = 10, 1_000


def find_extras_flaw(further: Further) -> str:
    """Return what is wrong with what one service says, empty when nothing is."""
    return next(_list_flaws(further), "")


def _list_flaws(further: Further) -> Iterator[str]:
    for hooks in (further.post_start, further.pre_stop):
        if len(hooks) > HOOKS_MAX:
            yield f"a service has at most {HOOKS_MAX} commands after a start, and before a stop"
        yield from filter(None, map(_find_hook_flaw, hooks))
    if len(further.disks) > GRANTS_MAX or len(further.vendor_devices) > GRANTS_MAX:
        yield f"it asks for more than {GRANTS_MAX} devices"
    if len({disk.device for disk in further.disks}) < len(further.disks):
        yield "one disk is named twice"
    yield from filter(None, map(_find_disk_flaw, further.disks))
    yield from filter(None, map(find_vendor_flaw, further.vendor_devices))


def _find_hook_flaw(hook: Hook) -> str:
    if not hook.command or not hook.command[0]:
        return "a command after a start or before a stop has no words"
    odd = next((name for name in hook.environment if not name or "=" in name or "\0" in name), None)
    return "" if odd is None else f"{odd[:80]!r} is no name of a variable"


def _find_disk_flaw(disk: DiskLimit) -> str:
    rates = (disk.read_bytes, disk.write_bytes, disk.read_count, disk.write_count)
    if not all(0 <= rate <= INTEGER_MAX for rate in rates):
        return "a limit of a disk is none"
    if disk.weight and not WEIGHT_MIN <= disk.weight <= WEIGHT_MAX:
        return f"a share of a disk is {WEIGHT_MIN} to {WEIGHT_MAX}"
    return find_device_flaw(disk.device)


def find_sharing_flaw(revision: AppRevision) -> str:
    """Return what is wrong with whose namespaces the services of an app share, empty when nothing is."""
    for name, service in revision.services.items():
        shares = service.further.shares if service.further else {}
        if len(set(shares.values())) > 1:
            return "the namespaces that a service shares are of one other service"
        if "network" in shares and (service.networks or service.ports):
            return "in the network of another service one has no networks and ports of its own"
        for namespace, target in shares.items():
            if target == name or target not in revision.services:
                return f"there is no service {target[:80]} to share namespaces with"
            flaw = find_pair_flaw(service, revision.services[target], namespace, target)
            if flaw:
                return flaw
    return ""


def find_pair_flaw(service: Service, target: Service, namespace: SharedNamespace, name: str) -> str:
    """Return why a service cannot be in a namespace of another; empty when it can."""
    theirs = target.further or Further()
    if theirs.shares:
        return f"{name} itself is in the namespaces of {next(iter(theirs.shares.values()))}"
    if namespace in (theirs.node or NodeUse()).host:
        return f"{name} is in the node's own: name that one, as a profile grants it"
    if namespace == "ipc" and theirs.ipc == "none":
        return f"{name} has none"
    ours, wanted = service.placement.replicas, target.placement.replicas
    if (ours.per_site, ours.total) != (wanted.per_site, wanted.total):
        return f"{name} has another number of copies, and each is in the namespaces of one"
    if ours.total > 1:
        return f"copies that are counted over all sites do not stand beside those of {name}: count them per site"
    return ""
