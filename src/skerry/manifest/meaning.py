"""What the whole file means: names, profiles, services, and what they say of each other.

Neighbours: ``service.py`` reads one service, ``parts.py`` the shared parts; ``load.py`` comes before and after.
"""

from collections.abc import Collection, Mapping

import msgspec

from skerry.manifest.addresses import Places, check_addresses, check_clashes
from skerry.manifest.chains import check_chains, join_steps, read_chains
from skerry.manifest.company import settle_company
from skerry.manifest.entrances import check_entrances
from skerry.manifest.findings import Findings
from skerry.manifest.lifecycle import read_health_words
from skerry.manifest.names import to_name, translate_names
from skerry.manifest.networking import DEFAULT, UPLINK, judge_gateways
from skerry.manifest.networks import find_meeting, read_network
from skerry.manifest.nodes import Place
from skerry.manifest.parts import Parts
from skerry.manifest.placement import read_labels_of_app
from skerry.manifest.policies import read_withdraw
from skerry.manifest.reading import Reading
from skerry.manifest.rollouts import check_order, read_rollout
from skerry.manifest.service import Around, ReadService, read_service
from skerry.manifest.sharing import check_pairs
from skerry.manifest.updates import settle_updates
from skerry.manifest.values import HealthWait, ImageUse, Manifest, Options
from skerry.manifest.wishes import Given, Wishes
from skerry.model import limits
from skerry.model.app import Address, Further, Network, Service
from skerry.model.grants import NodeUse
from skerry.model.ids import AppName, Digest, NetworkName, ServiceName, is_name
from skerry.model.profile import PROFILES, STRICT


def list_off(top: Place, options: Options, reading: Reading) -> dict[str, tuple[str, ...]]:
    """Return the services that no profile switches on, with their profiles."""
    found: dict[str, tuple[str, ...]] = {}
    services = top.find("services")
    for name, place in services.entries() if services is not None else ():
        profiles = tuple(reading.text(item) for item in reading.texts(reading.find(place, "profiles")))
        if profiles and "*" not in options.profiles and not options.profiles.intersection(profiles):
            found[name] = profiles
    return found


def choose_app_name(top: Place, overlay: Place | None, options: Options, findings: Findings) -> AppName:
    """Return the app's name: the command line's, the overlay's, or the Compose text's; empty after a complaint."""
    place = (overlay.find("app") if overlay is not None else None) or top.find("name")
    named = str(place.value) if place is not None and place.value is not None else ""
    written = options.project or named or options.folder
    if not written:
        hint = "add name: at the top of the file"
        findings.complain(overlay or top, "E-TYPE", "the app has no name", hint=hint)
        return AppName("")
    name = written if is_name(written) else to_name(written)
    if not name or len(written) > 63:
        findings.complain(place or top, "E-TYPE", f'"{written[:80]}" cannot be the name of an app')
        return AppName("")
    if name != written and place is not None and options.project is None:
        findings.note(place, "translated", f"it is called {name}")
    return AppName(name)


def read_app(
    reading: Reading, top: Place, app: AppName, wishes: Wishes, off: dict[str, tuple[str, ...]], options: Options
) -> Manifest:
    """Return the app; it is only good for use when there are no problems in the findings afterwards."""
    findings = reading.findings
    services = top.find("services")
    names = translate_names(services, "service", findings)
    _check_count(services, names, findings)
    networks = translate_names(top.find("networks"), "network", findings)
    around = Around(
        services={written: ServiceName(name) for written, name in names.items() if written not in off},
        off=off,
        networks={written: NetworkName(name) for written, name in networks.items()},
        parts=Parts(reading, top, app, wishes),
        wishes=wishes,
        options=options,
        app=app,
    )
    read = [
        read_service(reading, place, around.services[written], around)
        for written, place in (services.entries() if services is not None else ())
        if written in around.services
    ]
    if not read and services is not None and findings.is_sound(services):
        findings.complain(services, "E-REFERENCE", "no service is left to run", at_key=True)
    _check_container_names(reading, read)
    _check_dependencies(read, findings)
    check_entrances(reading, ((one.place, one.service, one.entrances) for one in read))
    chains = read_chains(reading, reading.find(wishes.top.get("chain")), around)
    read = settle_company(reading, join_steps(chains, read), wishes)
    read = [_borrow(one, read, reading) for one in read]
    joined = {one.name: _join(one, read, reading) for one in read}
    check_pairs(reading, joined, {one.name: one.place for one in read})
    words = reading.find(wishes.top.get("rollout"))
    check_order(reading, words, joined)
    places = {one.name: one.place for one in read}
    joined, rollout = settle_updates(reading, places, joined, read_rollout(reading, words))
    parts = around.parts
    networks = _read_networks(reading, top, around, joined.values(), wishes.networks)
    _check_addresses(read, top, networks, findings)
    for one in read:
        judge_gateways(reading, one.place, around.networks, networks)
    return Manifest(
        app=app,
        source=Digest(""),
        description=reading.text(reading.find(wishes.top.get("description"))),
        labels=read_labels_of_app(reading, reading.find(wishes.top.get("labels"))),
        profile=_read_profile(reading, reading.find(wishes.top.get("profile"))),
        rollout=rollout,
        services=joined,
        health={
            one.name: read_health_words(reading, reading.find(one.place, "healthcheck"))
            for one in read
            if one.service.healthcheck is None
        },
        health_waits=_list_health_waits(read),
        volumes=parts.volumes,
        networks=networks,
        configs=parts.configs,
        secrets=parts.secrets,
        withdraw=read_withdraw(reading, wishes.top),
        chains=check_chains(reading, chains, joined, networks),
        images=tuple(_use_image(one.image, one) for one in read if one.image is not None),
        secrets_needed=tuple(need for _, need in sorted(parts.needs.items())),
        uses=tuple(dict.fromkeys(reading.uses)),
    )


