"""A fake name server: what unbound answers, without unbound; and the agent's hand on it.

``FakeNameServer`` is what runs while no agent looks; ``FakeNamesDriver`` keeps the same contract as the real driver,
and asks other sites with the real schedule: only the datagrams are missing, which the sea carries here.
"""

import asyncio
import ipaddress

from skerry.clock import Clock, Mint
from skerry.drivers.names.asking import Asking
from skerry.drivers.names.messages import Kind
from skerry.drivers.names.zones import list_answered
from skerry.model.ids import Digest, SiteName
from skerry.model.observed import Heard, NamesSeen, Observation
from skerry.plan.actions import DONE, Action, ApplyNames, Outcome, Question, Zone, failed
from skerry.plan.names import OWN_SUFFIX
from skerry.sim.overlays import FakeTunnels, Sea

#: A round trip between two machines, for each step between the addresses that they began with.
STEP_US = 5_000
Said = tuple[str, tuple[str, ...]]
SILENT: Said = ("SILENT", ())
_NOBODY = ApplyNames(zones=(), askers=(), questions=(), digest=Digest(""))


class FakeNameServer:
    """The name server of one machine; it outlives the agent and ends with the power."""

    def __init__(self) -> None:
        self.told = _NOBODY
        self.is_alive = True
        self.questions: tuple[Question, ...] = ()
        self.heard: tuple[Heard, ...] = ()
        self.rtt_us: dict[SiteName, int] = {}

    def lose_power(self) -> None:
        """Nothing of it is left."""
        self.told, self.questions, self.heard, self.rtt_us = _NOBODY, (), (), {}

    def answer(self, source: str, server: str, name: str, kind: str) -> Said:
        """Answer a question that came from one address to another."""
        name = name.lower()
        asked = next((zone for zone in self.told.zones if server in zone.gateways), None)
        if asked is None or not self.is_alive:
            return SILENT
        asker = next((each for each in self.told.askers if each.address == source), None)
        zones = [asked]
        if asker is not None:
            key = asker.tenant, asker.app
            zones = [
                each for each in self.told.zones if (each.tenant, each.app) == key and each.network in asker.networks
            ]
        for zone in zones:
            found = _look_up(zone, name, kind)
            if found is not None:
                return found
        private = name.endswith((".in-addr.arpa", ".ip6.arpa", ".skerry"))
        return ("NXDOMAIN", ()) if private or all(zone.shut for zone in zones) else ("SERVFAIL", ())


def _look_up(zone: Zone, name: str, kind: str) -> Said | None:
    if name in zone.unsaid:
        return SILENT
    own = {f"{each.name}.{OWN_SUFFIX}": each.addresses for each in zone.own}
    leads = {each.name: each.addresses for each in zone.names} | own
    if name in leads:
        is_v6 = kind == "AAAA"
        found = (each for each in leads[name] if kind in ("A", "AAAA") and (":" in each) == is_v6)
        return "NOERROR", tuple(sorted(found))
    ports = [each for each in zone.ports if f"_{each.port}._{each.protocol}.{each.service}" == name]
    if ports:
        found = (f"0 10 {each.port} {each.target}." for each in ports if each.target and kind == "SRV")
        return "NOERROR", tuple(sorted(found))
    reverse = {ipaddress.ip_address(address).reverse_pointer: lead for address, lead in zone.reverse}
    if name in reverse:
        return "NOERROR", (f"{reverse[name]}.",) if kind == "PTR" else ()
    return None


class FakeNamesDriver:
    """The agent's hand on a fake name server."""

    name = "names"
    performs = (ApplyNames,)

    def __init__(self, server: FakeNameServer, tunnels: FakeTunnels, sea: Sea, clock: Clock, mint: Mint) -> None:
        self._server = server
        self._tunnels = tunnels
        self._sea = sea
        self._clock = clock
        self._asking = Asking(clock, mint, "wired", ask=self._ask)
        self._asking.remember(server.heard, server.rtt_us)
        self._asking.ask_from_now_on(server.questions)
        self._woken = asyncio.Event()

    async def observe(self) -> Observation:
        """Look at the server."""
        server = self._server
        seen = NamesSeen(
            digest=server.told.digest if server.is_alive else "",
            answered=list_answered(server.told.zones),
            heard=self._asking.heard,
            rtt_us=self._asking.rtt_us,
        )
        return Observation(driver=self.name, names=seen)

    async def perform(self, action: Action) -> Outcome:
        """Make the server answer what the action says."""
        if not isinstance(action, ApplyNames):
            return failed("E-DRIVER", f"the names driver does not do {type(action).__name__}")
        self._server.told, self._server.is_alive, self._server.questions = action, True, action.questions
        self._asking.ask_from_now_on(action.questions)
        self._woken.set()
        return DONE

    async def wait_changed(self) -> None:
        """Ask other sites what is due until what they say changes."""
        while not await self._asking.ask_due():
            self._woken.clear()
            next_us = self._asking.next_us
            waits = [asyncio.ensure_future(self._woken.wait())]
            sleep = [] if next_us is None else [asyncio.ensure_future(self._clock.sleep_until(next_us))]
            try:
                await asyncio.wait([*waits, *sleep], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in (*waits, *sleep):
                    each.cancel()
        self._server.heard, self._server.rtt_us = self._asking.heard, self._asking.rtt_us

    async def _ask(
        self, source: str, server: str, port: int, name: str, kinds: list[Kind], wait_s: float, mint: Mint
    ) -> set[str] | None:
        """Let the sea carry the question there and the answer back."""
        now_us = self._clock.boot_us()
        end = self._sea.carry(self._tunnels, source, server)
        if end is None or end.names is None or self._sea.carry(end, server, source) is not self._tunnels:
            await self._clock.sleep_until(now_us + int(wait_s * 1_000_000))
            return None
        steps = abs(int(ipaddress.ip_address(end.born)) - int(ipaddress.ip_address(self._tunnels.born)))
        await self._clock.sleep_until(now_us + steps * STEP_US)
        said = [end.names.answer(source, server, name, kind) for kind in kinds]
        if any(code not in ("NOERROR", "NXDOMAIN") for code, _ in said):
            return None
        return {address for _, addresses in said for address in addresses}
