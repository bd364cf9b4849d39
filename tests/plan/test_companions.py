"""``depends_on.*.restart``: who starts again with what, after it, and not without need."""

import msgspec
from tests.plan.scenery import World, assign, digest_revision, hold, image, revision, service

from skerry.model.app import HealthCheck
from skerry.model.ids import InstanceId, ServiceName
from skerry.plan.actions import StartContainer, StopContainer
from skerry.plan.by_hand import say
from skerry.plan.companions import find_companions, settle_companions
from skerry.plan.site import derive_wanted

CHECK = HealthCheck(test=("CMD", "true"), interval_us=5_000_000)


def wish(number=1, db="1", condition="started", **more):
    """Return an app whose ``web`` starts again with its ``db``."""
    web = service("1", depends_on={ServiceName("db"): condition}, restart_with=(ServiceName("db"),), healthcheck=CHECK)
    return revision(number, web=web, db=service(db, healthcheck=CHECK), **more)


def place(app, *services, **words):
    units = [assign(app, name, **words) for name in services or app.services]
    return hold(app, *units, revisions={digest_revision(app): app})


class Node(World):
    """A node with such an app; ``watch`` tells what was started and stopped since."""

    def __init__(self, app):
        super().__init__(place(app))
        self.settle()
        self.watch()

    def look(self):
        plan = super().look()
        self.say({name: each for name, each in self.history.kept.said.items() if name not in plan.forget_said})
        return plan

    def say(self, said):
        kept = msgspec.structs.replace(self.history.kept, said=said)
        self.history = msgspec.structs.replace(self.history, kept=kept)

    def watch(self, seconds=60):
        self.performed.clear()
        for _ in range(seconds):
            self.step()
            self.advance(1)
        words = {StartContainer: "start", StopContainer: "stop"}
        return [f"{words[type(one)]} {one.instance.split('/')[2]}" for one in self.performed if type(one) in words]


def test_it_starts_again_after_an_update_of_its_dependency_and_when_that_is_well():
    for condition in ("started", "healthy"):
        node = Node(wish(condition=condition))
        node.held = place(wish(2, db="2", condition=condition))
        assert node.watch() == ["stop db", "start db", "stop web", "start web"]
        assert node.watch() == []


def test_it_goes_on_while_the_new_dependency_is_not_well():
    node = Node(wish(condition="healthy"))
    node.healthy = False
    node.held = place(wish(2, db="2", condition="healthy"))
    assert node.watch() == ["stop db", "start db"]
    assert node.running() == ["db", "web"]
    node.healthy = True
    assert node.watch() == ["stop web", "start web"]


def test_it_starts_again_with_a_wished_restart_of_its_dependency():
    app = wish()
    node = Node(app)
    units = (assign(app, "web"), assign(app, "db", restart=1))
    node.held = hold(app, *units, revisions={digest_revision(app): app})
    assert node.watch() == ["stop db", "start db", "stop web", "start web"]


def test_a_dependency_that_dies_by_itself_takes_nobody_along():
    node = Node(wish())
    node.crash("db")
    assert node.watch() == ["start db"]


def test_one_that_does_not_say_so_goes_on():
    plain = service("1", depends_on={ServiceName("db"): "started"})
    node = Node(wish(other=plain))
    node.held = place(wish(2, db="2", other=plain))
    assert "stop other" not in node.watch()


def test_a_further_copy_of_the_dependency_changes_nothing():
    app = wish()
    node = Node(app)
    more = (assign(app, "web"), assign(app, "db"), assign(app, "db", ordinal=1))
    node.held = hold(app, *more, revisions={digest_revision(app): app})
    assert node.watch() == ["start db"]


def test_a_dependency_at_another_site_is_not_waited_for():
    app = wish()
    node = Node(app)
    node.held = place(app, "web")
    assert "start web" in node.watch()
    assert node.running() == ["web"]


def test_it_goes_on_along_a_row_and_a_circle_ends():
    tail = service("1", depends_on={ServiceName("web"): "started"}, restart_with=(ServiceName("web"),))
    before, after = (derive_wanted(place(wish(1, db=tag, tail=tail)))[0] for tag in ("1", "2"))
    names = [InstanceId(f"default/shop/{name}/0") for name in ("db", "tail", "web")]
    assert all(before[name].derived.digest != after[name].derived.digest for name in names)
    assert find_companions(before, names[:1]) == (names[1], names[2])
    assert find_companions(before, names[1:2]) == ()
    round_trip = service("1", restart_with=(ServiceName("web"),))
    app = msgspec.structs.replace(wish(), services={**wish().services, ServiceName("db"): round_trip})
    wanted = derive_wanted(place(app))[0]
    assert set(wanted) == {names[0], names[2]}
    assert settle_companions(wanted).keys() == wanted.keys()


def test_where_nobody_says_so_no_specification_changes():
    app = revision(1, web=service())
    wanted = derive_wanted(place(app))[0]
    assert settle_companions(wanted) is wanted


def test_a_restart_by_hand_of_both_waits_for_the_dependency():
    node = Node(wish())
    wanted = derive_wanted(node.held)[0]
    db = InstanceId("default/shop/db/0")
    meant = (db, *find_companions(wanted, [db]))
    node.say({name: say("restart", wanted[name].assignment, node.observed.containers) for name in meant})
    told = node.watch()
    assert sorted(told[:2]) == ["stop db", "stop web"]
    assert told[2:] == ["start db", "start web"]
    assert {seen.image_config for seen in node.observed.containers} == {image("1").config}
