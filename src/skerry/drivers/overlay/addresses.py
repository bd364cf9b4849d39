"""Where a node may be reached, from what ``ip -json`` says. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Any

import msgspec

from skerry.model.network import ENDPOINTS_MAX

#: Devices that lead to instances, ours and those of others, and never to another site.
_INNER = ("sk", "lo", "veth", "podman", "docker", "br-", "cni", "virbr")


class _Address(msgspec.Struct):
    local: str = ""
    scope: str = ""
    temporary: bool = False
    deprecated: bool = False
    tentative: bool = False
    dadfailed: bool = False


class _Link(msgspec.Struct):
    ifname: str = ""
    addr_info: list[_Address] = []


class _Route(msgspec.Struct):
    dst: str = ""
    dev: str = ""


def read_addresses(links: bytes, routes: Iterable[bytes]) -> tuple[str, ...]:
    """Return the node's own addresses on its uplinks, those beside a default route first.

    ``links`` is the answer of ``ip -json address``, ``routes`` those of ``ip -json route show default`` of both
    families. What passes with time (RFC 8981) or is not in use is left out. Raises ``ValueError`` for anything else.
    """
    leading = [route.dev for content in routes for route in _decode(content, list[_Route])]
    found: list[tuple[int, int, str]] = []
    for link in _decode(links, list[_Link]):
        if link.ifname.startswith(_INNER):
            continue
        rank = leading.index(link.ifname) if link.ifname in leading else len(leading)
        for each in link.addr_info:
            if each.scope == "global" and not (each.temporary or each.deprecated or each.tentative or each.dadfailed):
                found.append((rank, len(found), str(ipaddress.ip_address(each.local))))
    return tuple(dict.fromkeys(text for _, _, text in sorted(found)))[:ENDPOINTS_MAX]


def read_routes(content: bytes) -> dict[str, str]:
    """Return range → device of ``ip -json route show``; a single address is a range as well."""
    found: dict[str, str] = {}
    for route in _decode(content, list[_Route]):
        found[str(ipaddress.ip_network(route.dst))] = route.dev
    return found


def _decode(content: bytes, kind: Any) -> Any:
    # ``ip`` writes nothing at all, or a list with empty objects, where it finds nothing.
    return msgspec.json.decode(content.strip() or b"[]", type=kind)
