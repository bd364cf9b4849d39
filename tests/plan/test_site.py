import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan import scenery
from tests.plan.scenery import World, assign, hold, revision, service, volume_mount

from skerry.model.app import HealthCheck, Restart, Sites
from skerry.model.document import TombstoneNotice
from skerry.model.facts import InstanceFact, UnitFact, VolumeFact
from skerry.model.ids import Digest, UnitId, digest_of
from skerry.model.observed import NodeSeen
from skerry.model.signed import Tombstone
from skerry.plan import images
from skerry.plan.actions import CheckHealth, DeleteVolume, FetchImage, Outcome, StartContainer, StopContainer
from skerry.plan.history import Grace, note_outcome


def web_and_db() -> World:
    app = revision(
        web=service("w", depends_on={"db": "healthy"}),
        db=service(
            "d",
            mounts=(volume_mount("ledger"),),
            healthcheck=HealthCheck(test=("CMD", "true"), interval_us=10_000_000),
        ),
    )
    return World(hold(app, assign(app, "web"), assign(app, "db")))


def test_from_nothing_everything_comes_up_in_order_and_then_there_is_nothing_to_do():
    world = web_and_db()
    plan = world.settle()
    assert world.running() == ["db", "web"]
    assert plan.actions == ()
    assert plan.settled
    kinds = world.kinds()
    assert kinds.index("FetchImage") < kinds.index("LoadImage") < kinds.index("CreateContainer")
    assert kinds.index("CreateVolume") < kinds.index("CreateContainer")
    starts = [action.instance for action in world.performed if isinstance(action, StartContainer)]
    assert starts == ["default/shop/db/0", "default/shop/web/0"]


def test_web_waits_for_a_healthy_database_and_says_so():
    world = web_and_db()
    world.healthy = False
    for _ in range(12):
        world.step()
        world.advance(1)
    assert world.running() == ["db"]
    fact = next(fact for fact in world.look().facts if isinstance(fact, InstanceFact) and "/web/" in fact.instance)
    assert fact.phase == "waiting"
    assert fact.reason == "it waits for service db to be healthy"


