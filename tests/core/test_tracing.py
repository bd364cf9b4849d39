"""Ways traced through a core: what the sites say when they are asked, and what is left where they do not."""

from ipaddress import ip_network
from typing import Any

import msgspec
import pytest
from tests.core.cores import Rig, key, sign
from tests.core.test_calls import FakeSites

from skerry.core.auth import Caller
from skerry.model.answers import TraceAnswer
from skerry.model.app import Network, NetworkWords, Sites
from skerry.model.asks import TraceQuery
from skerry.model.entrance import Entrance
from skerry.model.errors import NotAllowed, NotFound
from skerry.model.ids import InstanceId, NetworkName, NodeName, ServiceName, SiteName
from skerry.model.trace import DoorLook, InstanceLook, NameLook, NetworkLook, NodeView, TraceAsk, TunnelLook
from skerry.wire import CallReply

MESH = NetworkName("mesh")


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    rig.core.sites = rig.fake = FakeSites()  # type: ignore[attr-defined]
    for name in ("oslo", "rome"):
        await rig.add_site(name)
    yield rig
    await rig.close()


async def have_shop(rig: Rig, *, stretched: bool = True, services: tuple[str, ...] = ("web",)) -> None:
    """Have an app at every site, in a network that is stretched or not."""
    made = rig.revision("shop", 1, image=await rig.push_image(), services=services, networks={MESH: ()})
    network = Network(words=NetworkWords(kind="overlay", scope="app")) if stretched else Network()
    made = msgspec.structs.replace(made, networks={MESH: network})
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    await rig.plan()


def answer(rig: Rig, place: str, **values: object) -> None:
    """Let a site answer when it is asked."""
    view = msgspec.structs.replace(
        NodeView(
            SiteName(place),
            NodeName("n1"),
            "in force",
            networks=(NetworkLook(MESH, False, ("10.176.0.0/24",)),),
            instances=(
                InstanceLook(InstanceId("default/shop/web/0"), "running", "ready", "", {MESH: ("10.176.0.2",)}),
            ),
        ),
        **values,
    )
    reply = CallReply("c", ok=True, body=msgspec.msgpack.encode(view))  # type: ignore[arg-type]
    rig.fake.answers[place, "trace"] = (reply, [])  # type: ignore[attr-defined]


async def trace(rig: Rig, start: str, end: str, caller: Caller | None = None, **words: Any) -> TraceAnswer:
    return await rig.service.trace_network(caller or rig.admin, query=TraceQuery(start=start, end=end, **words))


async def test_both_sites_are_asked_what_is_there_now(rig: Any):
    await have_shop(rig)
    near, far = "10.64.0.0/26", "10.64.0.64/26"
    for site, mine, theirs in (("oslo", near, far), ("rome", far, near)):
        answer(
            rig,
            site,
            networks=(NetworkLook(MESH, False, (mine,), (mine,), (theirs,)),),
            instances=(
                InstanceLook(
                    InstanceId("default/shop/web/0"), "running", "ready", "", {MESH: (str(ip_network(mine)[2]),)}
                ),
            ),
            tunnels=(TunnelLook(True, (theirs,), "192.0.2.1:51820", False, 3, False),),
        )
    found = await trace(rig, "shop/web@oslo", "shop/web@rome")
    assert found.verdict == "passes", found
    assert [each.hop for each in found.lines if each.verdict == "passes"][-4:] == ["rule", "tunnel", "tunnel", "rule"]
    assert {each.source for each in found.lines if each.age_s == 0} == {"the node n1 itself"}
    asked = {site: msgspec.msgpack.decode(body, type=TraceAsk) for site, _, body in rig.fake.asked}
    assert asked["oslo"].other == "rome"
    assert asked["rome"].services == ("web",)


