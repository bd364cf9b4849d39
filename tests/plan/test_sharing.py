"""Instances in the namespaces of others: what waits for what, what ends with what, and that it comes to rest."""

import msgspec
import pytest
from tests.plan.scenery import World, assign, digest_revision, hold, revision, service

from skerry.model.app import Further, Restart
from skerry.model.ids import ServiceName
from skerry.plan.actions import CreateContainer, RemoveContainer, StartContainer, StopContainer
from skerry.plan.companions import find_companions
from skerry.plan.site import derive_wanted

VPN = ServiceName("vpn")
WORDS = {CreateContainer: "create", StartContainer: "start", StopContainer: "stop", RemoveContainer: "remove"}


def wish(number=1, vpn="1", web="1", **words):
    shared = Further(shares={"network": VPN, "pid": VPN})
    return revision(number, vpn=service(vpn), web=service(web, networks={}, further=shared, **words))


def place(app, *services, **words):
    return hold(
        app, *(assign(app, name, **words) for name in services or app.services), revisions={digest_revision(app): app}
    )


class Node(World):
    """A node on which processes begin at times, and containers go after those that are in their namespaces."""

    def __init__(self, app, *services):
        super().__init__(place(app, *services))

    def do(self, action):
        if isinstance(action, RemoveContainer):
            gone = next(each for each in self.observed.containers if each.container == action.container)
            assert not any(each.joined == gone.spec for each in self.observed.containers), "podman refuses this"
        super().do(action)
        match action:
            case CreateContainer():
                mine = self.observed.containers[-1]
                self._put(mine.container, joined=action.spec.joined or "")
            case StartContainer():
                self._put(action.container, began_us=self.now.boot_us)

    def _put(self, container, **words):
        found = tuple(
            msgspec.structs.replace(each, **words) if each.container == container else each
            for each in self.observed.containers
        )
        self.observed = msgspec.structs.replace(self.observed, containers=found)

    def watch(self, seconds=30):
        self.performed.clear()
        for _ in range(seconds):
            self.step()
            self.advance(1)
        said = []
        for each in self.performed:
            if type(each) in WORDS:
                spec = getattr(each, "spec", None)
                said.append(f"{WORDS[type(each)]} {spec.service if spec else each.instance.split('/')[2]}")
        return said


def test_it_is_made_after_the_other_is_and_started_while_it_runs():
    node = Node(wish())
    said = node.watch()
    assert said.index("create vpn") < said.index("create web")
    assert said.index("start vpn") < said.index("start web")
    made = [each.service for each in node.observed.containers]
    assert made == ["vpn", "web"]
    web = node.observed.containers[1]
    assert web.joined == node.observed.containers[0].spec
    assert node.watch() == []


def test_it_changes_with_the_other_whose_container_goes_last():
    node = Node(wish())
    node.watch()
    node.held = place(wish(2, vpn="2"))
    said = node.watch(60)
    assert said.index("start vpn") < said.index("stop web") < said.index("start web")
    assert said.index("remove web") < said.index("remove vpn")
    assert sorted(each.service for each in node.observed.containers) == ["vpn", "web"]
    assert node.running() == ["vpn", "web"]
    assert node.watch() == []


@pytest.mark.parametrize("policy", ["always", "no"])
def test_it_starts_again_after_the_other_began_anew_whatever_its_restart_policy(policy):
    node = Node(wish(restart=Restart(policy=policy)))
    node.watch()
    node.crash("vpn")
    said = node.watch(60)
    assert said == ["start vpn", "stop web", "start web"]
    assert node.watch() == []


def test_it_waits_for_the_other_and_says_so():
    node = Node(wish(), "web")
    node.watch()
    plan = node.look()
    fact = next(each for each in plan.facts if getattr(each, "instance", "").endswith("/web/0"))
    assert fact.phase == "waiting"
    assert fact.reason == "service vpn, whose namespaces it shares (network, pid), has no copy 0 at this node"
    node.held = place(wish())
    node.watch()
    assert node.running() == ["vpn", "web"]


def test_both_end_with_the_one_in_the_others_namespaces_first():
    node = Node(wish())
    node.watch()
    node.held = msgspec.structs.replace(node.held, units={})
    node.watch()
    assert node.observed.containers == ()


def test_each_copy_is_in_the_namespaces_of_the_one_of_its_ordinal():
    app = wish()
    held = hold(
        app,
        *(assign(app, name, ordinal=ordinal) for name in app.services for ordinal in (0, 1)),
        revisions={digest_revision(app): app},
    )
    wanted, _ = derive_wanted(held)
    by_name = {f"{each.assignment.service}/{each.assignment.ordinal}": each.derived for each in wanted.values()}
    for ordinal in (0, 1):
        assert by_name[f"web/{ordinal}"].spec.joined == by_name[f"vpn/{ordinal}"].digest
    meant = next(name for name in wanted if name.endswith("/vpn/0"))
    assert [name.split("/", 2)[2] for name in find_companions(wanted, [meant])] == ["web/0", "web/1"]
