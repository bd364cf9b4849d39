"""What an entrance keeps to, real or fake: one set of checks for HAProxy with nftables and for the simulation's own."""

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

import msgspec

from skerry.drivers.base import Driver
from skerry.model.ids import Digest
from skerry.model.observed import EntranceSeen
from skerry.plan.actions import ApplyEntrance, Backend, Certificate, Challenge, Datagrams, Listener, Route, Server
from skerry.plan.entrance import entrance_digest

HOST, OTHER = "shop.example", "zoo.example"
PORT, TCP, UDP = 8080, 2525, 5353
VISITORS = 8


class Rig(Protocol):
    """A node with copies that can be started and killed, and somebody outside."""

    driver: Driver

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...

    async def serve(self, copy: int) -> None:
        """Start a copy; it answers with ``c1``, ``c2`` and so on."""
        ...

    async def kill(self, copy: int) -> None:
        """End it at once."""
        ...

    async def ask(self, place: str, visitor: int = 0) -> str:
        """Ask at ``http/HOST/PATH``, ``tcp/PORT`` or ``udp/PORT``; return the copy's name, empty for no answer.

        Of ``VISITORS``, who come from an address each; it makes a difference over UDP alone.
        """
        ...

    def restart_agent(self) -> None:
        """Let another driver take over what runs."""
        ...


def server(copy: int, state: Literal["up", "drain"] = "up", rank: int = 0) -> Server:
    return Server(name=f"c{copy}", address=f"10.176.0.{10 + copy}", port=PORT, state=state, rank=rank)


def entrance(*servers: Server, **words: Any) -> ApplyEntrance:
    """Return an entrance of one host over some copies; ``words`` are further fields."""
    backend = Backend(name="b1", mode="http", page="", servers=servers)
    base: dict[str, Any] = {
        "routes": (Route(host=HOST, path="/", backend="b1", secure=False, holder="t/shop/web"),),
        "backends": (backend,),
        "digest": Digest(""),
    }
    action = ApplyEntrance(**{**base, **words})
    return msgspec.structs.replace(action, digest=entrance_digest(action))


async def apply(rig: Rig, action: ApplyEntrance) -> EntranceSeen:
    outcome = await rig.driver.perform(action)
    assert outcome.ok, outcome
    seen = await look(rig)
    assert seen.digest == action.digest
    return seen


async def look(rig: Rig) -> EntranceSeen:
    seen = (await rig.driver.observe()).entrance
    assert seen is not None
    return seen


async def becomes(rig: Rig, place: str, wanted: set[str], seconds: float = 4.0) -> None:
    """Wait until who asks at a place is led to these copies, each of them."""
    found: set[str] = set()
    for _ in range(int(seconds * 10)):
        found = {await rig.ask(place, visitor) for visitor in range(VISITORS)}
        if found == wanted:
            return
        await rig.wait(0.1)
    raise AssertionError(f"{place} leads to {found}, and not to {wanted}")


async def check_nothing_runs_where_nothing_is_wished(rig: Rig) -> None:
    assert (await look(rig)).digest == ""
    assert await rig.ask(f"http/{HOST}/") == ""


async def check_copies_are_asked_in_turn_and_who_leaves_is_not(rig: Rig) -> None:
    await rig.serve(1)
    await rig.serve(2)
    await apply(rig, entrance(server(1)))
    await becomes(rig, f"http/{HOST}/", {"c1"})
    await apply(rig, entrance(server(1), server(2)))
    await becomes(rig, f"http/{HOST}/", {"c1", "c2"})
    seen = await apply(rig, entrance(server(1, "drain"), server(2)))
    assert {(each.name, each.state) for each in seen.servers} == {("c1", "drain"), ("c2", "up")}
    await becomes(rig, f"http/{HOST}/", {"c2"})
    seen = await apply(rig, entrance(server(2)))
    assert {each.name for each in seen.servers} == {"c2"}
    await apply(rig, entrance(server(1), server(2)))
    await becomes(rig, f"http/{HOST}/", {"c1", "c2"})


async def check_a_dead_copy_is_out_soon_and_comes_back(rig: Rig) -> None:
    await rig.serve(1)
    await rig.serve(2)
    await apply(rig, entrance(server(1), server(2)))
    await becomes(rig, f"http/{HOST}/", {"c1", "c2"})
    await rig.kill(1)
    await becomes(rig, f"http/{HOST}/", {"c2"}, 2.0)
    assert {each.name for each in (await look(rig)).servers if each.well} == {"c2"}
    await rig.serve(1)
    await becomes(rig, f"http/{HOST}/", {"c1", "c2"})


async def check_paths_lead_to_the_longest_place_that_fits(rig: Rig) -> None:
    await rig.serve(1)
    await rig.serve(2)
    routes = (
        Route(host=HOST, path="/", backend="b1", secure=False, holder="t/shop/web"),
        Route(host=HOST, path="/zoo", backend="b2", secure=False, holder="t/zoo/web"),
    )
    backends = (
        Backend(name="b1", mode="http", page="", servers=(server(1),)),
        Backend(name="b2", mode="http", page="", servers=(server(2),)),
    )
    seen = await apply(rig, entrance(routes=routes, backends=backends))
    assert seen.holders == {f"http/{HOST}/": "t/shop/web", f"http/{HOST}/zoo": "t/zoo/web"}
    await becomes(rig, f"http/{HOST}/", {"c1"})
    await becomes(rig, f"http/{HOST}/zoo", {"c2"})
    await becomes(rig, f"http/{HOST}/zoo/ape", {"c2"})
    await becomes(rig, f"http/{HOST}/zooming", {"c1"})
    assert await rig.ask(f"http/{OTHER}/") == ""


