"""What a person at the box may do, and how long it holds."""

import msgspec
import pytest
from tests.plan.scenery import World, assign, digest_revision, hold, revision, service

from skerry.model.facts import InstanceFact
from skerry.model.ids import InstanceId
from skerry.model.policy import Autonomy, Policy
from skerry.model.signed import Call
from skerry.plan.actions import StopContainer
from skerry.plan.by_hand import find_meant, refuse, say
from skerry.plan.site import derive_wanted

WEB = InstanceId("default/shop/web/0")


class Box(World):
    """A node with one app, where a person speaks."""

    def __init__(self, control="full", **words):
        app = revision(1, web=service(policy=Policy(autonomy=Autonomy(local_control=control)), **words))
        super().__init__(hold(app, assign(app, "web"), revisions={digest_revision(app): app}))

    def look(self):
        plan = super().look()
        if plan.forget_said:
            self.keep({name: each for name, each in self.history.kept.said.items() if name not in plan.forget_said})
        return plan

    def keep(self, said):
        kept = msgspec.structs.replace(self.history.kept, said=said)
        self.history = msgspec.structs.replace(self.history, kept=kept)

    def say(self, verb):
        item = derive_wanted(self.held)[0][WEB]
        assert refuse(verb, item) == ""
        self.keep({} if verb == "start" else {WEB: say(verb, item.assignment, self.observed.containers)})

    def change(self, **words):
        (unit,) = self.held.units.values()
        unit = msgspec.structs.replace(unit, **words)
        self.held = msgspec.structs.replace(self.held, units=dict.fromkeys(self.held.units, unit))


@pytest.mark.parametrize(("control", "allowed"), [("none", ""), ("restart", "restart"), ("full", "restart stop start")])
def test_the_owner_says_what_is_allowed(control, allowed):
    item = derive_wanted(Box(control).held)[0][WEB]
    assert [verb for verb in ("restart", "stop", "start") if not refuse(verb, item)] == allowed.split()


def test_a_stop_holds_over_reboots_until_start_is_said():
    box = Box()
    box.settle()
    box.say("stop")
    box.settle()
    assert box.running() == []
    box.reboot()
    box.settle()
    assert box.running() == []
    box.say("start")
    box.settle()
    assert box.running() == ["web"]


def test_a_restart_ends_the_run_that_it_found_and_no_later_one():
    box = Box(restart=service().restart)
    box.settle()
    box.say("restart")
    for _ in range(20):
        box.step()
        box.advance(1)
    assert box.running() == ["web"]
    assert sum(isinstance(action, StopContainer) for action in box.performed) == 1
    assert box.history.kept.said == {}


def test_the_owners_newer_word_ends_what_was_said():
    for words in ({"restart": 1}, {"revision": None}):
        box = Box()
        box.settle()
        box.say("stop")
        box.settle()
        if "revision" in words:
            newer = revision(2, web=service(policy=Policy(autonomy=Autonomy(local_control="none"))))
            box.held = hold(newer, assign(newer, "web"))
        else:
            box.change(**words)
        box.settle()
        assert box.running() == ["web"]
        assert box.history.kept.said == {}


def test_a_paused_app_keeps_what_was_said_until_it_is_resumed():
    box = Box()
    box.settle()
    box.say("stop")
    box.change(state="hold")
    box.settle()
    box.change(state="run")
    box.settle()
    assert box.running() == []


def test_what_is_meant_is_named_by_whole_steps():
    names = [InstanceId(name) for name in ("a/shop/web/0", "a/shop/web/1", "a/shop/db/0", "a/shops/web/0")]
    assert find_meant(names, "a/shop/web") == ("a/shop/web/0", "a/shop/web/1")
    assert find_meant(names, "a/shop/web/1") == ("a/shop/web/1",)
    assert len(find_meant(names, "a/shop")) == 3
    for bad in ("", "a", "a/sho", "a/shop/web/2", "a/shop/web/0/x", "/", "a/"):
        assert find_meant(names, bad) == ()


def call(verb, **words):
    names = {"tenant": "default", "site": "oslo", "node": "n1", "nonce": b"n", "app": "shop", "service": "web"}
    return Call(verb=verb, **names, **words)


def owner(box, verb, **words):
    """The owner speaks from afar, as ``agent/loop.py`` takes it in."""
    item = derive_wanted(box.held)[0][WEB]
    seen = box.observed.containers
    box.keep({} if verb == "start" else {WEB: say(verb, item.assignment, seen, call(verb, **words))})


def test_an_owner_stops_and_starts_whatever_a_person_at_the_box_may():
    box = Box("none")
    box.settle()
    owner(box, "stop", by="ada", reason="the fan is loud")
    box.settle()
    assert box.running() == []
    (fact,) = [each for each in box.look().facts if isinstance(each, InstanceFact)]
    assert (fact.phase, fact.reason) == ("held", "its owner (ada) stopped it: the fan is loud")
    box.reboot()
    box.settle()
    assert box.running() == []
    owner(box, "start")
    box.settle()
    assert box.running() == ["web"]


def test_an_owners_restart_is_of_one_run():
    box = Box("none")
    box.settle()
    owner(box, "restart")
    box.settle()
    assert box.running() == ["web"]
    assert [type(action) for action in box.performed].count(StopContainer) == 1


def test_what_the_owner_stopped_only_the_owner_starts():
    box = Box("full")
    box.settle()
    owner(box, "stop")
    item, said = derive_wanted(box.held)[0][WEB], box.history.kept.said[WEB]
    for verb in ("start", "restart", "stop"):
        assert refuse(verb, item, said) == "its owner stopped it, and only its owner starts it again"
    box.change(restart=1)
    box.settle()
    assert box.running() == ["web"], "having the app restarted ends it too"
