"""What a service asks of the node itself, which only an operator's own profile grants: devices, namespaces, processors.

Each thing is held against the profile by itself, so that the reason names the one grant that is missing. Neighbours:
``isolation.py`` reads capabilities and security options, ``binds.py`` the folders of the node.
"""

from skerry.manifest.isolation import read_security
from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.reading import Reading
from skerry.model.grants import (
    HOST_FIELDS,
    NAMESPACES,
    Bind,
    Device,
    Namespace,
    Need,
    NodeUse,
    find_cpuset_flaw,
    find_device_flaw,
    find_path_flaw,
    find_rule_flaw,
)


def read_node_use(reading: Reading, service: Place, binds: list[Bind]) -> NodeUse:
    """Return all that a service asks of its node; empty for nearly all services."""
    privileged = reading.find(service, "privileged")
    is_privileged = reading.switch(privileged)
    if privileged is not None and is_privileged:
        reading.findings.ask_grant(privileged, Need("privileged"))
    return NodeUse(
        devices=tuple(_read_devices(reading, reading.find(service, "devices"))),
        device_rules=_read_rules(reading, reading.find(service, "device_cgroup_rules")),
        host=_read_host(reading, service),
        binds=tuple(binds),
        privileged=is_privileged,
        cpuset=_read_cpuset(reading, reading.find(service, "cpuset")),
        security=read_security(reading, reading.find(service, "security_opt")),
    )


def is_in_node_network(reading: Reading, service: Place) -> bool:
    """Say whether a service asks for the network of the node."""
    return reading.text(reading.find(service, "network_mode")) == "host"


def _read_host(reading: Reading, service: Place) -> tuple[Namespace, ...]:
    found: list[Namespace] = []
    for name in NAMESPACES:
        place = reading.find(service, HOST_FIELDS[name])
        if place is not None and reading.text(place) == "host":
            reading.findings.ask_grant(place, Need(HOST_FIELDS[name]))
            found.append(name)
    if "network" in found:
        for pair in reading.pairs(reading.find(service, "sysctls")):
            if pair.name.startswith("net."):
                detail = "in the network of the node its parameters are the node's"
                reading.findings.complain(pair.place, "E-CONFLICT", detail, at_key=True)
    return tuple(found)


def _read_devices(reading: Reading, place: Place | None) -> list[Device]:
    found: dict[str, Device] = {}
    for item in reading.texts(place):
        if isinstance(item.node, Mapping):
            source = reading.text(reading.find(item, "source"))
            target = reading.text(reading.find(item, "target"))
            access = reading.text(reading.find(item, "permissions"))
        else:
            source, _, rest = reading.text(item).partition(":")
            target, _, access = rest.partition(":")
            if target and set(target) <= set("rwm"):
                target, access = "", target
        if "=" in source:
            continue  # A vendor describes it: ``gpus.py`` reads it.
        device = Device(source=source, target=target or source, access=access or "rwm")
        flaw = find_device_flaw(source) or find_path_flaw(device.target)
        flaw = flaw or ("" if set(device.access) <= set("rwm") else f'"{access[:20]}" is no access: write rwm')
        if flaw:
            reading.findings.complain(item, "E-TYPE", flaw)
            continue
        reading.findings.ask_grant(item, Need("devices", source))
        found[device.target] = device
    return list(found.values())


def _read_rules(reading: Reading, place: Place | None) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in reading.texts(place):
        text = " ".join(reading.text(item).split())
        flaw = find_rule_flaw(text)
        if flaw:
            reading.findings.complain(item, "E-TYPE", flaw)
            continue
        kind, numbers, access = text.split(" ")
        rule = f"{kind} {numbers} {''.join(letter for letter in 'rwm' if letter in access)}"
        reading.findings.ask_grant(item, Need("device_cgroup_rules", rule))
        found[rule] = None
    return tuple(found)


def _read_cpuset(reading: Reading, place: Place | None) -> str:
    text = reading.text(place)
    if place is None or not text:
        return ""
    flaw = find_cpuset_flaw(text)
    if flaw:
        reading.findings.complain(place, "E-TYPE", flaw)
        return ""
    reading.findings.ask_grant(place, Need("cpuset", text))
    return text
