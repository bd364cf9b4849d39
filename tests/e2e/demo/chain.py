"""``./dev demo chain``: a firewall, an inspector and a cache in the path of an app, on a real site, with real packets.

One Compose file has a till and three network functions, each from Debian's own package: nftables, nDPI's ndpiReader and
nginx as a cache that nobody has to name. Skerry leads what leaves the till's network through them and back. Every step
looks from outside: packets counted by the kernel, answers that the till gets, what the functions themselves say.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.demo.beyond import ASK_NAME, GET, GREETED, SERVERS, SOURCE
from tests.e2e.demo.stage import Report, Stage, StepFailed, arguments, play
from tests.e2e.fleet import Ended, Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import Lab, list_leftovers, remove_leftovers
from tests.e2e.lab_site import CORE_ADDRESS
from tests.e2e.tiny_image import tiny_image
from tests.images import build

SITE = "shop"
FUNCTIONS = ("firewall", "dpi", "cache")
#: Only ends a step that hangs.
STEP_S_MAX = 120
#: How long each throughput is measured, and how often each path has its turn.
FLOW_S, TURNS = 3, 3
#: Pages that are asked for, and how often each.
PAGES, ROUNDS = 5, 4

PROFILE = """
apiVersion: skerry.dev/v1
kind: Profile
metadata: {name: functions}
spec: {tenants: [default], capabilities: [NET_ADMIN]}
"""
APP = """
services:
  till:
    image: tiny:1
    stop_grace_period: 1s
    networks: [inside]
  firewall:
    image: firewall:1
    restart: unless-stopped
    cap_add: [NET_ADMIN]
    stop_grace_period: 2s
    sysctls: {net.ipv4.ip_forward: "1"}
    networks: [inside, middle]
  dpi:
    image: dpi:1
    restart: unless-stopped
    cap_add: [NET_RAW]
    stop_grace_period: 2s
    sysctls: {net.ipv4.ip_forward: "1"}
    networks: [middle]
  cache:
    image: cache:1
    restart: unless-stopped
    cap_add: [NET_ADMIN]
    stop_grace_period: 2s
    sysctls: {net.ipv4.ip_forward: "1"}
    networks: [middle]
networks: {inside: {}, middle: {}}
x-skerry:
  profile: functions
  placement: {replicas: {per-site: 1}}
"""
#: Written behind the app: which traffic passes what.
WEB = """
    - name: web
      from: "network:inside"
      through: [firewall, dpi, cache]
      to: uplink
      match: {protocol: tcp, ports: 80}
