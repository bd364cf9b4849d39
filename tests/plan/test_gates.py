"""A node with a health gate: what it runs while it watches, when a revision fails, and after that."""

import msgspec
import pytest
from tests.plan.scenery import SECOND, World, assign, digest_revision, hold, image, revision, service, volume_mount

from skerry.model.app import AppRevision, HealthCheck, Placement, Replicas
from skerry.model.document import unit_id
from skerry.model.facts import AppFact
from skerry.model.ids import ServiceName, VolumeName
from skerry.model.observed import NodeSeen
from skerry.model.rollout import Gate, Rollout
from skerry.model.volume import Volume
from skerry.plan.actions import RemoveImage
from skerry.plan.gates import list_needed
from skerry.plan.images import DISK_RESERVE_BYTES

CHECK = HealthCheck(test=("CMD", "true"), interval_us=10 * SECOND)
WORDS = Rollout(gate=Gate(healthy_us=30 * SECOND, timeout_us=120 * SECOND))


def make(number: int, tag: str, *names: str, words: Rollout = WORDS) -> AppRevision:
    alone = Placement(replicas=Replicas(per_site=1, total=0))
    one = service(tag, healthcheck=CHECK, mounts=(volume_mount("data"),), placement=alone)
    made = revision(number, **dict.fromkeys(names or ("web",), one))
    return msgspec.structs.replace(made, rollout=words, volumes={VolumeName("data"): Volume()})


class Node(World):
    """A node that keeps what it has proven, as an agent does."""

    def wish(self, app: AppRevision, **words: object) -> None:
        units = [assign(app, name, **words) for name in app.services]
        digest = digest_revision(app)
        known = {**self.held.revisions, **self.held.fallbacks}
        needed = list_needed(self.history.kept)
        self.held = msgspec.structs.replace(
            self.held,
            units={unit_id(unit): unit for unit in units},
            revisions={digest: app},
            fallbacks={name: each for name, each in known.items() if name in needed},
        )

    def assign(self, app: AppRevision, count: int) -> None:
        """Wish for so many copies of the only service."""
        self.wish(app)
        units = [assign(app, "web", ordinal=ordinal) for ordinal in range(count)]
        self.held = msgspec.structs.replace(self.held, units={unit_id(unit): unit for unit in units})

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.step()
            self.advance(1)

    def images(self) -> list[str]:
        return sorted(seen.image_config for seen in self.observed.containers if seen.state == "running")

    def told(self) -> AppFact:
        return next(fact for fact in self.look().facts if isinstance(fact, AppFact))


def begin(*names: str) -> Node:
    first = make(1, "1", *names)
    node = Node(hold(first))
    node.wish(first)
    node.run(60)
    assert node.told().verdict == "proven"
    return node


def test_a_bad_revision_gives_way_to_the_one_before_it_and_is_not_tried_again() -> None:
    node = begin()
    node.wish(make(2, "2"))
    node.healthy = False
    node.run(60)
    assert node.images() == [image("2").config]
    assert node.told().verdict == "watching"
    node.run(100)
    node.healthy = True
    assert node.told().verdict == "failed"
    node.run(300)
    assert node.images() == [image("1").config]
    assert node.told().reason == "not well within 120 s: web is unhealthy"
    assert node.look().settled


def test_a_verdict_outlives_the_agent() -> None:
    node = begin()
    node.wish(make(2, "2"))
    node.healthy = False
    node.run(200)
    node.healthy = True
    node.history = msgspec.structs.replace(node.history, runs={}, watches={}, troubles={})
    node.run(200)
    assert node.images() == [image("1").config]


def test_a_revision_after_the_bad_one_is_followed() -> None:
    node = begin()
    node.wish(make(2, "2"))
    node.healthy = False
    node.run(200)
    node.healthy = True
    node.wish(make(3, "3"))
    node.run(60)
    assert node.images() == [image("3").config]
    assert (node.told().verdict, node.told().number) == ("proven", 3)


def test_without_the_tenants_word_a_bad_revision_stays() -> None:
    node = begin()
    node.wish(make(2, "2", words=msgspec.structs.replace(WORDS, on_failure="pause")))
    node.healthy = False
    node.run(400)
    assert node.told().verdict == "failed"
    assert node.images() == [image("2").config]


def test_a_first_revision_that_fails_goes_on_being_tried() -> None:
    first = make(1, "1")
    node = Node(hold(first))
    node.wish(first)
    node.healthy = False
    node.run(300)
    assert node.told().verdict == "failed"
    assert node.images() == [image("1").config]


def test_an_app_goes_back_whole() -> None:
    node = begin("web", "old")
    node.wish(make(2, "2", "web", "new"))
    node.healthy = False
    node.run(200)
    node.healthy = True
    node.run(60)
    services = sorted(seen.service for seen in node.observed.containers if seen.state == "running")
    assert services == [ServiceName("old"), ServiceName("web")]
    assert set(node.images()) == {image("1").config}


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_it_goes_back_to_as_many_copies_as_there_were(before: int, after: int) -> None:
    def copies(number: int, tag: str, count: int) -> AppRevision:
        made = make(number, tag)
        placement = Placement(replicas=Replicas(per_site=count, total=0))
        one = msgspec.structs.replace(made.services[ServiceName("web")], placement=placement)
        return msgspec.structs.replace(made, services={ServiceName("web"): one})

    first, second = copies(1, "1", before), copies(2, "2", after)
    node = Node(hold(first))
    node.assign(first, before)
    node.run(60)
    node.assign(second, after)
    node.healthy = False
    node.run(200)
    node.healthy = True
    node.run(60)
    assert node.images() == [image("1").config] * before


def test_a_rollout_that_was_taken_back_goes_back_where_it_was_well() -> None:
    node = begin()
    second = make(2, "2")
    node.wish(second)
    node.run(60)
    assert node.told().verdict == "proven"
    node.wish(second, back=True)
    node.run(60)
    assert node.images() == [image("1").config]
    assert node.told().reason == "its rollout was taken back"


def test_images_of_what_it_may_go_back_to_are_not_given_up() -> None:
    node = begin()
    node.wish(make(2, "2"))
    node.run(60)
    seen = NodeSeen(node=node.held.node, disk_bytes=10 * DISK_RESERVE_BYTES, disk_free_bytes=DISK_RESERVE_BYTES)
    node.observed = msgspec.structs.replace(node.observed, node=seen)
    assert not any(isinstance(action, RemoveImage) for action in node.look().actions)
    node.held = msgspec.structs.replace(node.held, fallbacks={})
    assert any(isinstance(action, RemoveImage) for action in node.look().actions)


def test_an_app_that_is_gone_is_forgotten() -> None:
    node = begin()
    node.held = msgspec.structs.replace(node.held, units={})
    node.run(5)
    assert node.history.kept.judged == {}
