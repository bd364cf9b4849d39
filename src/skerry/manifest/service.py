"""One service of the Compose text as a value of the model, its image named and not yet resolved.

Fields are read one by one by the files around this one; here they are put together, and those are judged whose value
decides. Neighbour: ``meaning.py`` reads all services and what they say together.
"""

import re
from collections.abc import Mapping as Names

import msgspec

from skerry.manifest.addresses import Attached, read_addresses
from skerry.manifest.entrances import Entry, read_entrances, sign_entrances
from skerry.manifest.further import ask_of_node, read_further
from skerry.manifest.interfaces import read_interfaces
from skerry.manifest.isolation import judge_isolation, read_capabilities
from skerry.manifest.lifecycle import (
    Dependency,
    read_dependencies,
    read_grace,
    read_health,
    read_probe,
    read_restart,
    read_stop_signal,
)
from skerry.manifest.networking import (
    check_alias,
    read_hosts,
    read_networks,
    read_ports,
    read_servers,
)
from skerry.manifest.node_use import is_in_node_network
from skerry.manifest.nodes import Place, Scalar
from skerry.manifest.parts import Parts
from skerry.manifest.placement import read_placement
from skerry.manifest.policies import read_policy
from skerry.manifest.process import read_command, read_environment, read_label_file, read_labels
from skerry.manifest.reading import Reading
from skerry.manifest.resources import read_bandwidth, read_limits, read_reservations, read_sysctls, read_ulimits
from skerry.manifest.rules import Company
from skerry.manifest.sharing import is_shared, keep_together, read_shares
from skerry.manifest.storage import read_tree
from skerry.manifest.values import Options
from skerry.manifest.wishes import Given, Wishes
from skerry.model.app import ImageRef, Port, Service
from skerry.model.ids import AppName, Digest, NetworkName, ServiceName
from skerry.model.policy import Policy
from skerry.model.profile import CAPABILITIES, STRICT
from skerry.model.reference import full_name

_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?", re.ASCII)
#: Fields that say what runs; the table refuses the others.
_INSTEAD_OF_IMAGE = ("image", "extends", "provider")
_PULL_POLICIES = ("always", "missing", "if_not_present", "refresh", "daily", "weekly")


class Around(msgspec.Struct, frozen=True):
    """What a service may name of the rest of the app."""

    #: Services that are on, and the others with their profiles, by the names that Compose has for them.
    services: Names[str, ServiceName]
    off: Names[str, tuple[str, ...]]
    networks: Names[str, NetworkName]
    parts: Parts
    wishes: Wishes
    options: Options
    app: AppName


class ReadService(msgspec.Struct, frozen=True):
    """A service and what only becomes clear with the others."""

    name: ServiceName
    place: Place
    service: Service
    image: Place | None
    dependencies: tuple[Dependency, ...]
    #: Service to further names that it has for this one's sake.
    links: dict[ServiceName, tuple[str, ...]]
    #: Our own word about its health.
    health: Place | None = None
    #: What it asks of the entrance, and where.
    entrances: tuple[Entry, ...] = ()
    #: Where its ``interfaces`` say what it is in a network.
    interfaces: Names[NetworkName, Place] = {}


