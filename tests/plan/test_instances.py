"""Where the next step of an instance is easily got wrong: jobs, orders that cross an end, looks older than actions."""

import msgspec
import pytest
from tests.plan import scenery
from tests.plan.scenery import World, assign, hold, revision, service, volume_mount

from skerry.model.app import Network, Restart
from skerry.model.facts import InstanceFact
from skerry.model.ids import InstanceId, NetworkName
from skerry.plan.actions import ApplyRules, DropBlobs, StartContainer, instance_lane
from skerry.plan.history import History, Kept, Started
from skerry.plan.site import plan_site
from skerry.plan.volumes import UID_COUNT, UID_FIRST

WEB = InstanceId("default/shop/web/0")
JOB = service("w", restart=Restart(policy="no"))


def world_of(item=JOB, **words: object) -> World:
    app = revision(web=msgspec.structs.replace(item, **words))
    return World(hold(app, assign(app, "web")))


def phase(world: World, busy: frozenset[str] = frozenset()) -> str:
    plan = plan_site(world.held, world.observed, world.history, world.now, busy)
    return next(fact.phase for fact in plan.facts if isinstance(fact, InstanceFact))


def order(world: World, state: str) -> None:
    units = {name: msgspec.structs.replace(unit, state=state) for name, unit in world.held.units.items()}
    world.held = msgspec.structs.replace(world.held, units=units)


def all_as(world: World, **words: object) -> None:
    containers = tuple(msgspec.structs.replace(item, **words) for item in world.observed.containers)
    world.observed = msgspec.structs.replace(world.observed, containers=containers)


@pytest.mark.parametrize("policy", ["no", "on-failure", "always", "unless-stopped"])
def test_a_paused_and_resumed_app_runs_again_whatever_its_restart_policy(policy: str):
    world = world_of(restart=Restart(policy=policy))
    world.settle()
    order(world, "hold")
    world.settle()
    assert world.running() == []
    all_as(world, exit_code=0)
    order(world, "run")
    world.settle()
    assert world.running() == ["web"]


def test_a_job_that_had_ended_is_not_run_again_by_pause_and_resume():
    world = world_of()
    world.settle()
    world.crash("web", 0)
    world.settle()
    for state in ("hold", "run"):
        order(world, state)
        world.settle()
    assert world.running() == []
    assert phase(world) == "done"


def test_a_start_under_way_is_not_mistaken_for_an_end():
    world = world_of()
    world.settle()
    world.reboot()
    started = {WEB: Started(world.observed.containers[0].spec, world.history.boot)}
    kept = msgspec.structs.replace(world.history.kept, started=started)
    world.history = msgspec.structs.replace(world.history, kept=kept)
    busy = frozenset({instance_lane(WEB)})
    plan = plan_site(world.held, world.observed, world.history, world.now, busy)
    assert plan.ended == {}
    assert phase(world, busy) == "restarting"
    assert WEB in plan_site(world.held, world.observed, world.history, world.now).ended


def test_a_start_that_was_remembered_and_never_made_is_made():
    world = world_of()
    world.settle()
    world.reboot()
    all_as(world, started_us=77)
    spec = world.observed.containers[0].spec
    started = {WEB: Started(spec, world.history.boot, before_us=77)}
    world.history = History(boot=world.history.boot, kept=msgspec.structs.replace(world.history.kept, started=started))
    world.step()  # the firewall comes first
    assert any(isinstance(action, StartContainer) for action in world.look().actions)
    all_as(world, started_us=78)
    assert world.look().ended[WEB].spec == spec


def test_a_volume_is_looked_at_before_each_start():
    world = world_of(restart=Restart(policy="always"), mounts=(volume_mount("data"),))
    world.settle()
    volumes = tuple(msgspec.structs.replace(item, strange=True) for item in world.observed.volumes)
    world.observed = msgspec.structs.replace(world.observed, volumes=volumes)
    world.crash("web")
    world.advance(60)
    for _ in range(5):
        world.step()
        world.advance(60)
    assert world.running() == []
    assert phase(world) == "waiting"


def test_nothing_starts_before_the_firewall_is_in_force_and_what_runs_goes_on():
    world = world_of(restart=Restart(policy="always"))
    world.settle()
    world.observed = msgspec.structs.replace(world.observed, rules="")
    plan = world.look()
    assert [type(action) for action in plan.actions] == [ApplyRules]
    assert phase(world) == "ready"
    world.crash("web")
    world.look()
    world.advance(60)
    assert not any(isinstance(action, StartContainer) for action in world.look().actions)
    world.settle()
    assert world.running() == ["web"]


def test_an_instance_without_a_network_needs_no_firewall():
    world = world_of(networks={})
    world.settle()
    world.reboot()
    assert any(isinstance(action, StartContainer) for action in world.look().actions)


def test_a_network_that_is_to_have_no_way_out_has_none_at_once():
    app = revision(web=JOB)
    world = World(hold(app, assign(app, "web")))
    world.settle()
    shut = msgspec.structs.replace(app, number=2, networks={NetworkName("default"): Network(internal=True)})
    world.held = hold(shut, assign(shut, "web"))
    plan = world.look()
    rules = next(action for action in plan.actions if isinstance(action, ApplyRules))
    assert [item.internal for item in rules.networks] == [True]
    assert any(wait.subject == "network/default/shop/default" for wait in plan.waits)
    world.held = hold(shut)
    world.settle()
    world.held = hold(shut, assign(shut, "web"))
    world.settle()
    assert [item.internal for item in world.observed.networks] == [True]


def test_what_came_of_an_image_nobody_wants_any_more_is_dropped():
    world = world_of()
    world.settle()
    stray = scenery.image("stray").digest
    world.observed = msgspec.structs.replace(world.observed, arriving={stray: 10})
    assert [action.image for action in world.look().actions if isinstance(action, DropBlobs)] == [stray]


def test_a_range_that_another_tenant_has_by_now_is_not_given_twice():
    world = world_of(mounts=(volume_mount("data"),))
    world.settle()
    other = Kept(uid_ranges={"beta": UID_FIRST + 7})
    world.history = History(boot="b", kept=other)
    plan = world.look()
    start = plan.uid_ranges[scenery.TENANT]
    assert start >= UID_FIRST + 7 + UID_COUNT
    assert any("another disk" in wait.reason for wait in plan.waits)


@pytest.mark.parametrize("start", [0, 1000, UID_FIRST - 1])
def test_a_volume_cannot_name_a_range_of_the_machines_own_users(start: int):
    world = world_of(mounts=(volume_mount("data"),))
    world.settle()
    volumes = tuple(msgspec.structs.replace(item, uid_start=start) for item in world.observed.volumes)
    world.observed = msgspec.structs.replace(world.observed, volumes=volumes)
    world.history = History(boot="b")
    assert world.look().uid_ranges[scenery.TENANT] >= UID_FIRST
