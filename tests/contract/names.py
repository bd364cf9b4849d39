"""What every driver of a node's name server does alike: run against the fake and against unbound in a namespace.

Each check is a coroutine over a ``Rig``; what is answered is seen by asking, as an instance would.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from skerry.drivers.base import Driver
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.observed import NamesSeen
from skerry.plan.actions import ApplyNames, Asker, Named, PortNamed, Zone
from skerry.plan.names import names_digest

#: The node's addresses in two networks of one tenant and one of another; instances have the next ones.
GATEWAYS = ("10.176.1.1", "10.176.2.1", "10.176.3.1")
GATEWAY_V6 = "fd00:176:1::1"
GONE = ("NOERROR", ())
UNKNOWN = ("NXDOMAIN", ())

Said = tuple[str, tuple[str, ...]]


class Rig(Protocol):
    driver: Driver

    async def ask(self, source: str, server: str, name: str, kind: str) -> Said:
        """Ask from an address: the code's name, and what was answered, sorted; ("SILENT", ()) for no answer."""
        ...

    async def begin_anew(self) -> None:
        """Let the agent's process end and another one begin."""
        ...

    async def kill_server(self) -> None:
        """Let the server die by itself."""
        ...


def zone(which: int = 0, **words: object) -> Zone:
    tenant, app, network = (("alpha", "shop", "front"), ("alpha", "shop", "back"), ("beta", "shop", "front"))[which]
    net = GATEWAYS[which].rpartition(".")[0]
    base = Zone(
        tenant=TenantName(tenant),
        app=AppName(app),
        network=NetworkName(network),
        gateways=(GATEWAYS[which], GATEWAY_V6) if which == 0 else (GATEWAYS[which],),
        names=(Named("db", ()), Named("web", (f"{net}.5", f"{net}.6")), Named("web.shop", (f"{net}.5", f"{net}.6"))),
        ports=(PortNamed("db", 5432, "tcp", ""), PortNamed("web", 80, "tcp", "web.shop")),
        reverse=((f"{net}.5", "web.shop"), (f"{net}.6", "web.shop")),
        own=(Named("db", ()), Named("web", (f"{net}.5", f"{net}.6"))),
    )
    return msgspec.structs.replace(base, **words)


def only(name: str, *addresses: str) -> dict[str, Any]:
    return {"names": (Named(name, addresses),), "ports": (), "reverse": (), "own": (Named(name, addresses),)}


async def apply(rig: Rig, *zones: Zone, askers: tuple[Asker, ...] = ()) -> None:
    action = ApplyNames(zones=zones, askers=askers, questions=(), digest=names_digest(zones, askers, ()))
    outcome = await rig.driver.perform(action)
    assert outcome.ok, outcome
    assert (await see(rig)).digest == action.digest


async def see(rig: Rig) -> NamesSeen:
    seen = await rig.driver.observe()
    assert seen.unavailable == ""
    assert seen.names is not None
    assert seen.names.reason == ""
    return seen.names


async def ask(rig: Rig, name: str, kind: str = "A", which: int = 0, source: str = "") -> Said:
    return await rig.ask(source or GATEWAYS[which], GATEWAYS[which], name, kind)


async def check_addresses_of_both_families_ports_and_reverse_names(rig: Rig):
    await apply(rig, zone(names=(Named("web", ("10.176.1.5", "10.176.1.6", "fd00:176:1::5")),)))
    assert await ask(rig, "web") == ("NOERROR", ("10.176.1.5", "10.176.1.6"))
    assert await ask(rig, "WEB") == ("NOERROR", ("10.176.1.5", "10.176.1.6"))
    assert await ask(rig, "web", "AAAA") == ("NOERROR", ("fd00:176:1::5",))
    assert await ask(rig, "_80._tcp.web", "SRV") == ("NOERROR", ("0 10 80 web.shop.",))
    assert await ask(rig, "5.1.176.10.in-addr.arpa", "PTR") == ("NOERROR", ("web.shop.",))
    assert await ask(rig, "7.1.176.10.in-addr.arpa", "PTR") == UNKNOWN


async def check_known_without_an_address_is_not_unknown(rig: Rig):
    await apply(rig, zone())
    assert await ask(rig, "db") == GONE
    assert await ask(rig, "db", "AAAA") == GONE
    assert await ask(rig, "web", "AAAA") == GONE
    assert await ask(rig, "_5432._tcp.db", "SRV") == GONE
    assert await ask(rig, "cache.own.skerry") == UNKNOWN