def read_service(reading: Reading, place: Place, name: ServiceName, around: Around) -> ReadService:
    """Read a whole service; whatever is wrong with it is in the findings afterwards."""
    own: Given = around.wishes.services.get(place.name, {})

    def find(field: str) -> Place | None:
        return reading.find(place, field)

    _judge_values(reading, place)
    judge_isolation(reading, place)
    image = _read_image(reading, place, around)
    command, entrypoint = read_command(reading, find("command")), read_command(reading, find("entrypoint"))
    if entrypoint is not None and command is None:
        # As in Compose: whoever replaces the entrypoint does not want the image's words behind it.
        command = ()
    tree = read_tree(reading, place, name, around.parts)
    limits = read_limits(reading, place)
    attached = read_interfaces(reading, place, reading.find(own.get("interfaces")), around.networks)
    attached = attached or _read_attached(reading, place, around)
    company = Company(name, around.app, around.services, around.off)
    shares = read_shares(reading, place, around.services, around.off)
    placement = read_placement(reading, place, around.wishes.top, own, around.options.sites, company)
    is_strict = reading.findings.profile == STRICT
    if is_strict:
        _tell_losses(reading, place)
    links, linked = _read_links(reading, find("links"), around)
    entrances = read_entrances(reading, reading.find(own.get("entrance")), around.parts)
    service = Service(
        image=ImageRef(name=reading.text(image), digest=Digest(""), config=Digest(""), size_bytes=0),
        command=command,
        entrypoint=entrypoint,
        environment=read_environment(reading, place),
        working_dir=reading.text(find("working_dir")),
        user=_read_matching(reading, find("user"), _USER, "a user: write NAME, UID or UID:GID"),
        group_add=tuple(reading.text(item) for item in reading.texts(find("group_add"))),
        hostname=_read_host_name(reading, find("hostname")),
        domainname=_read_host_name(reading, find("domainname")),
        labels=_read_labels(reading, place),
        init=reading.switch(find("init")),
        tty=reading.switch(find("tty")),
        stdin_open=reading.switch(find("stdin_open")),
        read_only=is_strict or reading.switch(find("read_only")),
        cap_add=read_capabilities(reading, find("cap_add"), is_added=True),
        cap_drop=("ALL",) if is_strict else read_capabilities(reading, find("cap_drop"), is_added=False),
        stop_signal=read_stop_signal(reading, find("stop_signal")),
        stop_grace_us=read_grace(reading, place),
        mounts=tuple(tree.mounts),
        configs=tuple(tree.configs),
        secrets=tuple(tree.secrets),
        ports=_read_own_ports(reading, place),
        networks=attached.networks,
        extra_hosts=read_hosts(reading, find("extra_hosts")),
        dns=read_servers(reading, find("dns")),
        healthcheck=read_probe(reading, reading.find(own.get("health")), find("healthcheck"))
        or read_health(reading, find("healthcheck")),
        restart=read_restart(reading, place),
        limits=limits,
        reservations=read_reservations(reading, place),
        shm_bytes=reading.size(find("shm_size")),
        ulimits=read_ulimits(reading, find("ulimits")),
        sysctls=read_sysctls(reading, find("sysctls")),
        placement=placement,
        further=read_further(reading, place, tree, limits, attached.addresses, shares),
        policy=_read_policy(
            reading,
            around.wishes.top,
            own,
            counted=not placement.replicas.per_site,
            has_volumes=any(mount.kind == "volume" for mount in tree.mounts) or find("volumes_from") is not None,
        ),
        entrance=sign_entrances(entrances),
        bandwidth=read_bandwidth(reading, own.get("bandwidth"), place),
    )
    _judge_runtime(reading, own)
    _check_variables(reading, place, service, around)
    _check_against_networks(reading, place, service, own)
    aliases = _read_own_aliases(reading, place, name, service)
    networks = {network: tuple(sorted({*given, *aliases})) for network, given in service.networks.items()}
    dependencies = (*read_dependencies(reading, place, around.services, around.off), *linked)
    # Whose namespaces it shares has to be there before it, whatever else it says of that service.
    named = {dependency.service for dependency in dependencies}
    dependencies += tuple(Dependency(each, "started", place) for each in set(shares.values()) - named)
    service = ask_of_node(keep_together(service, shares))
    service = msgspec.structs.replace(service, networks=networks)
    return ReadService(name, place, service, image, dependencies, links, own.get("health"), entrances, attached.places)


def _read_attached(reading: Reading, place: Place, around: Around) -> Attached:
    networks = read_networks(reading, place, around.networks)
    return Attached(networks, read_addresses(reading, place, around.networks, networks), {})


def _read_policy(
    reading: Reading, app: Given, own: Given, *, counted: bool, has_volumes: bool
) -> Policy | msgspec.UnsetType:
    policy = read_policy(reading, app, own, counted=counted, has_volumes=has_volumes)
    return policy if policy != Policy() else msgspec.UNSET