async def test_a_site_that_does_not_answer_is_told_of_by_its_document(rig: Any):
    await have_shop(rig, stretched=False)
    answer(rig, "oslo")
    found = await trace(rig, "shop/web@oslo", "shop/web@rome")
    assert (found.start_site, found.end_site) == ("oslo", "rome")
    assert found.verdict == "stopped"
    assert "each site by itself" in found.reason
    (line,) = (each for each in found.lines if "does not answer" in each.text)
    assert line.site == "rome"
    assert line.verdict == "told"


async def test_what_a_site_says_is_believed_only_where_it_makes_sense(rig: Any):
    await have_shop(rig, stretched=False)
    bad = (InstanceLook(InstanceId("default/shop/web/0"), "running", "ready", "", {MESH: ("no address",)}),)
    for values in ({"site": SiteName("rome")}, {"instances": bad}):
        answer(rig, "oslo", **values)
        found = await trace(rig, "shop/web@oslo", "internet")
        assert any("does not answer" in each.text for each in found.lines)
    rig.fake.answers["oslo", "trace"] = (CallReply("c", ok=True, body=b"\xc1"), [])  # type: ignore[arg-type]
    assert (await trace(rig, "shop/web@oslo", "internet")).verdict != "passes"


async def test_names_choose_among_sites_that_have_the_other_end(rig: Any):
    sites = Sites(match=("zone=south",))
    for name in ("nice", "pisa"):
        await rig.add_site(name, labels={"zone": "south"})
    made = rig.revision("shop", 1, image=await rig.push_image(), services=("web", "db"), networks={MESH: ()})
    services = {
        name: msgspec.structs.replace(
            service, placement=msgspec.structs.replace(service.placement, sites=sites if name == "db" else Sites())
        )
        for name, service in made.services.items()
    }
    made = msgspec.structs.replace(
        made, services=services, networks={MESH: Network(words=NetworkWords(kind="overlay", scope="app"))}
    )
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    await rig.plan()
    answer(rig, "oslo", names=(NameLook(MESH, ("10.64.0.9",), (SiteName("pisa"),), "pisa is the nearest"),))
    found = await trace(rig, "shop/web@oslo", "shop/db")
    assert found.end_site == "pisa"
    assert any("shop/db-0 at pisa, of 2 sites that have one" in each.text for each in found.lines)
    assert (await trace(rig, "shop/web@oslo", "shop/db@nice")).end_site == "nice"


async def test_who_may_not_see_an_end_is_told_what_an_end_is(rig: Any):
    await have_shop(rig)
    for start, end in (
        ("shop/web", "shop/nothing"),
        ("shop", "internet"),
        ("other/web", "internet"),
        ("shop/web@mars", "oslo"),
    ):
        with pytest.raises(NotFound) as caught:
            await trace(rig, start, end)
        assert "APP/SERVICE" in caught.value.hint
    with pytest.raises(NotFound):
        await trace(rig, "shop/web", "internet", rig.caller("other"))


async def test_from_site_to_site_is_the_operators_to_ask(rig: Any):
    with pytest.raises(NotAllowed):
        await trace(rig, "oslo", "rome")
    both = msgspec.structs.replace(rig.admin, operator_role="operator")
    found = await trace(rig, "oslo", "rome", both)
    assert found.verdict == "unknown"
    assert "no tunnel to rome" in found.reason


async def test_an_entrance_is_an_end_by_its_host_name(rig: Any):
    made = rig.revision("shop", 1, image=await rig.push_image(), entrance=(Entrance(port=80, host="shop.example"),))
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    await rig.plan()
    place = "http/shop.example/"
    answer(rig, "oslo", doors=(DoorLook(place, ServiceName("web"), "", 1, 1),))
    found = await trace(rig, "internet", "shop.example")
    assert (found.verdict, found.end_site) == ("passes", "oslo")
    answer(rig, "oslo", doors=(DoorLook(place, ServiceName("web"), "port 80 is taken", 0, 1),))
    assert "port 80 is taken" in (await trace(rig, "internet", "shop.example")).reason
    assert (await trace(rig, "internet", "shop.example", port=25)).verdict == "stopped"