"""
REST = '    - {name: rest, from: "network:inside", through: [%s], to: uplink, fail: %s, max-latency: 50ms}\n'


class Detour:
    """The demo: ``run`` goes through the story."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.lab = Lab([SITE])
        self.fleet = Fleet(self.lab)
        self.site = self.lab.sites[SITE]
        self._servers: subprocess.Popen[str] | None = None
        self._log = self.lab.core.disk / "pages.log"
        self._file = self.lab.core.disk / "compose.yaml"

    # The story

    def run(self) -> None:
        for name, action in (
            ("what an earlier demo left is removed", lambda _: remove_leftovers() if list_leftovers() else None),
            ("images of the functions, built from Debian packages or from the cache", self._build),
            ("a core, a signer, a site and servers beyond it start", self._start),
            ("an operator grants the functions what they need", self._grant),
            ("the app is applied without chains: the bare path", self._apply_bare),
            ("two chains are applied", self._apply_chains),
            ("order: the kernel counts packets given to each step, there and back", self._order),
            ("order: a packet with few hops left ends at the function it has come to", self._die),
            ("test packets: skerry chain test", self._test),
            ("the firewall blocks telnet and lets SSH, names and pages pass", self._firewall),
            ("the inspector names the protocols that pass", self._inspect),
            ("the cache answers what it has seen", self._cache),
            ("a function is stopped: the closed chain holds everything back", self._closed),
            ("fail: open lets traffic pass around a stopped function", self._open),
            ("a function is killed (SIGKILL): its site starts it again by itself", self._kill),
            ("a function is taken out and put in again under a ping", self._change),
            ("throughput through the chain, against the bare path", self._throughput),
            ("skerry chain show", self._show),
        ):
            self.stage.step(name, self._guard(action))

    @staticmethod
    def _guard(action: Callable[[Report], object]) -> Callable[[Report], None]:
        def run(report: Report) -> None:
            try:
                action(report)
            except (TimeoutError, Ended, OSError, subprocess.SubprocessError) as error:
                raise StepFailed(str(error)) from error

        return run

    # Its steps

    def _build(self, report: Report) -> None:
        for name in FUNCTIONS:
            build.build(f"{name}:1", self._layout(name), say=lambda _: None)
        report.detail = ", ".join(f"{name} {build.size_of(self._layout(name)) / 1e6:.0f} MB" for name in FUNCTIONS)

    def _layout(self, name: str) -> Path:
        folder = build.DEFAULT_CACHE / "layouts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}_1"

    def _start(self, report: Report) -> None:
        self.lab.start()
        self.fleet.start_core()
        self.fleet.start_site(SITE)
        for name in FUNCTIONS:
            self.fleet.must("image", "push", self._layout(name), f"{name}:1")
        self.fleet.must("image", "push", write_image(self.lab.core.disk, "tiny", tiny_image("tiny:1")))
        log = self._log.open("w")
        words = self.lab.core.argv(sys.executable, "-c", SERVERS, CORE_ADDRESS)
        self._servers = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, text=True)
        self._wait(lambda: "ready" in self._log.read_text(), "the servers beyond the site")
        report.detail = f"beyond the site, at {CORE_ADDRESS}: pages, names, SSH, telnet"

    def _grant(self, report: Report) -> None:
        profile = self.lab.core.disk / "profile.yaml"
        profile.write_text(PROFILE)
        self.fleet.must("profile", "set", "-f", profile, "--yes")
        report.detail = "NET_ADMIN over their own networks, never the node's"

    def _apply(self, *chains: str) -> None:
        self._file.write_text(APP + ("  chain:\n" + "".join(chains) if chains else ""))
        self.fleet.must("apply", "-f", self._file, "--name", "shop", "--yes", "--wait=2m")

    def _apply_bare(self, report: Report) -> None:
        self._apply()
        self._wait(lambda: self._running() == {"till", *FUNCTIONS}, "all instances")
        self._expect(self._ping(4) == 4, "the till reaches nobody")
        report.detail = "the till reaches what lies beyond the site, and nothing is in its path"

    def _apply_chains(self, report: Report) -> None:
        self._apply(WEB, REST % ("firewall, dpi", "closed"))
        self._wait(lambda: self._states() == {"web": "whole", "rest": "whole"}, "whole chains")
        report.detail = "web: firewall → dpi → cache; rest: firewall → dpi; closed where a function is missing"

    def _order(self, report: Report) -> None:
        before = self._counts()
        self._expect(self._ping(10) == 10, "pings are lost in the chain")
        grown = {name: count - before.get(name, 0) for name, count in self._counts().items()}
        rest = {name: count for name, count in grown.items() if name.startswith("c1")}
        least = min(rest.values())
        self._expect(
            set(rest) == {"c1s1_out", "c1s2_out", "c1s1_back", "c1s2_back"} and least >= 10, f"counted: {rest}"
        )
        report.detail = ", ".join(f"{name} {count}" for name, count in sorted(rest.items()))

    def _die(self, report: Report) -> None:
        # The node takes one hop, and so does the function that it gives the packet to.
        wanted = {2: (1, 0), 4: (1, 1)}
        found: dict[int, tuple[int, int]] = {}
        for _ in range(3):  # test packets of a measuring, once a minute, are counted as well
            found = {hops: self._count_ping(hops) for hops in wanted}
            if found == wanted:
                break
        self._expect(found == wanted, f"counted by hops: {found}")
        report.detail = "with 2 hops it ends at the firewall, with 4 at the inspector"

    def _count_ping(self, hops: int) -> tuple[int, int]:
        """Send one packet with so many hops left; return how often the firewall and the inspector were given it."""
        before = self._counts()
        self._inside("till", "busybox", "ping", "-c", "1", "-W", "1", "-t", hops, CORE_ADDRESS)
        after = self._counts()
        return after["c1s1_out"] - before["c1s1_out"], after["c1s2_out"] - before["c1s2_out"]

    def _test(self, report: Report) -> None:
        done = self.fleet.cli("chain", "test", "shop/rest", "--site", SITE)
        for line in done.out.splitlines():
            self.stage.note(line)
        self._expect(done.exit == 0, done.out + done.err)
        report.detail = "order, loss and latency of each step; none of the packets left the site"

    def _firewall(self, report: Report) -> None:
        said = {port: self._python("till", GREETED, CORE_ADDRESS, port) for port in (22, 23)}
        self._expect("SSH-2.0" in said[22], f"SSH does not pass: {said[22]}")
        self._expect("refused" in said[23], f"telnet passes: {said[23]}")
        name = self._python("till", ASK_NAME, CORE_ADDRESS).strip()
        self._expect(name.isdigit(), f"names do not pass: {name[-200:]} {self._log.read_text()[-300:]}")
        self._expect(self._get(1, 1)[0].startswith("200 "), "pages do not pass")
        table = self._inside("firewall", "nft", "list", "counters").stdout
        refused = re.search(r"counter refused \{\s*packets (\d+)", table)
        self._expect(refused is not None and int(refused[1]) > 0, f"the firewall refused nothing: {table}")
        report.detail = f"nftables refused {refused[1] if refused else 0} packets of telnet"

    def _inspect(self, report: Report) -> None:
        found: set[str] = set()

        def look() -> bool:
            self._get(1, 1)
            self._python("till", ASK_NAME, CORE_ADDRESS)
            self._python("till", GREETED, CORE_ADDRESS, 22)
            self._ping(2)
            said = self.fleet.must("logs", "shop/dpi", "--tail", "400")
            found.update(re.findall(r"\b(HTTP|DNS|SSH|ICMP)\b", said))
            return found >= {"HTTP", "DNS", "SSH", "ICMP"}

        self._wait(look, "the names of four protocols")
        report.detail = f"ndpiReader says: {', '.join(sorted(found))}"

    def _cache(self, report: Report) -> None:
        before = self._log.read_text().count("page")
        ratios: list[str] = []
        for _ in range(ROUNDS):
            answers = self._get(PAGES, 1)
            self._expect(len(answers) == PAGES and all(each.startswith("200 200000") for each in answers), str(answers))
            ratios.append(f"{sum(each.endswith('HIT') for each in answers)}/{PAGES}")
        served = self._log.read_text().count("page") - before
        self._expect(ratios[-1] == f"{PAGES}/{PAGES}", f"the cache does not answer: {ratios}")
        self._expect(served <= PAGES, f"the server beyond was asked {served} times")
        report.detail = (
            f"hits by round: {', '.join(ratios)}; the server beyond served {served} of {PAGES * ROUNDS} pages"
        )

    def _closed(self, report: Report) -> None:
        self.fleet.must("instance", "stop", "shop/dpi", "--site", SITE, "--yes")
        self._wait(lambda: self._states()["rest"] == "closed", "word of the closed chain")
        self._expect(self._ping(3) == 0, "packets pass a closed chain")
        report.detail = "0 of 3 pings; skerry says: " + self._reason("rest")
        self.fleet.must("instance", "start", "shop/dpi", "--site", SITE)
        self._wait(lambda: self._states()["rest"] == "whole", "the whole chain")
        self._expect(self._ping(3) == 3, "nothing passes the whole chain again")

    def _open(self, report: Report) -> None:
        self._apply(WEB, REST % ("firewall, dpi", "open"))
        self.fleet.must("instance", "stop", "shop/dpi", "--site", SITE, "--yes")
        self._wait(lambda: self._states()["rest"] == "around", "word of the way around")
        answers = self._ping(5)
        self._expect(answers == 5, f"{answers} of 5 pings pass an open chain")
        report.detail = "5 of 5 pings through the firewall alone; pages wait, their chain is closed"
        self.fleet.must("instance", "start", "shop/dpi", "--site", SITE)
        self._wait(lambda: self._states() == {"web": "whole", "rest": "whole"}, "whole chains")

    def _kill(self, report: Report) -> None:
        began = time.monotonic()
        before = self._pid("firewall")
        subprocess.run(["kill", "-KILL", str(before)], check=True)
        self._wait(lambda: self._pid("firewall") not in (0, before), "a new firewall")
        self._wait(lambda: self._ping(1) == 1, "an answer")
        report.detail = f"answers again after {time.monotonic() - began:.1f} s, by the new firewall"

    def _change(self, report: Report) -> None:
        log = self.lab.core.disk / "ping"
        with log.open("w") as output:
            words = self._argv("till", "busybox", "ping", "-i", "0.02", "-W", "1", CORE_ADDRESS)
            pinging = subprocess.Popen(words, stdout=output)
            try:
                for through in ("firewall", "firewall, dpi"):
                    self._apply(WEB, REST % (through, "closed"))
                    self._wait(lambda: self._states() == {"web": "whole", "rest": "whole"}, "whole chains")
                    time.sleep(1)  # packets by the new way
            finally:
                pinging.send_signal(signal.SIGINT)
                pinging.wait(10)
        found = re.search(r"(\d+) packets transmitted, (\d+) packets received", log.read_text())
        self._expect(found is not None, log.read_text()[-500:])
        sent, received = (int(found[1]), int(found[2])) if found else (0, 0)
        # The last one may still be on its way when ping is ended.
        self._expect(sent > 50 and sent - received <= 1, f"{sent - received} of {sent} pings were lost")
        report.requests_lost = max(sent - received - 1, 0)
        report.detail = f"{report.requests_lost} of {sent} pings lost"

    def _throughput(self, report: Report) -> None:
        rates = {"chain": [self._flow() for _ in range(TURNS)]}
        self._apply()
        self._wait(lambda: not self._counts(), "the end of the chains")
        rates["bare"] = [self._flow() for _ in range(TURNS)]
        self._apply(WEB, REST % ("firewall, dpi", "closed"))
        self._wait(lambda: self._states() == {"web": "whole", "rest": "whole"}, "whole chains")
        rates["chain"] += [self._flow() for _ in range(TURNS)]
        chain, bare = (sorted(rates[path])[len(rates[path]) // 2] / 1e6 for path in ("chain", "bare"))
        what = f"{chain:.0f} Mbit/s through two steps, {bare:.0f} bare: {chain / bare:.0%}"
        report.detail = f"{what}; the lab's own link limits both"

    def _show(self, report: Report) -> None:
        def measured() -> bool:
            node = self._node("rest")
            return bool(node["path_us"]) and bool(node["packets"])

        self._wait(measured, "latency and counts at the core")
        for chain in ("rest", "web"):
            for line in self.fleet.must("chain", "show", f"shop/{chain}").splitlines():
                self.stage.note(line)
        node = self._node("rest")
        report.detail = f"all steps within {node['path_us'] / 1000:g} ms"

    # What is looked at

    def _running(self) -> set[str]:
        return {name.split("/")[2] for name, each in list_containers(self.site).items() if each["State"] == "running"}

    def _pid(self, service: str) -> int:
        row = list_containers(self.site).get(f"default/shop/{service}/0")
        return self.site.podman.do("GET", f"/containers/{row['Id']}/json")["State"]["Pid"] if row else 0

    def _argv(self, service: str, *words: object) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._pid(service)}/ns/net", *(str(word) for word in words)]

    def _inside(self, service: str, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._argv(service, *words), capture_output=True, text=True, check=False, timeout=60)

    def _python(self, service: str, program: str, *words: object) -> str:
        done = self._inside(service, sys.executable, "-c", program, *words)
        return done.stdout + done.stderr

    def _ping(self, count: int) -> int:
        done = self._inside("till", "busybox", "ping", "-c", count, "-i", "0.1", "-W", "1", CORE_ADDRESS)
        found = re.search(r"(\d+) packets received", done.stdout)
        return int(found[1]) if found else 0

    def _get(self, pages: int, rounds: int) -> list[str]:
        return self._python("till", GET, CORE_ADDRESS, pages, rounds).splitlines()

    def _flow(self) -> float:
        said = self._python("till", SOURCE, CORE_ADDRESS, FLOW_S).strip()
        try:
            return float(said)
        except ValueError:
            raise StepFailed(f"no flow: {said[-300:]}") from None

    def _counts(self) -> dict[str, int]:
        said = json.loads(self.site.run("nft", "-j", "list", "counters"))
        rows = (each["counter"] for each in said["nftables"] if "counter" in each)
        return {row["name"]: row["packets"] for row in rows if row["table"] == "skerry_chains"}

    def _node(self, chain: str) -> dict[str, object]:
        nodes = self.fleet.ask("chain", "show", f"shop/{chain}")["nodes"]
        return nodes[0] if nodes else {"state": "", "reason": "", "path_us": 0, "packets": {}}

    def _states(self) -> dict[str, str]:
        return {chain: str(self._node(chain)["state"]) for chain in ("web", "rest")}

    def _reason(self, chain: str) -> str:
        return str(self._node(chain)["reason"])

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise StepFailed(otherwise)

    def _wait(self, look: Callable[[], object], what: str) -> None:
        wait_until(look, what, STEP_S_MAX)

    def stop(self) -> None:
        """End servers, programs and machines."""
        if self._servers is not None:
            self._servers.kill()
            self._servers.wait()
        try:
            self.fleet.stop()
        finally:
            self.lab.stop()


def main() -> int:
    """The command line."""
    asked = arguments(__doc__ or "", interactive=False).parse_args()
    stage = Stage("Skerry: a firewall, an inspector and a cache in the path of an app")
    path = Detour(stage)
    return play(stage, asked, path.run, lambda keep: path.lab.keep() if keep else path.stop())


if __name__ == "__main__":
    sys.exit(main())