def test_a_crashed_instance_is_started_again_with_growing_pauses():
    world = web_and_db()
    world.settle()
    pauses = []
    for _ in range(4):
        world.crash("web")
        before = world.now.boot_us
        world.performed.clear()
        while not any(isinstance(action, StartContainer) for action in world.performed):
            world.step()
            world.advance(0.25)
        pauses.append((world.now.boot_us - before) // 250_000)
        world.step()
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    assert world.running() == ["db", "web"]


def test_a_reboot_starts_everything_from_what_is_there_without_the_core():
    world = web_and_db()
    world.settle()
    world.performed.clear()
    world.reboot()
    world.settle()
    assert world.running() == ["db", "web"]
    assert "CreateContainer" not in world.kinds()
    assert "FetchImage" not in world.kinds()


def test_an_unchanged_service_is_adopted_when_the_revision_changes():
    world = web_and_db()
    world.settle()
    db_before = next(item for item in world.observed.containers if item.service == "db")
    old = next(iter(world.held.revisions.values()))
    new = msgspec.structs.replace(
        old,
        number=2,
        services={**old.services, "web": msgspec.structs.replace(old.services["web"], command=("serve",))},
    )
    world.held = hold(new, assign(new, "web"), assign(new, "db"))
    world.performed.clear()
    world.settle()
    assert db_before in world.observed.containers
    assert [action.instance for action in world.performed if isinstance(action, StopContainer)] == [
        "default/shop/web/0"
    ]
    assert len(world.observed.containers) == 2


def test_the_old_version_runs_on_until_the_new_image_is_here():
    world = web_and_db()
    world.settle()
    old = next(iter(world.held.revisions.values()))
    new = msgspec.structs.replace(old, number=2, services={**old.services, "web": service("w2")})
    world.held = hold(new, assign(new, "web"), assign(new, "db"))
    plan = world.look()
    assert [type(action).__name__ for action in plan.actions] == ["FetchImage"]
    fact = next(fact for fact in plan.facts if isinstance(fact, InstanceFact) and "/web/" in fact.instance)
    assert fact.reason == "its image is on its way; the previous version keeps running"


def test_what_its_document_may_not_end_goes_on_and_says_so():
    app = revision(web=service())
    world = World(hold(app, assign(app, "web")))
    world.settle()
    name = UnitId("assignment/default/shop/web/0")
    world.held = msgspec.structs.replace(world.held, unsigned={name: "the core pauses it"})
    plan = world.look()
    assert [(wait.subject, wait.reason) for wait in plan.waits] == [
        ("withdraw/default/shop/web/0", "the core pauses it")
    ]
    assert UnitFact(unit=name, code="E-WITHDRAW", reason="the core pauses it") in plan.facts
    assert not plan.settled
    assert world.running() == ["web"]


def test_withdrawn_units_stop_but_volumes_stay():
    world = web_and_db()
    world.settle()
    world.held = msgspec.structs.replace(world.held, units={})
    world.settle()
    assert world.observed.containers == ()
    assert [volume.volume for volume in world.observed.volumes] == [scenery.a_volume("ledger")]
    fact = next(fact for fact in world.look().facts if isinstance(fact, VolumeFact))
    assert fact.state == "kept"


def tombstoned(world: World, number: int = 2, grace_s: int = 60) -> Digest:
    tombstone = Tombstone(
        tenant=scenery.TENANT,
        app=scenery.APP,
        number=number,
        ends_app=True,
        volumes=("ledger",),
        sites=Sites(),
        grace_us=grace_s * scenery.SECOND,
    )
    digest = digest_of(msgspec.json.encode(tombstone))
    notice = TombstoneNotice(tenant=scenery.TENANT, app=scenery.APP, digest=digest)
    world.held = msgspec.structs.replace(
        world.held, units={"tombstone/default/shop": notice}, tombstones={digest: tombstone}
    )
    return digest


def test_a_tombstone_deletes_only_after_its_recorded_grace():
    world = web_and_db()
    world.settle()
    digest = tombstoned(world)
    while world.observed.containers:
        world.step()
    world.history = msgspec.structs.replace(
        world.history, kept=msgspec.structs.replace(world.history.kept, tombstones={})
    )
    world.advance(3600)
    plan = world.look()
    assert plan.graces == {digest: Grace(0, "boot-1", world.now.boot_us)}
    assert not any(isinstance(action, DeleteVolume) for action in plan.actions), "what is not recorded permits nothing"
    world.advance(59)
    world.step()
    assert world.observed.volumes
    world.advance(1)
    world.step()
    assert world.observed.volumes == ()


def test_a_tombstone_does_not_reach_a_volume_born_after_it():
    world = web_and_db()
    world.settle()
    tombstoned(world, number=1, grace_s=0)
    for _ in range(8):
        world.step()
        world.advance(10)
    assert world.observed.volumes


def test_an_unreadable_runtime_is_not_taken_for_an_empty_one():
    world = web_and_db()
    world.settle()
    world.observed = msgspec.structs.replace(world.observed, unavailable="podman does not answer", containers=())
    plan = world.look()
    assert plan.actions == ()
    assert plan.waits[0].reason == "podman does not answer"
    reported = [fact.instance for fact in plan.facts if isinstance(fact, InstanceFact)]
    assert reported == ["default/shop/db/0", "default/shop/web/0"], "silence would look like absence to a restored core"


def test_a_unit_that_cannot_be_followed_keeps_what_ran():
    world = web_and_db()
    world.settle()
    app = next(iter(world.held.revisions.values()))
    bad = assign(app, "web", ordinal=7)
    same_instance = msgspec.structs.replace(assign(app, "web"), revision=digest_of(b"unknown"))
    world.held = hold(app, same_instance, assign(app, "db"), bad)
    plan = world.look()
    assert plan.actions == ()
    reasons = {fact.unit: fact.code for fact in plan.facts if isinstance(fact, UnitFact)}
    assert reasons == {
        "assignment/default/shop/web/0": "E-REFERENCE",
        "assignment/default/shop/web/7": "E-ASSIGNMENT",
    }


def test_hold_stops_and_run_starts_again():
    world = web_and_db()
    world.settle()
    app = next(iter(world.held.revisions.values()))
    world.held = hold(app, assign(app, "web", state="hold"), assign(app, "db"))
    world.settle()
    assert world.running() == ["db"]
    world.held = hold(app, assign(app, "web"), assign(app, "db"))
    world.settle()
    assert world.running() == ["db", "web"]


def test_a_one_shot_job_that_ended_well_stays_ended_even_over_a_reboot():
    app = revision(job=service("j", restart=Restart(policy="no")), web=service("w", depends_on={"job": "completed"}))
    world = World(hold(app, assign(app, "job"), assign(app, "web")))
    for _ in range(8):
        world.step()
        world.advance(1)
    assert world.running() == ["job"]
    world.crash("job", code=0)
    world.settle()
    assert world.running() == ["web"]
    world.reboot()
    world.settle()
    assert world.running() == ["web"]


def test_a_job_that_a_reboot_interrupted_is_started_again():
    app = revision(job=service("j", restart=Restart(policy="no")))
    world = World(hold(app, assign(app, "job")))
    world.settle()
    world.reboot()
    world.settle()
    assert world.running() == ["job"]


def test_images_never_use_the_reserve():
    world = web_and_db()
    node = NodeSeen(node="n1", disk_bytes=10**9, disk_free_bytes=images.DISK_RESERVE_BYTES + 999)
    world.observed = msgspec.structs.replace(world.observed, node=node)
    plan = world.look()
    assert not any(isinstance(action, FetchImage) for action in plan.actions)
    assert "disk full" in " ".join(wait.reason for wait in plan.waits)
    assert any("disk full" in fact.reason for fact in plan.facts if isinstance(fact, InstanceFact))


def test_two_images_are_not_fetched_into_room_for_one():
    world = web_and_db()
    sizes = [action.size_bytes for action in world.look().actions if isinstance(action, FetchImage)]
    assert len(sizes) == 2
    node = NodeSeen(node="n1", disk_bytes=10**9, disk_free_bytes=images.DISK_RESERVE_BYTES + max(sizes))
    world.observed = msgspec.structs.replace(world.observed, node=node)
    assert len([action for action in world.look().actions if isinstance(action, FetchImage)]) == 1


def test_a_failing_action_waits_longer_each_time_and_does_not_block_others():
    world = web_and_db()
    fetches = [action for action in world.look().actions if isinstance(action, FetchImage)]
    assert len(fetches) == 2
    world.history = note_outcome(
        world.history, fetches[0], Outcome(ok=False, code="E-UNREACHABLE", reason="cut off"), world.now.boot_us
    )
    plan = world.look()
    assert [action for action in plan.actions if isinstance(action, FetchImage)] == [fetches[1]]
    assert plan.wake_us > world.now.boot_us


def test_an_instance_on_its_way_says_what_failed_last_without_the_count():
    world = web_and_db()
    reasons = set()
    while not any(isinstance(action, StartContainer) for action in world.look().actions):
        world.step()
    start = next(action for action in world.look().actions if isinstance(action, StartContainer))
    for _ in range(3):
        taken = Outcome(ok=False, code="E-PORT-IN-USE", reason="port 80 is in use")
        world.history = note_outcome(world.history, start, taken, world.now.boot_us)
        facts = [fact for fact in world.look().facts if isinstance(fact, InstanceFact)]
        reasons.add(next(fact.reason for fact in facts if fact.instance == start.instance))
    assert reasons == {"port 80 is in use (E-PORT-IN-USE)"}
    world.settle()
    assert all(not fact.reason for fact in world.look().facts if isinstance(fact, InstanceFact))


def test_two_tenants_never_share_a_uid_range_and_old_volumes_keep_theirs():
    world = web_and_db()
    world.settle()
    first = world.history.kept.uid_ranges[scenery.TENANT]
    other = msgspec.structs.replace(next(iter(world.held.revisions.values())), tenant="rival")
    record = scenery.record()
    record = msgspec.structs.replace(record, tenants={**record.tenants, "rival": record.tenants[scenery.TENANT]})
    world.held = hold(other, assign(other, "db"), record=record)
    world.settle()
    assert world.history.kept.uid_ranges["rival"] != first
    lost = World(world.held)
    lost.observed = msgspec.structs.replace(world.observed, containers=())
    lost.look()
    assert lost.history.kept.uid_ranges["rival"] == world.history.kept.uid_ranges["rival"]


def test_health_is_checked_at_its_interval():
    world = web_and_db()
    world.settle()
    world.performed.clear()
    for _ in range(40):
        world.step()
        world.advance(1)
    checks = [action for action in world.performed if isinstance(action, CheckHealth)]
    assert 3 <= len(checks) <= 5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["crash-web", "crash-db", "reboot", "pause", "resume", "drop", "restore"]), max_size=12)
)
def test_whatever_happens_the_site_settles_to_its_document(happenings: list[str]):
    world = web_and_db()
    full = world.held
    app = next(iter(full.revisions.values()))
    for happening in happenings:
        match happening:
            case "crash-web" | "crash-db":
                world.crash(happening.removeprefix("crash-"))
            case "reboot":
                world.reboot()
            case "pause":
                world.held = hold(app, assign(app, "web", state="hold"), assign(app, "db"))
            case "drop":
                world.held = msgspec.structs.replace(full, units={})
            case _:
                world.held = full
        world.step()
        world.advance(3)
    world.held = full
    world.advance(400)
    plan = world.settle(80)
    assert plan.settled
    assert world.running() == ["db", "web"]
    assert [volume.volume for volume in world.observed.volumes] == [scenery.a_volume("ledger")]