def _check_count(services: Place | None, names: dict[str, str], findings: Findings) -> None:
    if services is not None and len(names) > limits.SERVICES_MAX:
        detail = f"an app has at most {limits.SERVICES_MAX} services, this has {len(names)}"
        findings.complain(services, "E-LIMIT", detail, at_key=True)


def _read_profile(reading: Reading, place: Place | None) -> str:
    profile = reading.findings.profile
    if place is not None and reading.findings.own == () and profile not in PROFILES:
        detail = f'no site has a profile "{profile}" for this tenant'
        reading.findings.complain(place, "E-REFERENCE", detail, hint="skerry profile list")
    if place is not None and profile == STRICT:
        detail = "no service has a capability, and the root of each is read only"
        reading.findings.note(place, "translated", detail)
    return profile


def _read_networks(
    reading: Reading, top: Place, around: Around, services: Collection[Service], words: Mapping[str, Given]
) -> dict[NetworkName, Network]:
    found: dict[NetworkName, Network] = {}
    section = top.find("networks")
    for written, place in section.entries() if section is not None else ():
        if written not in around.networks:
            continue
        network = read_network(reading, place, words.get(written, {}))
        find_meeting(reading, place, network, found)
        found[around.networks[written]] = network
    for name in (DEFAULT, UPLINK):
        if any(name in service.networks for service in services):
            found.setdefault(NetworkName(name), Network())
    return found


def _check_addresses(
    read: list[ReadService], top: Place, networks: dict[NetworkName, Network], findings: Findings
) -> None:
    section = top.find("networks")
    if section is not None and not findings.is_sound(section):
        return  # What a network has is not known then.
    fixed: dict[str, tuple[dict[NetworkName, Address], Places]] = {}
    for one in read:
        replicas = one.service.placement.replicas
        places = Places(one.place, one.interfaces, findings)
        if one.service.further:
            copies = max(replicas.per_site, replicas.total)
            check_addresses(one.service.further.addresses, networks, copies, places)
            fixed[one.name] = one.service.further.addresses, places
    check_clashes(fixed)


def _check_container_names(reading: Reading, read: list[ReadService]) -> None:
    """Container names become names in the app's networks, where each means one service."""
    services = {name: one.place.name for one in read for name in (one.name, one.place.name)}
    taken: dict[str, str] = {}
    for one in read:
        place = reading.find(one.place, "container_name")
        name = reading.text(place)
        other = taken.setdefault(name, one.place.name) if name else one.place.name
        other = services.get(name, other)
        if place is not None and other != one.place.name:
            detail = f'"{name[:80]}" already means service {other}'
            reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)


def _check_dependencies(read: list[ReadService], findings: Findings) -> None:
    by_name = {one.name: one for one in read}
    for one in read:
        for dependency in one.dependencies:
            target = by_name[dependency.service]
            if dependency.service == one.name:
                findings.complain(dependency.place, "E-REFERENCE", "a service cannot wait for itself", at_key=True)
            elif dependency.condition == "healthy" and _is_untested(target, findings):
                detail = f'the health of "{target.place.name}" is waited for, and its healthcheck is switched off'
                findings.complain(dependency.place, "E-REFERENCE", detail, at_key=True)
    _check_cycles(by_name, findings)


def _is_untested(target: ReadService, findings: Findings) -> bool:
    given = (target.place.find("healthcheck"), target.health)
    if any(place is not None and not findings.is_sound(place) for place in given):
        return False
    return target.service.healthcheck is not None and target.service.healthcheck.test == ("NONE",)


