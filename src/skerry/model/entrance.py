"""What people outside reach of a service, by host name or by port: the signed words of ``x-skerry.entrance``.

Each site at which the service runs has an entrance of its own. A host name with a path, a TCP port and a UDP port is
given there to one service only.
"""

import ipaddress
import re
from typing import Literal

import msgspec

#: A fully written DNS name in small letters (RFC 1123): two labels at least, no wildcard.
HOST_PATTERN = re.compile(
    r"(?=[a-z0-9.-]{3,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
#: ``/``, or steps of a path without a slash at the end: letters, digits and what RFC 3986 calls unreserved.
PATH_PATTERN = re.compile(r"/|(?:/[A-Za-z0-9._~-]{1,64}){1,8}", re.ASCII)
PORT_MAX = 65_535
#: Entries of one service: an entrance of fifty services then stays a file that is read in milliseconds.
ENTRANCES_MAX = 32
#: Where every site's entrance listens for host names, without and with TLS.
HTTP_PORT = 80
HTTPS_PORT = 443


class Entrance(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True
):
    """One way in: exactly one of ``host``, ``tcp`` and ``udp`` is given."""

    #: Port of the instance.
    port: int
    host: str = ""
    path: str = "/"
    #: ``secret``: a certificate of the tenant's own. ``acme``: one that the site itself gets (decision 0024).
    tls: Literal["none", "secret", "acme"] = "none"
    #: Of the revision's secrets the one with certificate and key, in PEM.
    secret: str = ""
    #: Port of the node.
    tcp: int = 0
    udp: int = 0

    @property
    def place(self) -> str:
        """What only one service of a site can have: ``tcp/25``, or ``http/shop.example/basket``."""
        if self.tcp or self.udp:
            return f"tcp/{self.tcp}" if self.tcp else f"udp/{self.udp}"
        return f"http/{self.host}{self.path}"

    @property
    def listens(self) -> tuple[int, ...]:
        """TCP ports of the node that it needs; those for host names are shared."""
        if self.host:
            return (HTTP_PORT,) if self.tls == "none" else (HTTP_PORT, HTTPS_PORT)
        return (self.tcp,) if self.tcp else ()


def is_host(text: str) -> bool:
    """Say whether people can ask for ``text`` by name: a DNS name, no address."""
    if HOST_PATTERN.fullmatch(text) is None:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # A last label of digits alone is an address to browsers, in one of its old notations.
        return not text.rpartition(".")[2].isdigit()
    return False


def is_path(text: str) -> bool:
    """Say whether ``text`` can be where a service begins at a host; steps of dots only are none."""
    steps = text.split("/")
    return PATH_PATTERN.fullmatch(text) is not None and not any(step in (".", "..") for step in steps)


def find_entrance_flaw(entrances: tuple[Entrance, ...]) -> str:
    """Return what is wrong with the entrance of one service; empty when nothing is."""
    if len(entrances) > ENTRANCES_MAX:
        return f"an entrance of a service has at most {ENTRANCES_MAX} entries"
    for each in entrances:
        if not 1 <= each.port <= PORT_MAX or not 0 <= each.tcp <= PORT_MAX or not 0 <= each.udp <= PORT_MAX:
            return f"a port is 1 to {PORT_MAX}"
        if sum(map(bool, (each.host, each.tcp, each.udp))) != 1:
            return "an entry of an entrance is for a host name, a TCP port or a UDP port"
        if each.host and not (is_host(each.host) and is_path(each.path)):
            return f"{each.host[:80]!r} with path {each.path[:80]!r} is no place of an entrance"
        if not each.host and (each.path != "/" or each.tls != "none"):
            return "only a host name has a path and a certificate"
        if (each.tls == "secret") != bool(each.secret):
            return "a certificate comes from a secret, and a secret is for a certificate"
    if len({each.place for each in entrances}) != len(entrances):
        return "two entries of an entrance are for the same place"
    return ""
