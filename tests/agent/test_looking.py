"""What a node looks up for a trace: of this moment, and only where there is something to see."""

import msgspec
import pytest
from tests.agent.scene import Site, make_app, revise, virtually
from tests.trust import people

from skerry.agent.desk import CallAnswer
from skerry.model.app import Network
from skerry.model.errors import Unavailable
from skerry.model.ids import AppName, CallId, NetworkName
from skerry.model.trace import NodeView, TraceAsk
from skerry.wire import CallRequest

ASK = TraceAsk(people.ALPHA, people.SHOP, (people.WEB,))
NET = NetworkName("back")


async def no_input():
    return
    yield b""


async def call(site: Site, ask: TraceAsk = ASK) -> CallAnswer:
    return await site.agent.answer_call(CallRequest(CallId("c"), "trace", msgspec.msgpack.encode(ask), 0), no_input())


async def look(site: Site, ask: TraceAsk = ASK) -> NodeView:
    answer = await call(site, ask)
    assert answer.ok, answer.reason
    return msgspec.msgpack.decode(answer.body, type=NodeView)


@virtually
async def test_a_node_says_what_runs_and_what_guards_it_now(site: Site):
    app = make_app(site.shelf.add_image("web:1"), 1, networks={NET: ()})
    revision = revise(msgspec.structs.replace(app, networks={NET: Network(internal=True)}))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    view = await look(site)
    assert (view.site, view.node, view.guard) == (people.SITE, people.NODE, "in force")
    assert [(each.network, each.internal) for each in view.networks] == [(NET, True)]
    (instance,) = view.instances
    assert (instance.state, instance.phase) == ("running", "ready")
    # The loop has not looked since: this is not what it saw, it is what is there.
    site.machine.rules = ""
    (container,) = site.machine.containers
    del site.machine.containers[container]
    view = await look(site)
    assert view.guard == "missing"
    assert view.instances == ()


@virtually
async def test_of_other_apps_nothing_is_told(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    view = await look(site, TraceAsk(people.ALPHA, AppName("other"), (people.WEB,)))
    assert (view.networks, view.instances, view.chains, view.doors) == ((), (), (), ())


@virtually
async def test_who_sees_nothing_says_so(site: Site):
    with pytest.raises(Unavailable, match="holds no document"):
        await call(site)
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    site.machine.faults.unavailable = True
    with pytest.raises(Unavailable, match="the runtime does not answer"):
        await call(site)