def _tell_losses(reading: Reading, service: Place) -> None:
    """Say in the report what the profile takes from a service that would have it otherwise."""
    lost = "the capabilities " + ", ".join(sorted(CAPABILITIES))
    if not reading.switch(reading.find(service, "read_only")):
        lost = f"a writable root, and {lost}"
    reading.findings.note(service, "translated", f"the profile {STRICT} takes {lost}")


def _read_labels(reading: Reading, service: Place) -> dict[str, str]:
    """Return the labels: those of the deployment, then of files, then the service's own."""
    found = read_labels(reading, reading.find(service, "deploy", "labels"))
    for item in reading.texts(reading.find(service, "label_file")):
        found.update(read_label_file(reading, item))
    return {**found, **read_labels(reading, reading.find(service, "labels"))}


def _find_built(reading: Reading, service: Place, build: Place, around: Around) -> Place | None:
    """Return the name that Compose gives to what it builds, once that was pushed."""
    name = f"{around.app}-{service.name}"
    # The core calls it docker.io/library/NAME:latest, as engines do.
    if not around.options.pushed.isdisjoint((name, full_name(name))):
        reading.findings.note(build, "translated", f"the image {name} as it was pushed")
        mark = build.key_mark or build.node.mark
        return Place(Scalar(name, name, mark), build.pointer, build.key_mark)
    hint = f"docker compose build, then skerry image push the image {name}, or name another with image:"
    detail = "images are not built at apply, and no image is named"
    reading.findings.refuse(build, detail, hint=hint)
    return None


def _read_image(reading: Reading, service: Place, around: Around) -> Place | None:
    image, build = reading.find(service, "image"), service.find("build")
    if image is None:
        if build is not None:
            return _find_built(reading, service, build, around)
        if all(service.find(name) is None for name in _INSTEAD_OF_IMAGE):
            reading.findings.complain(service, "E-TYPE", '"image" must be given here', at_key=True)
        return None
    name = reading.text(image)
    if len(name) > 512 or _IMAGE.fullmatch(name) is None:
        reading.findings.complain(image, "E-TYPE", f'"{name[:80]}" is not the name of an image: write nginx:1.27')
    return image


def _judge_values(reading: Reading, service: Place) -> None:
    findings = reading.findings
    mode = reading.find(service, "deploy", "mode")
    if mode is not None and reading.text(mode) != "replicated":
        if reading.text(mode) == "global":
            findings.note(mode, "translated", "one copy at each chosen site, because a site has one node")
        elif reading.text(mode) in ("replicated-job", "global-job"):
            findings.not_yet(mode, f'"mode: {reading.text(mode)}"')
        else:
            findings.complain(mode, "E-TYPE", f'"{reading.text(mode)[:40]}" is neither replicated nor global')
    endpoint = reading.find(service, "deploy", "endpoint_mode")
    if endpoint is not None and reading.text(endpoint) not in ("dnsrr", "vip"):
        findings.complain(endpoint, "E-TYPE", f'"{reading.text(endpoint)[:40]}" is neither dnsrr nor vip')
    policy = reading.find(service, "pull_policy")
    if policy is not None:
        _judge_pull_policy(reading, policy)


def _judge_pull_policy(reading: Reading, place: Place) -> None:
    word = reading.text(place)
    if word == "build":
        reading.findings.refuse(place, "images are not built at apply")
    elif word == "never":
        reading.findings.note(place, "translated", "the image must be at the site already")
    elif word not in _PULL_POLICIES and not word.startswith("every_"):
        reading.findings.complain(place, "E-TYPE", f'"{word[:40]}" is none of {", ".join(_PULL_POLICIES)}')


def _read_links(
    reading: Reading, place: Place | None, around: Around
) -> tuple[dict[ServiceName, tuple[str, ...]], tuple[Dependency, ...]]:
    """Return the further names that links give to other services; what is linked to starts first."""
    names: dict[ServiceName, tuple[str, ...]] = {}
    linked: list[Dependency] = []
    for item in reading.texts(place):
        written, _, alias = reading.text(item).partition(":")
        target = around.services.get(written)
        if target is None:
            detail = "is in no profile that is switched on" if written in around.off else "does not exist"
            reading.findings.complain(item, "E-REFERENCE", f'service "{written[:80]}" {detail}')
            continue
        linked.append(Dependency(target, "started", item))
        if alias and alias != written:
            if alias in around.services and around.services[alias] != target:
                reading.findings.complain(item, "E-CONFLICT", f"{alias} is a service of its own")
            names[target] = (*names.get(target, ()), alias)
    return names, tuple(linked)


