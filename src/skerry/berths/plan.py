"""Which further sites this machine is to have, and what each needs: names, folders, addresses. Pure.

Site 1 is the machine itself and is called ``local``. Site N lives in a berth of the same name, ``local-N``. A berth has
two pairs of devices, each with a /30 of 10.98.0.0/16: one for visitors, who reach there what the site publishes, and
one for its link to the core alone, so that cutting the link leaves the visitors.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from skerry.model.ids import SiteName

SITE = SiteName("local")
#: What a berth calls its ends of the two pairs.
VISITORS, LINK = "lan0", "wan0"
#: What a berth needs of this machine: program -> package of Debian.
PROGRAMS = {
    "podman": "podman",
    "crun": "crun",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "taskset": "util-linux",
    "unshare": "util-linux",
}


class Pair(msgspec.Struct, frozen=True):
    """Two ends of one cable: ours on this machine, theirs in the berth."""

    device: str
    address: str
    their_device: str
    their_address: str


class BerthPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One further site of this machine."""

    number: int
    site: SiteName
    #: What it keeps.
    disk: Path
    #: Where the files of its namespaces are, and the mark of a boot that came to its end.
    folder: Path
    visitors: Pair
    link: Pair

    @property
    def booted(self) -> Path:
        """A file that is there when the last boot came to its end."""
        return self.folder / f"{self.site}.booted"


class Choice(msgspec.Struct, frozen=True):
    """What becomes of the further sites."""

    #: Numbers of those that are to run, and of those that are there and are to be stopped, or left as they are.
    run: tuple[int, ...] = ()
    stop: tuple[int, ...] = ()
    leave: tuple[int, ...] = ()


def choose_berths(sites: int | None, kept: Iterable[int]) -> Choice:
    """Say which of the further sites run when this machine is to have ``sites``; None is: nobody said how many."""
    if sites is None:
        return Choice(leave=tuple(sorted(kept)))
    return Choice(run=tuple(range(2, sites + 1)), stop=tuple(sorted(each for each in kept if each > sites)))


def plan_berth(number: int, state: Path, run: Path) -> BerthPlan:
    """Say where site ``number`` lives; always the same for the same number."""
    name = SiteName(f"{SITE}-{number}")
    base = ipaddress.IPv4Address("10.98.0.0") + 256 * number
    return BerthPlan(
        number=number,
        site=name,
        disk=state / "berths" / name,
        folder=run / "berths",
        visitors=Pair(f"skerry-{number}", str(base + 1), VISITORS, str(base + 2)),
        link=Pair(f"skerry-{number}-link", str(base + 5), LINK, str(base + 6)),
    )


def read_number(name: str) -> int | None:
    """Return the number of the site whose folder has this name; None for a folder that is no site's."""
    prefix, _, number = name.rpartition("-")
    known = prefix == SITE and number.isascii() and number.isdigit() and not number.startswith("0")
    return int(number) if known else None


def list_refused(berth: BerthPlan) -> str:
    """Return the ranges that apps of a berth may not reach: they lead to this machine and nowhere else."""
    pairs = (berth.visitors, berth.link)
    return ",".join(str(ipaddress.ip_interface(f"{pair.their_address}/30").network) for pair in pairs)


def place_listener(host: str) -> str:
    """Return the address at which a berth finds the core under ``host``; a name leads to its own loopback."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "127.0.0.1"


def list_own_addresses(hosts: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses that a berth's loopback must have so that the core is found under each of the hosts."""
    found = [ipaddress.ip_address(place_listener(host)) for host in dict.fromkeys(hosts)]
    return tuple(f"{each}/{each.max_prefixlen}" for each in found if not each.is_loopback)


def write_hosts(site: str, hosts: Sequence[str]) -> str:
    """Return the berth's hosts file: the core's names lead to the berth's loopback, where the ferry listens."""
    names = [host for host in dict.fromkeys(hosts) if not _is_address(host) and host != "localhost"]
    lines = [f"127.0.0.1 localhost {site}", "::1 localhost", *(f"127.0.0.1 {name}" for name in names)]
    return "\n".join(lines) + "\n"


def make_boot_id(drawn: bytes) -> str:
    """Write 16 random bytes as the kernel writes the id of a boot."""
    digits = drawn.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def find_lacking(find_program: Callable[[str], str | None]) -> tuple[str, ...]:
    """Return the programs that this machine lacks."""
    return tuple(name for name in PROGRAMS if not find_program(name))


def _is_address(host: str) -> bool:
    return host == place_listener(host)
