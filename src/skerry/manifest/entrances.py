"""How a service is reached from outside: our word ``entrance``, and what it clashes with.

Neighbours: ``networking.py`` reads Compose's ports, which stand beside it; ``meaning.py`` holds services against each
other.
"""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.parts import Parts
from skerry.manifest.reading import Reading
from skerry.model.app import Port, Service
from skerry.model.entrance import ENTRANCES_MAX, PORT_MAX, Entrance, is_host, is_path


class Entry(msgspec.Struct, frozen=True):
    """One entry and where it stands."""

    entrance: Entrance
    place: Place


def read_entrances(reading: Reading, place: Place | None, parts: Parts) -> tuple[Entry, ...]:
    """Return the entries of a service; each that makes no sense has its problem."""
    found: list[Entry] = []
    for item in reading.texts(place):
        if not isinstance(item.node, Mapping) or not reading.findings.is_sound(item):
            continue
        one = _read_entry(reading, item, parts)
        if one is not None:
            found.append(Entry(one, item))
    if place is not None and len(found) > ENTRANCES_MAX:
        detail = f"an entrance of a service has at most {ENTRANCES_MAX} entries, this has {len(found)}"
        reading.findings.complain(place, "E-LIMIT", detail, at_key=True)
    return tuple(found)


def sign_entrances(entries: tuple[Entry, ...]) -> tuple[Entrance, ...] | UnsetType:
    """Return what is signed of them."""
    return tuple(entry.entrance for entry in entries) or UNSET


def check_entrances(reading: Reading, services: Iterable[tuple[Place, Service, tuple[Entry, ...]]]) -> None:
    """Tell of places that two services of the app ask for, and of ports that are both published and an entrance's."""
    given = list(services)
    taken: dict[str, str] = {}
    certificates: dict[str, str] = {}
    listens: dict[int, str] = {}
    for place, _, entries in given:
        for entry in entries:
            one = entry.entrance
            if one.place in taken:
                detail = f'{one.place.removeprefix("http/")} is an entrance of "{taken[one.place]}" already'
                reading.findings.complain(entry.place, "E-CONFLICT", detail)
            taken.setdefault(one.place, place.name)
            source = f"secret {one.secret}" if one.secret else one.tls
            if one.tls != "none" and certificates.setdefault(one.host, source) != source:
                detail = f"{one.host} has the certificate of {certificates[one.host]} already"
                reading.findings.complain(entry.place, "E-CONFLICT", detail)
            for port in one.listens:
                kind = "host names" if one.host else f"tcp: {port}"
                if listens.setdefault(port, kind) != kind:
                    reading.findings.complain(entry.place, "E-CONFLICT", f"port {port} is that of {listens[port]}")
    datagrams = {entry.entrance.udp for _, _, entries in given for entry in entries}
    for place, service, _ in given:
        for port in service.ports:
            if _clashes(port, listens, datagrams):
                detail = f"port {port.published} of the node belongs to the app's entrance"
                reading.findings.complain(place.find("ports") or place, "E-CONFLICT", detail, at_key=True)


def _clashes(port: Port, listens: dict[int, str], datagrams: set[int]) -> bool:
    if not port.published:
        return False
    return port.published in (listens if port.protocol == "tcp" else datagrams if port.protocol == "udp" else ())


def _read_entry(reading: Reading, item: Place, parts: Parts) -> Entrance | None:
    findings = reading.findings
    given = [name for name in ("host", "tcp", "udp") if item.find(name) is not None]
    if len(given) != 1:
        code = "E-CONFLICT" if given else "E-TYPE"
        findings.complain(item, code, "an entry has exactly one of host, tcp and udp")
        return None
    port = reading.find(item, "port")
    if port is None:
        if item.find("port") is None:
            findings.complain(item, "E-TYPE", '"port", that of the instance, must be given here')
        return None
    kind = given[0]
    one = Entrance(port=reading.whole(port, 1, PORT_MAX, 1))
    if kind != "host":
        for word in ("path", "tls"):
            stray = item.find(word)
            if stray is not None:
                findings.complain(stray, "E-CONFLICT", f'only a host has "{word}", and a {kind} port has none')
        number = reading.whole(reading.find(item, kind), 1, PORT_MAX, 1)
        return msgspec.structs.replace(one, **{kind: number})
    host, path = _read_host(reading, item), _read_path(reading, reading.find(item, "path"))
    one = msgspec.structs.replace(one, host=host, path=path)
    return _add_certificate(reading, reading.find(item, "tls"), one, parts) if host else None


def _read_host(reading: Reading, item: Place) -> str:
    place = reading.find(item, "host")
    if place is None:
        return ""
    host = reading.text(place).lower()
    if is_host(host):
        return host
    hint = "list each name by itself" if "*" in host else ""
    detail = f'"{host[:80]}" is no host name that an entrance can have: write shop.example.org'
    reading.findings.complain(place, "E-TYPE", detail, hint=hint)
    return ""


def _read_path(reading: Reading, place: Place | None) -> str:
    written = reading.text(place, "/")
    path = written.rstrip("/") or "/"
    if place is not None and (not written.startswith("/") or not is_path(path)):
        detail = f'"{written[:80]}" is no path at which a service can begin: write /shop'
        reading.findings.complain(place, "E-TYPE", detail)
        return "/"
    return path


def _add_certificate(reading: Reading, tls: Place | None, one: Entrance, parts: Parts) -> Entrance | None:
    if tls is None:
        return one
    if not isinstance(tls.node, Mapping):
        return msgspec.structs.replace(one, tls="acme") if reading.text(tls) == "acme" else one
    place = reading.find(tls, "secret")
    if place is None:
        if tls.find("secret") is None and reading.findings.is_sound(tls):
            reading.findings.complain(tls, "E-TYPE", '"secret" must be given here', at_key=True)
        return None
    name = reading.text(place)
    parts.use_secret(place, name)
    return msgspec.structs.replace(one, tls="secret", secret=name)