def _list_health_waits(read: list[ReadService]) -> tuple[HealthWait, ...]:
    """Return whose health is waited for that only an image can tell."""
    by_name = {one.name: one for one in read}
    found: list[HealthWait] = []
    for one in read:
        for dependency in one.dependencies:
            target = by_name[dependency.service]
            if dependency.condition == "healthy" and target.service.healthcheck is None:
                place = dependency.place
                mark = place.key_mark or place.node.mark
                found.append(HealthWait(target.name, place.pointer, mark.file, mark.line, mark.column))
    return tuple(found)


def _check_cycles(by_name: dict[ServiceName, ReadService], findings: Findings) -> None:
    """Tell one circle of waiting services, at the first of them; services that wait for it only are no part of it."""
    waits = {name: sorted({one.service for one in read.dependencies} - {name}) for name, read in by_name.items()}
    free = dict.fromkeys(sorted(waits), False)
    while True:
        ready = [name for name, is_free in free.items() if not is_free and all(free[to] for to in waits[name])]
        if not ready:
            break
        free.update(dict.fromkeys(ready, True))
    stuck = [name for name, is_free in free.items() if not is_free]
    if not stuck:
        return
    path = [stuck[0]]
    while path[-1] not in path[:-1]:
        path.append(next(to for to in waits[path[-1]] if not free[to]))
    circle = path[path.index(path[-1]) :]
    place = by_name[circle[0]].place
    where = place.find("depends_on") or place.find("links") or place
    shown = " → ".join(by_name[name].place.name for name in circle)
    findings.complain(where, "E-REFERENCE", f"services wait for each other in a circle: {shown}", at_key=True)


def _borrow(one: ReadService, read: list[ReadService], reading: Reading) -> ReadService:
    """Put the mounts of other services into one that says ``volumes_from``; its own win at the same target."""
    service = one.service
    further = service.further or Further()
    mounts, configs, folders = list(service.mounts), list(service.configs), list(further.folders)
    use = further.node or NodeUse()
    binds = list(use.binds)
    for item in reading.texts(reading.find(one.place, "volumes_from")):
        written, _, mode = reading.text(item).partition(":")
        if written == "container":
            reading.findings.refuse(item, "containers have names of the engine, which differ from site to site")
            continue
        other = next((each for each in read if each.place.name == written), None)
        if other is None or other is one or mode not in ("", "rw", "ro"):
            what = f'"{reading.text(item)[:60]}" is no other service of this app'
            reading.findings.complain(item, "E-REFERENCE", what)
            continue
        taken = {each.target for each in (*mounts, *configs, *folders, *binds)}
        mounts += [
            msgspec.structs.replace(each, read_only=each.read_only or mode == "ro")
            for each in other.service.mounts
            if each.target not in taken and each.kind == "volume"
        ]
        configs += [each for each in other.service.configs if each.target not in taken and each.source.startswith(".")]
        folders += [each for each in (other.service.further or Further()).folders if each.target not in taken]
        lent = (other.service.further or Further()).node or NodeUse()
        binds += [
            msgspec.structs.replace(each, read_only=each.read_only or mode == "ro")
            for each in lent.binds
            if each.target not in taken
        ]
    use = msgspec.structs.replace(use, binds=tuple(binds))
    node = use if use != NodeUse() else msgspec.UNSET
    further = msgspec.structs.replace(further, folders=tuple(folders), node=node)
    service = msgspec.structs.replace(
        service,
        mounts=tuple(mounts),
        configs=tuple(configs),
        further=further if further != Further() else msgspec.UNSET,
    )
    return msgspec.structs.replace(one, service=service)


def _join(one: ReadService, read: list[ReadService], reading: Reading) -> Service:
    """Put into a service what others say of it, and what it waits for."""
    aliases: dict[NetworkName, set[str]] = {name: set(given) for name, given in one.service.networks.items()}
    for other in read:
        given = other.links.get(one.name, ())
        shared = [name for name in aliases if name in other.service.networks]
        if given and not shared:
            place = reading.find(other.place, "links") or other.place
            detail = f'"{one.place.name}" is in none of its networks'
            reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
        for name in shared:
            aliases[name].update(given)
    followed = {dependency.service for dependency in one.dependencies if dependency.is_followed}
    waits = {dependency.service: dependency.condition for dependency in reversed(one.dependencies)}
    return msgspec.structs.replace(
        one.service,
        networks={name: tuple(sorted(names)) for name, names in aliases.items()},
        depends_on=waits,
        restart_with=tuple(sorted(followed)) or msgspec.UNSET,
    )


def _use_image(place: Place, one: ReadService) -> ImageUse:
    mark = place.node.mark
    return ImageUse(one.service.image.name, one.name, place.pointer, mark.file, mark.line, mark.column)
