"""What networks cost at a whole site: how fast a dead instance is out, memory of everything, and 512 MB for all of it.

Two sites of the end-to-end lab run as real processes. Ten containers run at the first: two copies of a service that
people reach by host name, in a network over both sites, and eight others. So all daemons are on: podman's service,
conmon, unbound, HAProxy, wireguard-go and the agent. From its start on the first site has a memory group of its own
with a limit, containers included.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from bench.rows import make_row
from tests.e2e import dns_client
from tests.e2e.fleet import Fleet, list_started, wait_until, write_image
from tests.e2e.lab import Lab
from tests.e2e.lab_site import Site
from tests.e2e.tiny_image import tiny_image

from skerry.berths.namespaces import inside_net
from skerry.model.network import bridge_name

SITE, FAR = "box", "far"
IMAGE = "localhost/tiny:1"
CONTAINERS = 10
REPEATS = 5
OUT_S_MAX = 2.0
#: A dead instance that is never out is noticed here.
OUT_S_HANG = 20.0
LIMIT_BYTES = 512 * 2**20
PLATFORM_MB_MAX = 120
#: Programs of ours and of others that a site needs; what runs inside containers is the app's.
PLATFORM = ("python", "podman", "conmon", "netavark", "unbound", "haproxy", "wireguard-go")
GROUPS = pathlib.Path("/sys/fs/cgroup/memory")
SHOP = """
services:
  web:
    image: localhost/tiny:1
    networks: [mesh]
    restart: always
    stop_grace_period: 1s
    healthcheck: {test: [CMD, /bin/sh, -c, "! stat /down"], interval: 1s, retries: 1}
    x-skerry: {entrance: [{host: shop.example, port: 8080}]}
networks:
  mesh: {x-skerry: {kind: overlay, scope: app}}
x-skerry:
  placement: {replicas: {per-site: 2}}
"""


def measure() -> Iterable[dict[str, Any]]:
    """Build the site and measure it."""
    with memory_group() as group, Lab([SITE, FAR]) as lab, Fleet(lab) as fleet:
        lab.open_wan()
        why_not = limit(lab.sites[SITE], group)
        start(fleet)
        yield from measure_memory(lab.sites[SITE])
        yield from measure_death(fleet)
        yield from measure_limit(fleet, group, why_not)


@contextlib.contextmanager
def memory_group() -> Generator[pathlib.Path | None]:
    """Make a control group with a limit of memory; None where this kernel has no such (cgroup v1) controller."""
    group = GROUPS / f"skerry-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        (group / "memory.limit_in_bytes").write_text(str(LIMIT_BYTES))
        yield group
    finally:
        # The lab is gone with all its processes; groups of its containers may be left.
        for folder in sorted((each for each in group.glob("**/") if each.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()


def limit(site: Site, group: pathlib.Path | None) -> str:
    """Put a site that was just booted into the group; return why that cannot be, or nothing."""
    if group is None:
        return "this kernel lets nobody make a memory group of version 1"
    # What podman makes for containers it makes below the root that it sees.
    site.run("mount", "--bind", group, GROUPS)
    for pid in site.pids():
        (group / "cgroup.procs").write_text(str(pid))
    return ""


def start(fleet: Fleet) -> None:
    """Let both sites join and the containers run, until every name and way is there."""
    lab = fleet.lab
    folder = lab.core.disk
    fleet.must("image", "push", write_image(folder, "tiny", tiny_image(IMAGE)), IMAGE)
    with in_group(lab.sites[SITE]):
        fleet.start_site(SITE, "tier=bench")
    fleet.start_site(FAR)
    services = {f"s{number}": {"image": IMAGE, "restart": "always"} for number in range(CONTAINERS - 2)}
    placement = {"placement": {"sites": "tier=bench", "replicas": {"per-site": 1}}}
    (folder / "rest.yaml").write_text(json.dumps({"services": services, "x-skerry": placement}))
    (folder / "shop.yaml").write_text(SHOP)
    for name in ("shop", "rest"):
        fleet.must("apply", "-f", folder / f"{name}.yaml", "--name", name, "--wait=3m", timeout_s=240)
    wait_until(lambda: is_settled(fleet), "ten containers", 120)
    site = lab.sites[SITE]
    wait_until(lambda: {"unbound", "haproxy", "wireguard-go"} <= read_names(site).keys(), "all daemons", 60)
    wait_until(lambda: len(ask_names(site)) == 2, "both copies in names", 60)
    wait_until(lambda: count_well(site) == 2, "both copies at the entrance", 60)


@contextlib.contextmanager
def in_group(site: Site) -> Generator[None]:
    """Let what is started at the site meanwhile be in the site's group, if it has one."""
    group = find_group(site)
    own = GROUPS / read_group(os.getpid()).lstrip("/")
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        if group is not None:
            (own / "cgroup.procs").write_text(str(os.getpid()))