async def check_connections_and_datagrams_are_shared_out(rig: Rig) -> None:
    await rig.serve(1)
    await rig.serve(2)

    def both(*servers: Server) -> ApplyEntrance:
        return entrance(
            routes=(),
            listeners=(Listener(port=TCP, backend="b1t", holder="t/mail/web"),),
            backends=(Backend(name="b1t", mode="tcp", page="", servers=servers),),
            datagrams=(Datagrams(port=UDP, holder="t/dns/web", servers=servers),),
        )

    seen = await apply(rig, both(server(1), server(2)))
    assert seen.holders == {f"tcp/{TCP}": "t/mail/web", f"udp/{UDP}": "t/dns/web"}
    await becomes(rig, f"tcp/{TCP}", {"c1", "c2"})
    await becomes(rig, f"udp/{UDP}", {"c1", "c2"})
    await apply(rig, both(server(1, "drain"), server(2)))
    await becomes(rig, f"tcp/{TCP}", {"c2"})
    await becomes(rig, f"udp/{UDP}", {"c2"})
    await apply(rig, both(server(1), server(2)))
    await becomes(rig, f"udp/{UDP}", {"c1", "c2"})
    # Who sends is kept with one copy, also by one that leaves and comes back.
    kept = [await rig.ask(f"udp/{UDP}", visitor) for visitor in range(VISITORS)]
    await apply(rig, both(server(1)))
    await becomes(rig, f"udp/{UDP}", {"c1"})
    await apply(rig, both(server(1), server(2)))
    await becomes(rig, f"udp/{UDP}", {"c1", "c2"})
    assert [await rig.ask(f"udp/{UDP}", visitor) for visitor in range(VISITORS)] == kept
    await apply(rig, entrance(routes=(), backends=()))
    assert await rig.ask(f"tcp/{TCP}") == ""
    assert await rig.ask(f"udp/{UDP}") == ""


async def check_others_are_asked_only_where_none_of_the_first_answers(rig: Rig) -> None:
    await rig.serve(1)
    await rig.serve(2)
    await apply(rig, entrance(server(1), server(2, rank=1)))
    await becomes(rig, f"http/{HOST}/", {"c1"})
    await rig.kill(1)
    await becomes(rig, f"http/{HOST}/", {"c2"}, 2.0)


async def check_datagrams_go_to_others_only_where_none_of_the_first_is_wished(rig: Rig) -> None:
    await rig.serve(1)
    await rig.serve(2)

    def port(*servers: Server) -> ApplyEntrance:
        doors = (Datagrams(port=UDP, holder="t/dns/web", servers=servers),)
        return entrance(routes=(), backends=(), datagrams=doors)

    await apply(rig, port(server(1), server(2, rank=1)))
    await becomes(rig, f"udp/{UDP}", {"c1"})
    await apply(rig, port(server(1, "drain"), server(2, rank=1)))
    await becomes(rig, f"udp/{UDP}", {"c2"})
    await apply(rig, port(server(1), server(2, rank=1)))
    await becomes(rig, f"udp/{UDP}", {"c1"})
    await apply(rig, port())
    assert await rig.ask(f"udp/{UDP}") == ""
    # Nobody asks whether who has datagrams is there.
    await apply(rig, port(server(1), server(2, rank=1)))
    await rig.kill(1)
    assert await rig.ask(f"udp/{UDP}") == ""


async def check_an_authority_is_answered_for_its_hosts_alone(rig: Rig) -> None:
    await rig.serve(1)
    token, thumbprint = "t" * 43, "h" * 43
    routes = tuple(
        Route(host=host, path="/", backend="b1", secure=host == HOST, holder="t/shop/web") for host in (HOST, OTHER)
    )
    await apply(rig, entrance(server(1), routes=routes, challenge=Challenge((HOST,), thumbprint)))
    await becomes(rig, f"http/{OTHER}/", {"c1"})
    asked = f"/.well-known/acme-challenge/{token}"
    assert await rig.ask(f"http/{HOST}{asked}") == f"{token}.{thumbprint}"
    assert await rig.ask(f"http/{OTHER}{asked}") == "c1"
    assert await rig.ask(f"http/{HOST}{asked}/more") == ""
    await apply(rig, entrance(server(1), routes=routes))
    assert await rig.ask(f"http/{HOST}{asked}") == ""


async def check_it_goes_on_without_the_agent_and_the_next_one_takes_it_over(rig: Rig) -> None:
    await rig.serve(1)
    action = entrance(server(1))
    before = await apply(rig, action)
    rig.restart_agent()
    seen = await look(rig)
    assert (seen.digest, seen.holders) == (action.digest, before.holders)
    assert [each.since_us for each in seen.servers] == [each.since_us for each in before.servers]
    await becomes(rig, f"http/{HOST}/", {"c1"})


async def check_it_ends_with_the_last_place(rig: Rig) -> None:
    await rig.serve(1)
    await apply(rig, entrance(server(1)))
    seen = await apply(rig, entrance(routes=(), backends=()))
    assert (seen.digest, seen.servers, seen.holders) == ("", (), {})
    assert await rig.ask(f"http/{HOST}/") == ""


CHECKS: dict[str, Callable[[Any], Coroutine[Any, Any, None]]] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}


async def tidy(rig: Rig) -> None:
    """End what a check has begun."""
    await rig.driver.perform(entrance(routes=(), backends=()))
    for copy in (1, 2):
        await rig.kill(copy)


def certificates(*hosts: tuple[str, Digest]) -> tuple[Certificate, ...]:
    return tuple(Certificate(host=host, version=version) for host, version in hosts)
