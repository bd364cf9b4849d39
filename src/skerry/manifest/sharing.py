"""``network_mode``, ``pid`` and ``ipc`` with ``service:NAME``: namespaces that a service has in common with another.

Copies share with the copy of the same ordinal, so both services have the same copies, side by side at one node. An
instance in another's namespaces is in its namespace of users too, so all that it shares is of one other service.
"""

from collections.abc import Mapping as Names

import msgspec

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.model.app import Service, SharedNamespace
from skerry.model.extras import find_pair_flaw
from skerry.model.ids import ServiceName
from skerry.model.placing import PlacementRules, Together

#: Compose's word for each namespace.
FIELDS: dict[SharedNamespace, str] = {"network": "network_mode", "pid": "pid", "ipc": "ipc"}
PREFIX = "service:"
#: What is the other service's business where the network is its own, by Compose's words.
_OF_NETWORK = (
    "ports",
    "expose",
    "networks",
    "links",
    "dns",
    "dns_opt",
    "dns_search",
    "extra_hosts",
    "mac_address",
    "container_name",
)


def is_shared(reading: Reading, service: Place, field: str) -> bool:
    """Say whether a service is to be in another's namespace of that name."""
    return reading.text(reading.find(service, field)).startswith(PREFIX)


def read_shares(
    reading: Reading, service: Place, names: Names[str, ServiceName], off: Names[str, tuple[str, ...]]
) -> dict[SharedNamespace, ServiceName]:
    """Return whose namespaces a service shares; what it says beside them is judged here."""
    found: dict[SharedNamespace, ServiceName] = {}
    for namespace, field in FIELDS.items():
        place = reading.find(service, field)
        if place is None or not is_shared(reading, service, field):
            continue
        written = reading.text(place).removeprefix(PREFIX)
        if written not in names:
            detail = "is in no profile that is switched on" if written in off else "does not exist"
            reading.findings.complain(place, "E-REFERENCE", f'service "{written[:80]}" {detail}')
        elif written == service.name:
            reading.findings.complain(place, "E-REFERENCE", "a service has its own namespaces already")
        elif found and names[written] not in found.values():
            other = ", ".join(sorted(found.values()))
            detail = f"an instance is in one namespace of users, and that is shared with {other} already"
            reading.findings.refuse(place, detail)
        else:
            found[namespace] = names[written]
    _check_beside(reading, service, found)
    return found


def _check_beside(reading: Reading, service: Place, shares: dict[SharedNamespace, ServiceName]) -> None:
    if "network" in shares:
        for field in _OF_NETWORK:
            place = reading.find(service, field)
            if place is not None:
                detail = f"in the network of {shares['network']} it is that service's to say"
                reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
        for pair in reading.pairs(reading.find(service, "sysctls")):
            if pair.name.startswith("net."):
                detail = f"in the network of {shares['network']} its parameters are that service's"
                reading.findings.complain(pair.place, "E-CONFLICT", detail, at_key=True)
    init = reading.find(service, "init")
    if "pid" in shares and init is not None and reading.switch(init):
        detail = f"the first process is one of {shares['pid']}"
        reading.findings.complain(init, "E-CONFLICT", detail, at_key=True)
    memory = reading.find(service, "shm_size")
    if "ipc" in shares and memory is not None:
        reading.findings.complain(memory, "E-CONFLICT", f"the memory is that of {shares['ipc']}", at_key=True)


def check_pairs(reading: Reading, services: Names[ServiceName, Service], places: Names[ServiceName, Place]) -> None:
    """Tell of services that cannot share what they say: of copies that have no partner, and of chains."""
    for name, service in services.items():
        for namespace, target in (service.further.shares if service.further else {}).items():
            place = reading.find(places[name], FIELDS[namespace])
            if place is not None:
                flaw = find_pair_flaw(service, services[target], namespace, target)
                if flaw:
                    reading.findings.refuse(place, flaw)


def keep_together(service: Service, shares: dict[SharedNamespace, ServiceName]) -> Service:
    """Return a service that is placed at one node with those whose namespaces it shares."""
    if not shares:
        return service
    rules = service.placement.rules or PlacementRules()
    ties = [tie for tie in rules.together if tie.by != "node"]
    others = {name for tie in rules.together if tie.by == "node" for name in tie.services} | set(shares.values())
    rules = msgspec.structs.replace(rules, together=(Together(by="node", services=tuple(sorted(others))), *ties))
    return msgspec.structs.replace(service, placement=msgspec.structs.replace(service.placement, rules=rules))