async def check_other_sites_learn_of_this_site_alone(rig: Rig):
    far = ("10.64.0.69",)
    await apply(rig, zone(names=(Named("web", far),), own=(Named("web", ()), Named("db", ("10.176.1.9",)))))
    assert await ask(rig, "web") == ("NOERROR", far)
    assert await ask(rig, "web.own.skerry") == GONE
    assert await ask(rig, "db.own.skerry") == ("NOERROR", ("10.176.1.9",))
    assert (await see(rig)).answered == {"10.176.1.9"}


async def check_one_name_of_two_tenants_leads_each_to_its_own(rig: Rig):
    await apply(rig, zone(), zone(2))
    assert await ask(rig, "web") == ("NOERROR", ("10.176.1.5", "10.176.1.6"))
    assert await ask(rig, "web", which=2) == ("NOERROR", ("10.176.3.5", "10.176.3.6"))
    await apply(rig, zone(**only("web", "10.176.1.7")), zone(2, **only("secret", "10.176.3.9")))
    assert await ask(rig, "secret", which=2) == ("NOERROR", ("10.176.3.9",))
    assert (await ask(rig, "secret"))[1] == ()
    assert (await ask(rig, "web", which=2))[1] == ()


async def check_an_instance_of_two_networks_finds_the_names_of_both_at_either(rig: Rig):
    front, back = zone(), zone(1, **only("ledger", "10.176.2.5"))
    both = Asker("10.176.1.9", front.tenant, front.app, (front.network, back.network))
    await apply(rig, front, back, askers=(both,))
    assert await ask(rig, "ledger", source=both.address) == ("NOERROR", ("10.176.2.5",))
    assert await ask(rig, "web", which=1, source=both.address) == ("NOERROR", ("10.176.1.5", "10.176.1.6"))
    assert (await ask(rig, "ledger"))[1] == ()
    assert (await ask(rig, "web", which=1))[1] == ()
    await apply(rig, front, back)
    assert (await ask(rig, "ledger", source=both.address))[1] == ()


async def check_a_question_of_one_that_begins_is_left_open(rig: Rig):
    await apply(rig, zone(unsaid=("ledger",)))
    assert await ask(rig, "ledger") == ("SILENT", ())
    assert (await ask(rig, "web"))[0] == "NOERROR"


async def check_a_network_without_a_way_out_asks_nobody_else(rig: Rig):
    await apply(rig, zone(shut=True), zone(2))
    assert await ask(rig, "example.com") == UNKNOWN
    assert (await ask(rig, "web"))[0] == "NOERROR"
    assert (await ask(rig, "example.com", which=2))[0] != "NXDOMAIN"


async def check_a_change_is_seen_at_once_and_no_network_more_or_less_disturbs_the_others(rig: Rig):
    await apply(rig, zone())
    await apply(rig, zone(**only("web", "10.176.1.8")))
    assert await ask(rig, "web") == ("NOERROR", ("10.176.1.8",))
    await apply(rig, zone(**only("web", "10.176.1.8")), zone(2))
    assert await ask(rig, "web", which=2) == ("NOERROR", ("10.176.3.5", "10.176.3.6"))
    await apply(rig, zone(2))
    assert await ask(rig, "web", which=2) == ("NOERROR", ("10.176.3.5", "10.176.3.6"))
    assert await ask(rig, "web") == ("SILENT", ())


async def check_a_new_agent_finds_what_runs_and_goes_on(rig: Rig):
    await apply(rig, zone())
    before = await see(rig)
    await rig.begin_anew()
    assert await see(rig) == before
    assert (await ask(rig, "web"))[0] == "NOERROR"
    await apply(rig, zone(**only("web", "10.176.1.8")))
    assert await ask(rig, "web") == ("NOERROR", ("10.176.1.8",))


async def check_a_server_that_died_is_seen_and_comes_back(rig: Rig):
    await apply(rig, zone())
    await rig.kill_server()
    assert (await see(rig)).digest == ""
    assert await ask(rig, "web") == ("SILENT", ())
    await apply(rig, zone())
    assert (await ask(rig, "web"))[0] == "NOERROR"


async def check_nothing_runs_where_no_network_asks(rig: Rig):
    await apply(rig, zone())
    await apply(rig)
    assert await ask(rig, "web") == ("SILENT", ())
    assert await see(rig) == NamesSeen()
    await apply(rig, zone())
    assert (await ask(rig, "web"))[0] == "NOERROR"


CHECKS: dict[str, Callable[[Rig], Awaitable[None]]] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}
