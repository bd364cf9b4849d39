"""Answers of the site's name server for a second of its processor, against unbound with the same zone and nothing else.

It runs in a network of its own: ``net_names FOLDER`` prints its figures as one JSON object, and ``measure`` starts it.
Both servers hold the names of a thousand services and are asked the same questions in turns; their own processor's time
counts, not the asker's.
"""

import asyncio
import contextlib
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from typing import Any

from bench.rows import make_row, read_cpu_s
from tests.contract import names
from tests.e2e import dns_client
from tests.e2e.lab import CHECKOUT
from tests.e2e.names_probe import UnboundRig

from skerry.drivers.names.server import find_program
from skerry.plan.actions import ApplyNames
from skerry.plan.names import names_digest

SERVICES = 1_000
#: Of each server; questions under way at once, as many as one resolver of a busy site has.
RUNS, RUN_S, UNDER_WAY = 5, 3.0, 32
BARE = "10.176.1.9"
SEED = 1
#: The settings that make unbound small, and no others: what is compared is what answers, not the caches.
BARE_SETTINGS = """\
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: ""
  pidfile: ""
  use-syslog: no
  num-threads: 1
  minimal-responses: yes
  rrset-roundrobin: yes
remote-control:
  control-enable: no
auth-zone:
  name: shop.
  zonefile: "{zone}"
  for-downstream: yes
  for-upstream: no
"""


def list_services() -> dict[str, str]:
    """Return name and address of each service."""
    return {f"s{number}": f"10.176.{2 + number // 200}.{number % 200 + 10}" for number in range(SERVICES)}


@contextlib.contextmanager
def bare_server(folder: pathlib.Path) -> Generator[int]:
    """Run unbound with one zone of the same names; give its process id."""
    zone = folder / "bare.zone"
    lines = [f"{name} A {address}" for name, address in list_services().items()]
    head = "$ORIGIN shop.\n$TTL 2\n@ SOA ns.shop. root.shop. 1 60 60 600 2\n@ NS ns.shop.\n"
    zone.write_text(head + "\n".join(lines) + "\n")
    config = folder / "bare.conf"
    config.write_text(BARE_SETTINGS.format(address=BARE, zone=zone))
    program = find_program()
    if program is None:
        raise OSError("unbound is not there")
    with subprocess.Popen([program, "-d", "-c", str(config)]) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def ask_without_pause(server: str, seconds: float, chance: random.Random) -> int:
    """Keep so many questions under way for so long; return how many were answered with an address."""
    questions = [dns_client.write(f"{name}.shop", "A") for name in list_services()]
    answered, until = 0, time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((server, 53))
        asking.settimeout(0.5)
        for _ in range(UNDER_WAY):
            asking.send(chance.choice(questions))
        while time.monotonic() < until:
            try:
                data = asking.recv(2048)
            except TimeoutError:
                for _ in range(UNDER_WAY):
                    asking.send(chance.choice(questions))
                continue
            if data[3] & 15 or not data[7]:
                raise OSError(f"{server} answers {dns_client.read(data)}")
            answered += 1
            asking.send(chance.choice(questions))
    return answered


def weigh_server(pid: int, server: str, chance: random.Random) -> float:
    """Return the answers for a second of the server's processor."""
    before = read_cpu_s(pid)
    answered = ask_without_pause(server, RUN_S, chance)
    return answered / (read_cpu_s(pid) - before)


async def compare(folder: pathlib.Path) -> dict[str, list[float]]:
    """Ask both in turns."""
    rig = UnboundRig(folder)
    services = list_services().items()
    words = tuple(names.Named(f"{name}{tail}", (address,)) for name, address in services for tail in ("", ".shop"))
    reverse = tuple((address, f"{name}.shop") for name, address in services)
    own = tuple(names.Named(name, (address,)) for name, address in services)
    zone = names.zone(names=words, reverse=reverse, own=own, ports=())
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    chance = random.Random(SEED)
    try:
        await names.apply(rig, zone)
        with bare_server(folder) as pid:
            time.sleep(1)  # it reads its zone as it starts, which is not counted
            for _ in range(RUNS):
                found["ours"].append(weigh_server(rig.process().pid, names.GATEWAYS[0], chance))
                found["bare"].append(weigh_server(pid, BARE, chance))
    finally:
        none = ApplyNames(zones=(), askers=(), questions=(), digest=names_digest((), (), ()))
        await rig.driver.perform(none)
    return found


def measure() -> Iterable[dict[str, Any]]:
    """Measure in a network of its own; give the row."""
    # Not below a folder that is shut to others: the server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="skerry-bench-", dir="/run") as folder:
        pathlib.Path(folder).chmod(0o711)
        command = ["unshare", "--net", sys.executable, "-m", "bench.net_names", folder]
        done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    found = json.loads(done.stdout)
    ours, bare = (statistics.median(found[who]) for who in ("ours", "bare"))
    what = (
        f"answers of the site's name server for a second of its processor, {SERVICES:,} services, median of {RUNS} "
        "runs in turns; unbound with the same names as a zone of its own is the baseline"
    )
    yield make_row("dns", what, ours, "answers/CPU-s", None, baseline=bare)


def main(folder: pathlib.Path) -> None:
    for words in ("link set lo up", "link add b0 type bridge", "link set b0 up"):
        subprocess.run(["ip", *words.split()], check=True)
    for address in (*names.GATEWAYS, BARE):
        subprocess.run(["ip", "address", "add", f"{address}/24", "dev", "b0"], check=True)
    print(json.dumps(asyncio.run(compare(folder))))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
