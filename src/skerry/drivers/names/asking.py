"""Asks the name servers of other sites where their instances are, and measures how far away they are.

DNS over the tunnel, from the node's own address in the network: which network is meant is said by where the question
comes to. What a site answers counts until it says something else or falls silent. Bounds: a server that does not answer
is asked ``TRIES`` times in a row and is silent then; so many questions are under way at once; and how often one is
asked follows from how dear the link is. Nothing is sent while there is no question.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from skerry.clock import SECOND_US, Clock, Mint
from skerry.drivers.names.messages import NO_ERROR, NO_SUCH_NAME, Kind, read_answer, write_question
from skerry.model.ids import AppName, NetworkName, ServiceName, SiteName, TenantName
from skerry.model.observed import Heard
from skerry.plan.actions import Question
from skerry.plan.names import OWN_SUFFIX
from skerry.wire import LinkClass

PORT = 53
#: Questions in a row without an answer after which a site is silent.
TRIES = 3
#: Under way at once, so that a node with many services sends no burst.
_UNDER_WAY_MAX = 8
#: What is not used now is asked this much less often.
_SELDOM = 10
#: A round trip that changed by less is told as before: it would have names made anew for nothing.
_SAME_SHARE, _SAME_US = 4, 1_000


class Pace(msgspec.Struct, frozen=True):
    """How often is asked, and how long is waited, in microseconds; ``soon_us`` is for where people are led to."""

    period_us: int
    wait_us: int
    soon_us: int


#: 8 questions a minute and kind over a metered link, one a minute over a dear one; a round trip over a satellite and
#: back takes 0.6 s, over a relay twice that. Where people are led to over a cheap link, a copy that dies is left within
#: 2 s: the other site takes up to a second to see it.
PACES: dict[LinkClass, Pace] = {
    "wired": Pace(3 * SECOND_US, SECOND_US, SECOND_US * 3 // 4),
    "mobile": Pace(15 * SECOND_US, 2 * SECOND_US, 15 * SECOND_US),
    "satellite": Pace(60 * SECOND_US, 3 * SECOND_US, 60 * SECOND_US),
}

#: See ``ask_server``.
Ask = Callable[[str, str, int, str, list[Kind], float, Mint], Awaitable[set[str] | None]]
_Key = tuple[TenantName, AppName, NetworkName, ServiceName, SiteName]


class _State(msgspec.Struct):
    question: Question
    next_us: int = 0
    failures: int = 0


class Asking:
    """Everything that this node asks other sites."""

    def __init__(
        self, clock: Clock, mint: Mint, link_class: LinkClass, port: int = PORT, ask: Ask | None = None
    ) -> None:
        """``ask`` asks one server once: over real sockets, unless it is a simulation."""
        self._ask_server = ask or ask_server
        self._clock = clock
        self._mint = mint
        self._pace = PACES[link_class]
        self._port = port
        self._states: dict[_Key, _State] = {}
        self._heard: dict[_Key, Heard] = {}
        self._rtt_us: dict[SiteName, float] = {}
        self._told_us: dict[SiteName, int] = {}
        self._asked: dict[SiteName, tuple[int, int]] = {}

    @property
    def heard(self) -> tuple[Heard, ...]:
        """What counts now."""
        return tuple(sorted(self._heard.values()))

    @property
    def rtt_us(self) -> dict[SiteName, int]:
        """Round trips as they are told."""
        return dict(sorted(self._told_us.items()))

    @property
    def asked(self) -> dict[SiteName, tuple[int, int]]:
        """Questions to each site, and how many were not answered in time."""
        return dict(sorted(self._asked.items()))

    def remember(self, heard: Iterable[Heard], rtt_us: dict[SiteName, int]) -> None:
        """Take over what a process before this one had heard; it is asked again at once."""
        self._heard = {_key_of(each): each for each in heard}
        self._told_us = dict(rtt_us)
        self._rtt_us = {site: float(value) for site, value in rtt_us.items()}

    def ask_from_now_on(self, questions: Iterable[Question]) -> None:
        """Ask these, and nothing else; what is asked more often from now on is asked at once."""
        states: dict[_Key, _State] = {}
        for question in questions:
            key = _key_of(question)
            state = self._states.get(key)
            if state is None or _is_dearer(question, state.question):
                state = _State(question, failures=0 if state is None else state.failures)
            state.question = question
            states[key] = state
        self._states = states
        self._heard = {key: each for key, each in self._heard.items() if key in states}
        sites = {key[-1] for key in states}
        self._told_us = {site: value for site, value in self._told_us.items() if site in sites}
        self._rtt_us = {site: value for site, value in self._rtt_us.items() if site in sites}
        self._asked = {site: value for site, value in self._asked.items() if site in sites}

    @property
    def next_us(self) -> int | None:
        """When something is to be asked next; None for never."""
        return min((state.next_us for state in self._states.values()), default=None)

    async def ask_due(self) -> bool:
        """Ask what is due; say whether what is known of other sites changed."""
        now_us = self._clock.boot_us()
        due = [state for _, state in sorted(self._states.items()) if state.next_us <= now_us]
        before = self._heard.copy(), self._told_us.copy()
        gate = asyncio.Semaphore(_UNDER_WAY_MAX)
        await asyncio.gather(*(self._ask_gated(gate, state) for state in due))
        return (self._heard, self._told_us) != before

    async def _ask_gated(self, gate: asyncio.Semaphore, state: _State) -> None:
        async with gate:
            await self._ask(state)

    async def _ask(self, state: _State) -> None:
        question = state.question
        key = _key_of(question)
        began_us = self._clock.boot_us()
        name = f"{question.service}.{OWN_SUFFIX}"
        kinds: list[Kind] = ["A", "AAAA"]
        found = await self._ask_server(
            question.source, question.server, self._port, name, kinds, self._wait_s, self._mint
        )
        now_us = self._clock.boot_us()
        if self._states.get(key) is not state:
            return  # nobody wants to know any more
        count, lost = self._asked.get(question.site, (0, 0))
        self._asked[question.site] = count + 1, lost + (found is None)
        if found is None:
            state.failures += 1
            if state.failures >= TRIES:
                self._heard.pop(key, None)
                state.next_us = now_us + self._jitter(self._pace.period_us * 2)
            else:
                state.next_us = now_us + self._jitter(self._pace.wait_us // 2)
            return
        state.failures = 0
        period_us = self._pace.period_us * (1 if question.often else _SELDOM)
        state.next_us = now_us + self._jitter(self._pace.soon_us if question.soon else period_us)
        addresses = tuple(sorted(each for each in found if _is_inside(each, question.ranges)))
        self._heard[key] = Heard(*key[:4], question.site, addresses)
        self._measure(question.site, now_us - began_us)

    @property
    def _wait_s(self) -> float:
        return self._pace.wait_us / SECOND_US

    def _jitter(self, span_us: int) -> int:
        return int(span_us * (0.85 + 0.3 * self._mint.uniform()))

    def _measure(self, site: SiteName, took_us: int) -> None:
        """Smooth as RFC 6298 section 2 does, with a gain of an eighth; what is told moves only when it moved much."""
        before = self._rtt_us.get(site)
        smooth = self._rtt_us[site] = took_us if before is None else before + (took_us - before) / 8
        told = self._told_us.get(site)
        if told is None or abs(smooth - told) > max(told / _SAME_SHARE, _SAME_US):
            self._told_us[site] = int(smooth)


def _key_of(about: Question | Heard) -> _Key:
    return (about.tenant, about.app, about.network, about.service, about.site)


def _is_dearer(question: Question, before: Question) -> bool:
    """Say whether something is to be asked more often than before."""
    return (question.soon, question.often) > (before.soon, before.often)


def _is_inside(address: str, ranges: Iterable[str]) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(each) for each in ranges)


class _Exchange(asyncio.DatagramProtocol):
    """One socket for the questions about one name; answers to other questions are no answers."""

    def __init__(self, questions: list[bytes]) -> None:
        self.questions = questions
        self.addresses: set[str] = set()
        self.left = set(range(len(questions)))
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take one answer. The socket is connected, so it came from the server."""
        for place in sorted(self.left):
            answer = read_answer(data, self.questions[place])
            if answer is not None:
                self.left.discard(place)
                self.addresses.update(answer.addresses)
                if answer.code not in (NO_ERROR, NO_SUCH_NAME):
                    self._end(heard=False)  # it cannot tell now
                elif not self.left:
                    self._end(heard=True)
                return

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there."""
        self._end(heard=False)

    def _end(self, *, heard: bool) -> None:
        if not self.done.done():
            self.done.set_result(heard)


async def ask_server(
    source: str, server: str, port: int, name: str, kinds: list[Kind], wait_s: float, mint: Mint
) -> set[str] | None:
    """Ask a server for the addresses of a name; None where no answer comes in time."""
    numbers = [int.from_bytes(mint.draw(2), "big") for _ in kinds]
    questions = [write_question(number, name, kind) for number, kind in zip(numbers, kinds, strict=True)]
    exchange: _Exchange | None = None
    transport: asyncio.DatagramTransport | None = None
    try:
        async with asyncio.timeout(wait_s):
            transport, exchange = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Exchange(questions), local_addr=(source, 0) if source else None, remote_addr=(server, port)
            )
            for question in questions:
                transport.sendto(question)
            return exchange.addresses if await exchange.done else None
    except (OSError, TimeoutError):
        return None
    finally:
        if transport is not None:
            transport.close()