def find_group(site: Site) -> pathlib.Path | None:
    """Return the group in which the site's processes are, where it is one of ours."""
    names = {read_group(pid) for pid in site.pids()}
    return next((GROUPS / name.lstrip("/") for name in sorted(names) if "skerry-bench-" in name), None)


def read_group(pid: int) -> str:
    """Return the path of a process's memory group below the controller's root."""
    with contextlib.suppress(OSError):
        return parse_group(pathlib.Path(f"/proc/{pid}/cgroup").read_text())
    return ""


def parse_group(text: str) -> str:
    """Read proc(5)'s lines of number, controllers and path."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return path
    return ""


def measure_memory(site: Site) -> Iterable[dict[str, Any]]:
    """Count what the site would need on a machine of its own: other labs' processes use the same programs' files."""
    time.sleep(10)  # what was needed for the start alone is given back
    parts: dict[str, float] = {}
    files: dict[str, int] = {}
    for name, pids in read_names(site).items():
        word = next((each for each in PLATFORM if name.startswith(each)), None)
        for pid in pids if word else ():
            with contextlib.suppress(OSError):
                own, shared = parse_maps(pathlib.Path(f"/proc/{pid}/smaps").read_text())
                parts[str(word)] = parts.get(str(word), 0.0) + own / 1e6
                files |= {key: max(size, files.get(key, 0)) for key, size in shared.items()}
    parts["pages of files"] = sum(files.values()) / 1e6
    detail = ", ".join(f"{name} {value:.0f}" for name, value in sorted(parts.items()))
    what = (
        f"whole platform at a site with {CONTAINERS} containers, every daemon on: its own pages, and each page of a "
        f"file once, as PSS would be on a machine with nothing else ({detail})"
    )
    yield make_row("platform-pss", what, sum(parts.values()), "MB", PLATFORM_MB_MAX)


def parse_maps(text: str) -> tuple[int, dict[str, int]]:
    """Read ``/proc/PID/smaps``: bytes of its own (each shared one by its share), and bytes of each mapped file.

    A file's part is named by device, inode and offset.
    """
    own, shared, key = 0, {}, ""
    fields: dict[str, int] = {}
    for line in [*text.splitlines(), "0-0 ---p 0 0:0 0"]:
        first, *rest = line.split()
        if first.endswith(":"):
            fields[first] = int(rest[0]) * 1024 if rest and rest[0].isdigit() else 0
            continue
        of_file = fields.get("Rss:", 0) - fields.get("Anonymous:", 0) if key else 0
        if of_file > 0:
            shared[key] = shared.get(key, 0) + of_file
            own += fields.get("Anonymous:", 0)
        else:
            own += fields.get("Pss:", 0)
        _, offset, device, inode = rest[:4]
        key, fields = ("" if inode == "0" else f"{device}/{inode}/{offset}"), {}
    return own, shared


def measure_death(fleet: Fleet) -> Iterable[dict[str, Any]]:
    """Kill one of two copies: until no question is answered with it, and until the balancer sends nobody to it."""
    site = fleet.lab.sites[SITE]
    names: list[float] = []
    balancer: list[float] = []
    for _ in range(REPEATS):
        started = {name: each for name, each in list_started(site).items() if name.startswith("default/shop/web/")}
        name, (_, _, pid) = min(started.items())
        dead = find_address(pid)
        # What is started in its place is not well, so it stays out.
        subprocess.run(["nsenter", f"--target={pid}", "--mount", "--", "/bin/touch", "/down"], check=True)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        found: dict[str, float] = {}
        looks: Mapping[str, Callable[[], bool]] = {
            "names": lambda dead=dead: dead not in ask_names(site),
            "balancer": lambda: count_well(site) < 2,
        }
        watchers = [threading.Thread(target=watch, args=(what, look, began, found)) for what, look in looks.items()]
        for each in watchers:
            each.start()
        for each in watchers:
            each.join()
        names.append(found["names"])
        balancer.append(found["balancer"])
        wait_until(lambda name=name, pid=pid: list_started(site)[name][2] not in (0, pid), "the next process", 60)
        fresh = list_started(site)[name][2]
        subprocess.run(["nsenter", f"--target={fresh}", "--mount", "--", "/bin/busybox", "rm", "/down"], check=True)
        wait_until(lambda: count_well(site) == 2 and len(ask_names(site)) == 2, "both copies", 60)
        wait_until(lambda: is_settled(fleet), "settling", 60)
    for row, place, values in (("out-of-names", "names", names), ("out-of-balancer", "the balancer", balancer)):
        what = (
            f"a killed instance is out of {place}: the longest of {REPEATS} (median {statistics.median(values):.2f} s)"
        )
        yield make_row(row, what, max(values), "s", OUT_S_MAX)


def watch(what: str, look: Callable[[], bool], began: float, found: dict[str, float]) -> None:
    """Note the seconds until something is so."""
    while not look() and time.monotonic() - began < OUT_S_HANG:
        time.sleep(0.005)  # as often as a look takes by itself
    found[what] = time.monotonic() - began


def measure_limit(fleet: Fleet, group: pathlib.Path | None, why_not: str) -> Iterable[dict[str, Any]]:
    """Say what the limited site needed at most, and whether the kernel had to end anything."""
    if group is None:
        yield make_row("limit-512", f"a site limited to 512 MB: not measured, {why_not}", 0, "MB", None)
        return
    if not is_settled(fleet):
        raise OSError("the limited site is not as it is wished")
    inside = [pid for pid in fleet.lab.sites[SITE].pids() if group.name in read_group(pid)]
    ended = sum(read_ended(folder) for folder in [group, *(each for each in group.glob("**/") if each.is_dir())])
    peak = int((group / "memory.max_usage_in_bytes").read_text()) / 2**20
    failed = int((group / "memory.failcnt").read_text())
    what = (
        f"a site with {CONTAINERS} containers and all of its {len(inside)} processes limited to 512 MB, from its first "
        "app on: the most that was used, with pages of files that nobody on the machine had read before (the limit was "
        f"met {failed} times)"
    )
    yield make_row("limit-512", what, peak, "MB", LIMIT_BYTES / 2**20)
    yield make_row("limit-512-ended", "the same: processes that the kernel ended for want of memory", ended, "count", 0)


def read_ended(group: pathlib.Path) -> int:
    words = (group / "memory.oom_control").read_text().split()
    return int(words[words.index("oom_kill") + 1])


def is_settled(fleet: Fleet) -> bool:
    status = fleet.agent_status(SITE)
    ready = sum(each["phase"] == "ready" for each in status["instances"])
    return bool(status["settled"]) and ready == CONTAINERS


def find_address(pid: int) -> str:
    """Return the IPv4 address of an instance, by a process in it."""
    words = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", "-json", "-4", "address", "show", "scope", "global"]
    done = subprocess.run(words, capture_output=True, check=True)
    return next(info["local"] for link in json.loads(done.stdout) for info in link.get("addr_info", []))


def ask_names(site: Site) -> tuple[str, ...]:
    """Ask the site's name server for the copies of the service, at the gateway of its network."""
    with inside_net(site.net):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(0.5)
        asking.connect((find_gateway(site), 53))
        asking.send(dns_client.write("web.shop", "A"))
        with contextlib.suppress(OSError):
            return dns_client.read(asking.recv(4096))[1]
    return ()


