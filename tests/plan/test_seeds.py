"""Seeds: who is meant, until when, and that everything else at a site goes before them."""

import msgspec
import pytest
from tests.plan import fleets, scenery
from tests.plan.scenery import World, assign, hold, image, revision, service

from skerry.model.app import Sites
from skerry.model.document import ImageHold
from skerry.model.facts import ImageFact
from skerry.model.ids import TenantName
from skerry.model.observed import ImageSeen, NodeSeen
from skerry.plan.actions import DropBlobs, FetchImage, RemoveImage
from skerry.plan.fleet import plan_fleet
from skerry.plan.images import AHEAD_RESERVE_BYTES, DISK_RESERVE_BYTES
from skerry.plan.seeds import find_end
from skerry.plan.snapshot import SeedWish

SEEDED = image("next")
HELD = ImageHold(SEEDED.digest, SEEDED.config, SEEDED.size_bytes)


def seed(ends_us: int = 100, tenant: str = "default", **sites: tuple[str, ...]) -> SeedWish:
    return SeedWish(tenant=TenantName(tenant), image=SEEDED, sites=Sites(**sites), ends_us=ends_us)


def seeded_sites(*seeds: SeedWish, now_us: int = 1) -> list[str]:
    fleet = fleets.Fleet(
        fleets.site("oslo", 1, labels={"tier": "store"}),
        fleets.site("rome", 2),
        fleets.site("bonn", 3, tenants=("other",), labels={"tier": "store"}),
    )
    plan = plan_fleet(msgspec.structs.replace(fleet.snapshot(), seeds=seeds, now_us=now_us))
    return [document.site for document in plan.documents if HELD in document.units.values()]


def test_a_seed_is_for_the_sites_it_names_that_admit_its_tenant_until_it_ends():
    assert seeded_sites(seed()) == ["oslo", "rome"]
    assert seeded_sites(seed(match=("tier=store",))) == ["oslo"]
    assert seeded_sites(seed(names=("rome", "bonn"))) == ["rome"]
    assert seeded_sites(seed(tenant="other", names=("bonn",))) == ["bonn"]
    assert seeded_sites(seed(ends_us=100), now_us=100) == []


def test_the_fleet_is_planned_again_when_the_next_seed_ends():
    assert find_end((seed(50), seed(70)), 60) == 70
    assert find_end((seed(50),), 60) == 0
    snapshot = msgspec.structs.replace(fleets.Fleet().snapshot(), seeds=(seed(50), seed(30)), now_us=10)
    assert plan_fleet(snapshot).wake_us == 30


def site(free: int, *, running: bool = True, **seen: object) -> World:
    """A node that runs one service, or is about to, and holds an image ahead of need."""
    app = revision(web=service("now"))
    world = World(hold(app, assign(app, "web")))
    if running:
        world.settle()
    world.held = msgspec.structs.replace(world.held, units={**world.held.units, "image/x": HELD})
    node = NodeSeen(node="n1", disk_bytes=10**10, disk_free_bytes=free)
    world.observed = msgspec.structs.replace(world.observed, node=node, **seen)
    return world


def fetched(world: World) -> list[str]:
    return [action.image for action in world.look().actions if isinstance(action, FetchImage)]


def fact(world: World) -> ImageFact:
    (found,) = [each for each in world.look().facts if isinstance(each, ImageFact) and each.digest == SEEDED.digest]
    return found


def test_a_seed_is_fetched_and_the_site_is_settled_all_the_while():
    world = site(10**10)
    plan = world.look()
    assert fetched(world) == [SEEDED.digest]
    assert plan.settled, "who waits for a change of an app does not wait for what comes ahead of need"
    assert SEEDED.digest in plan.fetched
    assert (fact(world).have_bytes, fact(world).complete) == (0, False)
    world.settle()
    for _ in range(3):
        world.step()
    assert fact(world).complete
    assert fetched(world) == []


def test_a_seed_gives_way_while_an_image_that_runs_here_is_fetched():
    world = site(10**10, running=False, arriving={SEEDED.digest: 500})
    assert fetched(world) == [image("now").digest], "it has begun to arrive, and waits all the same"
    assert world.look().fetched == {image("now").digest}, "a fetch of it that is under way ends"
    assert fact(world).have_bytes == 500


@pytest.mark.parametrize(("short", "comes"), [(0, True), (1, False)])
def test_a_seed_is_not_fetched_into_the_last_room(short: int, comes: bool):
    world = site(AHEAD_RESERVE_BYTES + SEEDED.size_bytes - short)
    assert bool(fetched(world)) == comes
    assert bool(fact(world).reason) == (not comes)
    assert world.look().settled, "that is no trouble of the site"


def test_a_seed_goes_before_what_runs_lacks_room_and_is_not_fetched_again_at_once():
    seen = ImageSeen(SEEDED.digest, SEEDED.config, SEEDED.size_bytes)
    world = site(DISK_RESERVE_BYTES, running=False, images=(seen,))
    plan = world.look()
    assert RemoveImage(image=SEEDED.digest, config=SEEDED.config) in plan.actions
    freed = NodeSeen(node="n1", disk_bytes=10**10, disk_free_bytes=DISK_RESERVE_BYTES + SEEDED.size_bytes)
    world.observed = msgspec.structs.replace(world.observed, images=(), node=freed)
    assert fetched(world) == [image("now").digest]
    world.settle()
    assert fetched(world) == []


def test_a_seed_stays_where_its_room_would_not_be_enough():
    seen = ImageSeen(SEEDED.digest, SEEDED.config, 10)
    world = site(DISK_RESERVE_BYTES, running=False, images=(seen,))
    assert not [action for action in world.look().actions if isinstance(action, RemoveImage)]


def test_what_has_come_of_a_seed_goes_when_the_disk_is_nearly_full():
    world = site(DISK_RESERVE_BYTES - 1, arriving={SEEDED.digest: 500})
    assert DropBlobs(image=SEEDED.digest, config=SEEDED.digest) in world.look().actions


def test_an_image_that_runs_is_never_taken_for_one_ahead_of_need():
    app = revision(web=service("next"))
    world = World(hold(app, assign(app, "web"), HELD))
    world.settle()
    node = NodeSeen(node="n1", disk_bytes=10**10, disk_free_bytes=0)
    world.observed = msgspec.structs.replace(world.observed, node=node)
    assert not [action for action in world.look().actions if isinstance(action, RemoveImage)]
    assert scenery.image("next").digest == SEEDED.digest