def _check_variables(reading: Reading, place: Place, service: Service, around: Around) -> None:
    """Tell of secrets that set a variable which is set already."""
    taken = set(service.environment)
    for source in sorted({mount.source for mount in service.secrets}):
        use = around.parts.secrets.get(source)
        env = use.policy.env if use is not None and use.policy else ""
        if env and env in taken:
            detail = f"{env}, which secret {source} sets, is set already"
            reading.findings.complain(reading.find(place, "secrets") or place, "E-CONFLICT", detail, at_key=True)
        taken.add(env)


def _judge_runtime(reading: Reading, own: Given) -> None:
    runtime = reading.find(own.get("runtime"))
    if runtime is not None and reading.text(runtime) == "vm":
        reading.findings.not_yet(runtime, '"runtime: vm"')


def _read_own_ports(reading: Reading, place: Place) -> tuple[Port, ...]:
    """Return the ports that the node answers for; none where a service is in the node's network."""
    ports = read_ports(reading, place)
    if ports and is_in_node_network(reading, place):
        for field in filter(None, (reading.find(place, "ports"), reading.find(place, "expose"))):
            reading.findings.note(field, "translated", "nothing: in the network of the node its ports are the node's")
        return ()
    return ports


def _check_against_networks(reading: Reading, place: Place, service: Service, own: Given) -> None:
    entrance = own.get("entrance")
    if is_in_node_network(reading, place):
        health = own.get("health")
        if health is not None:
            reading.findings.not_yet(health, "a probe in the network of the node", hint="use healthcheck")
        if entrance is not None:
            detail = "in the network of the node its ports are the node's, and no entrance leads to it"
            reading.findings.complain(entrance, "E-CONFLICT", detail, at_key=True)
        return
    if is_shared(reading, place, "network_mode"):
        for word, field in (("health", own.get("health")), ("entrance", entrance)):
            if field is not None:
                detail = f"in the network of another service it has no address of its own for {word}"
                reading.findings.complain(field, "E-CONFLICT", detail, at_key=True)
        return
    if reading.text(reading.find(place, "network_mode")) != "none":
        return
    ports = reading.find(place, "ports")
    if ports is not None and any(port.published for port in service.ports):
        reading.findings.complain(ports, "E-CONFLICT", "a service without network has no ports", at_key=True)
    links = reading.find(place, "links")
    if links is not None:
        reading.findings.complain(links, "E-CONFLICT", "a service without network reaches no other", at_key=True)
    health = own.get("health")
    if health is not None:
        reading.findings.complain(health, "E-CONFLICT", "a service without network is asked by nobody", at_key=True)
    if entrance is not None:
        reading.findings.complain(entrance, "E-CONFLICT", "a service without network has no entrance", at_key=True)


def _read_own_aliases(reading: Reading, place: Place, name: ServiceName, service: Service) -> set[str]:
    """Return names that a service has in each of its networks, because Compose would know it by them."""
    found = {place.name} - {name}
    container = reading.find(place, "container_name")
    if container is None:
        return found
    replicas = service.placement.replicas
    if max(replicas.per_site, replicas.total) > 1:
        detail = f'there are {max(replicas.per_site, replicas.total)} copies, and "container_name" is for one'
        reading.findings.complain(container, "E-CONFLICT", detail, at_key=True)
    return (found | {check_alias(reading, container)}) - {name}


def _read_host_name(reading: Reading, place: Place | None) -> str:
    """Return a host name; one with variables of an instance is checked where they are put in."""
    if place is not None and "${" in reading.text(place):
        return reading.text(place)
    return _read_matching(reading, place, _HOST_NAME, "the name of a host")


def _read_matching(reading: Reading, place: Place | None, pattern: re.Pattern[str], what: str) -> str:
    text = reading.text(place)
    if place is not None and text and pattern.fullmatch(text) is None:
        reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is not {what}')
    return text