_gateways: dict[pathlib.Path, str] = {}


def find_gateway(site: Site) -> str:
    """Return the site's own address in the network over sites; it stays as long as the network."""
    if site.net not in _gateways:
        bridge = bridge_name("default", "shop", "mesh")
        (found,) = json.loads(site.run("ip", "-json", "-4", "address", "show", "dev", bridge))
        _gateways[site.net] = found["addr_info"][0]["local"]
    return _gateways[site.net]


def count_well(site: Site) -> int:
    """Return how many copies at this site the balancer sends people to, as it says itself."""
    (pid,) = read_names(site)["haproxy"]
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    config = pathlib.Path(words[words.index(b"-f") + 1].decode())
    with socket.socket(socket.AF_UNIX) as asking:
        # Through the process: its files are in the site's own mounts. The kernel takes short names only.
        folder = os.open(f"/proc/{pid}/root{config.parent}", os.O_PATH)
        try:
            asking.connect(f"/proc/self/fd/{folder}/haproxy.sock")
        finally:
            os.close(folder)
        asking.sendall(b"show stat\n")
        text = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
    return parse_well(text)


def parse_well(text: str) -> int:
    """Count servers that are up in HAProxy's ``show stat``: fields by the names of its first line."""
    head, *lines = text.lstrip("# ").splitlines()
    names = head.split(",")
    rows = [dict(zip(names, line.split(","), strict=False)) for line in lines if line]
    servers = [row for row in rows if row["svname"] not in ("FRONTEND", "BACKEND")]
    return sum(row["status"].startswith("UP") and row.get("bck") == "0" for row in servers)


def read_names(site: Site) -> dict[str, list[int]]:
    """Return the site's processes by the names of their programs."""
    found: dict[str, list[int]] = {}
    for pid in site.pids():
        with contextlib.suppress(OSError):
            found.setdefault(pathlib.Path(f"/proc/{pid}/comm").read_text().strip(), []).append(pid)
    return found
