import asyncio

import msgspec
from tests.agent.scene import SECRET_MOUNT, Site, make_app, revise, virtually
from tests.trust import people

from skerry.agent import journal
from skerry.agent.desk import Refusal
from skerry.clock import SECOND_US
from skerry.model.app import Network, Port
from skerry.model.document import ImageHold, digest_bodies
from skerry.model.ids import CallId, NetworkName
from skerry.model.signed import Call
from skerry.plan.actions import ApplyTranslation, DeleteVolume
from skerry.sync.documents import make_patch
from skerry.sync.outbox import mark_event
from skerry.wire import CallRequest, LogsAsk, NonceAsk, NonceReply

INSTANCE = "alpha/shop/web/0"


async def nothing():
    return
    yield b""


@virtually
async def test_a_signed_document_runs_and_survives_the_agent_and_the_power(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    verdict = await site.deliver([people.assign(revision)], revision)
    assert (verdict.state, verdict.generation) == ("accepted", 1)
    await site.settle()
    assert site.machine.running() == [INSTANCE]
    story = list(site.machine.story)
    await site.restart()
    await site.settle()
    assert site.machine.story == story, "an agent's restart touches nothing"
    await site.restart(reboot=True)
    await site.settle()
    assert site.machine.running() == [INSTANCE]
    assert [kind for kind, _ in site.machine.story] == ["start", "start"]


@virtually
async def test_links_of_our_own_are_made_before_a_start_and_again_after_the_power(site: Site):
    site.machine.translation = ""
    network = NetworkName("default")
    image = site.shelf.add_image("web:1")
    app = make_app(image, 1, networks={network: ()}, ports=(Port(target=80, published=8080),))
    revision = revise(msgspec.structs.replace(app, networks={network: Network()}))
    applied: list[ApplyTranslation] = []
    site.machine.witness = lambda action: applied.append(action) if isinstance(action, ApplyTranslation) else None
    await site.deliver([people.assign(revision)], revision)
    for reboot in (False, True):
        if reboot:
            await site.restart(reboot=True)
            assert site.machine.networks == {}, "a bridge of ours does not outlive the power"
        await site.settle()
        assert site.machine.running() == [INSTANCE]
        (seen,) = site.machine.containers.values()
        address = seen.addresses[network][0]
        assert address == site.machine.networks[("alpha", "shop", "default")].ranges[0].subnet.replace(".0/24", ".2")
        assert site.machine.translation == applied[-1].digest
        assert [(each.published, each.address, each.target) for each in applied[-1].ports] == [(8080, address, 80)]


@virtually
async def test_missing_objects_are_asked_for_and_the_document_is_taken_whole(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    bodies = people.pack([people.assign(revision)])
    patch = make_patch(people.make_head(bodies, 1), bodies, None)
    verdict = await site.agent.accept_document(patch, ())
    assert verdict.state == "missing"
    assert verdict.digests == (people.name(revision),)
    assert site.agent.holdings.stored is None
    assert (await site.agent.accept_document(patch, (revision,))).state == "accepted"


@virtually
async def test_a_difference_needs_its_base(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    first = people.pack([people.assign(revision)])
    await site.deliver([people.assign(revision)], revision)
    second = people.pack([msgspec.structs.replace(people.assign(revision), restart=1)])
    patch = make_patch(people.make_head(second, 2), second, (1, 1, digest_bodies(first)))
    stranger = make_patch(people.make_head(second, 2), second, (1, 7, digest_bodies(first)))
    assert (await site.agent.accept_document(stranger, ())).state == "whole"
    assert (await site.agent.accept_document(patch, ())).state == "accepted"
    await site.settle()
    assert site.agent.holdings.stored.generation == 2


@virtually
async def test_an_older_document_changes_nothing_and_a_forged_one_is_told(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    more = site.shelf.add_image("more:1")
    held = ImageHold(digest=more.digest, config=more.config, size_bytes=more.size_bytes)
    await site.deliver([people.assign(revision), held])
    old = await site.deliver([people.assign(revision)], revision, generation=1)
    assert (old.state, old.code) == ("refused", "E-STALE")
    bodies = people.pack([])
    forged = make_patch(people.make_head(bodies, 9, keys=(people.DEVICE,)), bodies, None)
    assert (await site.agent.accept_document(forged, ())).code == "E-KEY"
    assert "document.refused" in site.events()
    await site.settle()
    assert site.machine.running() == [INSTANCE]


@virtually
async def test_a_refused_unit_keeps_its_former_version_over_a_restart(site: Site):
    image = site.shelf.add_image("web:1")
    good = revise(make_app(image, 2))
    await site.deliver([people.assign(good)], good)
    await site.settle()
    old = revise(make_app(image, 1))
    verdict = await site.deliver([people.assign(old)], old)
    assert verdict.state == "accepted", "a document is taken; a unit in it is refused"
    await site.settle()
    for _ in range(2):
        facts = await site.agent.read_facts()
        assert f"instance/{INSTANCE}" in facts
        assert site.machine.running() == [INSTANCE]
        await site.restart()
        await site.settle()
    assert [kind for kind, _ in site.machine.story] == ["start"]


@virtually
async def test_volumes_go_only_by_a_tombstone_after_its_grace(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    await site.deliver([])
    await site.settle()
    assert list(site.machine.volumes) == ["alpha/shop/data"]
    grave = people.bury(2)
    await site.deliver([people.notice(grave)], grave)
    await site.wait(60)
    assert site.machine.volumes == {}
    assert "volume.deleted" in site.events()


@virtually
async def test_the_grace_of_a_tombstone_begins_when_it_is_accepted_even_while_the_trust_clock_lags(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    grave = people.sign(
        "tombstone",
        msgspec.structs.replace(people.make_tombstone(2), grace_us=600 * SECOND_US),
        people.DEPLOY[people.ALPHA],
    )
    hours_later = site.agent.trust.trust_us() // SECOND_US + 7200
    await site.deliver([people.notice(grave)], grave, time_s=hours_later)
    await site.wait(300)
    assert list(site.machine.volumes) == ["alpha/shop/data"]
    await site.wait(400)
    assert site.machine.volumes == {}


@virtually
async def test_what_runs_is_reported_while_the_runtime_does_not_answer(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    before = set(site.agent.reconciler.facts)
    site.machine.faults.unavailable = True
    site.agent.reconciler.nudge()
    await site.wait(5)
    assert site.agent.reconciler.plan.waits[0].subject == "runtime"
    assert set(site.agent.reconciler.facts) == before


@virtually
async def test_a_secret_reaches_a_driver_opened_and_nothing_else(site: Site):
    secret = people.seal(1)
    revision = revise(make_app(site.shelf.add_image("web:1"), 1, secrets=(SECRET_MOUNT,)))
    await site.deliver([people.assign(revision)], revision)
    await site.wait(5)
    assert site.machine.running() == [], "without its secret it waits"
    await site.deliver([people.assign(revision), people.hold_secret(secret)], revision, secret)
    await site.settle()
    assert site.machine.running() == [INSTANCE]
    assert site.agent.open_secret(people.name(secret)) == b"hush"


async def ask(site: Site, kind: str, body: object):
    request = CallRequest(CallId("c1"), kind, msgspec.msgpack.encode(body), 10**12)
    return await site.agent.answer_call(request, nothing())


async def draw_nonce(site: Site) -> bytes:
    answer = await ask(site, "nonce", NonceAsk(people.NODE))
    return msgspec.msgpack.decode(answer.body, type=NonceReply).nonce


@virtually
async def test_a_command_needs_a_signed_call_with_a_fresh_nonce(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    nonce = await draw_nonce(site)
    call = Call(
        tenant=people.ALPHA,
        site=people.SITE,
        node=people.NODE,
        nonce=nonce,
        verb="exec",
        app=people.SHOP,
        service=people.WEB,
        argv=("ls", "/"),
    )
    refused = [
        people.sign("call", msgspec.structs.replace(call, nonce=b"x" * 32), people.DEPLOY[people.ALPHA]),
        people.sign("call", call, people.DELIVERY),
        people.sign("call", msgspec.structs.replace(call, site="elsewhere"), people.DEPLOY[people.ALPHA]),
        people.sign("call", msgspec.structs.replace(call, tenant=people.BETA), people.DEPLOY[people.ALPHA]),
    ]
    for envelope in refused:
        answer = await ask(site, "exec", envelope)
        assert not answer.ok
    good = people.sign("call", call, people.DEPLOY[people.ALPHA])
    answer = await ask(site, "exec", good)
    assert answer.ok
    items = [item async for item in answer.stream]
    assert items[0].data == b"ls /"
    assert items[-1].exit_code == 0
    assert not (await ask(site, "exec", good)).ok, "a nonce is good once"
    assert [what for kind, what in site.machine.story if kind == "exec"] == ["c00001 ls /"]


@virtually
async def test_a_nonce_does_not_live_long(site: Site):
    nonce = await draw_nonce(site)
    await site.wait(61)
    call = Call(
        tenant=people.ALPHA, site=people.SITE, node=people.NODE, nonce=nonce, verb="exec", app=people.SHOP,
        service=people.WEB, argv=("ls",),
    )  # fmt: skip
    answer = await ask(site, "exec", people.sign("call", call, people.DEPLOY[people.ALPHA]))
    assert answer.code == "E-CALL"


@virtually
async def test_logs_need_no_signature_and_unknown_instances_are_named(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    answer = await ask(site, "logs", LogsAsk(INSTANCE))
    lines = [item.data async for item in answer.stream]
    assert lines[0] == b"alpha/shop/web/0 says hello\n"
    assert (await ask(site, "logs", LogsAsk("alpha/shop/nobody/0"))).code == "E-NOT-FOUND"
    garbage = CallRequest(CallId("c2"), "logs", b"\xff\xff", 10**12)
    assert (await site.agent.answer_call(garbage, nothing())).code == "E-CALL"


@virtually
async def test_the_trust_clock_never_goes_back(site: Site):
    before = site.agent.trust.trust_us()
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    site.clock.wall_offset_us = -(10**15)
    await site.restart(reboot=True)
    assert site.agent.trust.trust_us() >= before


@virtually
async def test_an_event_reaches_the_outbox_once_and_leaves_it_when_acknowledged(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    events, lost = await site.agent.read_outbox(0, 100)
    assert lost == 0
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    await site.agent.trim_outbox(events[-1].sequence)
    assert await site.agent.read_outbox(events[-1].sequence, 100) == ((), 0)


@virtually
async def test_an_outbox_is_trimmed_only_where_it_says_what_the_parent_has(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    written, _ = await site.agent.read_outbox(0, 100)
    assert len(written) > 2
    await site.agent.trim_outbox(1, mark_event(written[0]))
    assert (await site.agent.read_outbox(0, 100))[0] == written[1:]
    await site.agent.trim_outbox(2, b"of another line")
    renumbered, lost = await site.agent.read_outbox(2, 100)
    assert [event.message for event in renumbered[:-1]] == [event.message for event in written[1:]]
    assert renumbered[0].sequence == 3, "the parent has other events up to 2"
    assert renumbered[-1].type == "site.set-back"
    assert lost == 0


@virtually
async def test_a_session_claims_what_is_held(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    first = await site.agent.begin_session()
    second = await site.agent.begin_session(above=40)
    assert (first.document_epoch, first.document_generation) == (1, 1)
    assert second.session_epoch == 41 > first.session_epoch


async def two_documents(site: Site) -> None:
    image, more = site.shelf.add_image("web:1"), site.shelf.add_image("web:2")
    for number, ref in ((1, image), (2, more)):
        revision = revise(make_app(ref, number))
        await site.deliver([people.assign(revision)], revision)
        await site.settle()
    assert site.machine.running() == [INSTANCE]


@virtually
async def test_a_journal_whose_newest_document_is_damaged_follows_the_one_before_and_says_so(site: Site):
    await two_documents(site)
    await site.tasks.stop()
    site.db.file.connection.execute("UPDATE document SET head = x'00' WHERE slot = 'current'")
    await site.restart(reboot=True)
    await site.settle()
    assert site.machine.running() == [INSTANCE], "never nothing"
    assert (site.agent.holdings.stored.epoch, site.agent.holdings.stored.generation) == (1, 1)
    told = [
        event for event in journal.read_outbox(site.db.file.connection, 0, 1000) if event.type.startswith("journal.")
    ]
    assert [event.type for event in told] == ["journal.mended", "journal.refused"]
    assert all(event.klass == "security" for event in told)
    assert "1.1, the one before it, is in force" in told[1].message
    revision = revise(make_app(site.shelf.add_image("web:2"), 2))
    assert (await site.deliver([people.assign(revision)], revision, generation=2)).state == "accepted"
    await site.settle()
    held = journal.read_all(site.db.file.connection)
    assert (held.document.generation, held.previous.generation) == (2, 1)
    assert site.agent.holdings.damage is None


@virtually
async def test_a_lost_object_is_asked_for_again_and_what_runs_is_left_alone(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    story = list(site.machine.story)
    site.db.file.connection.execute("UPDATE object SET envelope = x'00'")
    await site.restart()
    await site.wait(60)
    assert site.machine.story == story
    claim = await site.agent.begin_session()
    assert (claim.document_epoch, claim.document_generation) == (0, 0)
    bodies = people.pack([people.assign(revision)])
    again = make_patch(people.make_head(bodies, 1), bodies, None)
    assert (await site.agent.accept_document(again, (revision,))).state == "accepted"
    await site.settle()
    assert site.machine.story == story
    assert (await site.agent.begin_session()).document_generation == 1


@virtually
async def test_damage_is_told_once(site: Site):
    await two_documents(site)
    site.db.file.connection.execute("UPDATE note SET body = x'00' WHERE kind = 'floor'")
    for _ in range(3):
        await site.restart()
        await site.settle()
    lines = len(journal.read_all(site.db.file.connection).floors)
    assert site.events().count("journal.mended") == lines > 0
    assert site.events().count("journal.refused") == 0


async def doomed(site: Site, grace_s: int = 0) -> None:
    """A volume that no app uses any more, and its tombstone."""
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    await site.deliver([])
    await site.settle()
    stone = msgspec.structs.replace(people.make_tombstone(2), grace_us=grace_s * SECOND_US)
    grave = people.sign("tombstone", stone, people.DEPLOY[people.ALPHA])
    await site.deliver([people.notice(grave)], grave)


@virtually
async def test_a_deletion_is_told_once_although_the_agent_dies_right_after_it(site: Site):
    def die(action: object) -> None:
        if isinstance(action, DeleteVolume):
            site.machine.witness = lambda _: None
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task() and task.get_name().startswith(("action", "reconcile")):
                    task.cancel()
            current = asyncio.current_task()
            assert current is not None
            current.cancel()

    site.machine.witness = die
    await doomed(site)
    await site.clock.sleep_until(site.clock.boot_us() + 60 * SECOND_US)
    assert site.machine.volumes == {}
    assert "volume.deleted" not in site.events()
    for _ in range(3):
        await site.restart()
        await site.wait(60)
    assert site.events().count("volume.deleted") == 1


@virtually
async def test_a_deletion_whose_answer_was_lost_is_told_once(site: Site):
    await doomed(site, grace_s=30)
    await site.wait(10)
    site.machine.faults.half = 1.0
    await site.wait(120)
    site.machine.faults.half = 0.0
    await site.restart()
    await site.wait(60)
    assert site.machine.volumes == {}
    assert site.events().count("volume.deleted") == 1


@virtually
async def test_a_core_that_moves_the_time_in_its_documents_shortens_no_grace(site: Site):
    await doomed(site, grace_s=3600)
    for ahead_s in (86_400, 10 * 86_400, 80 * 86_400):
        units = list(site.agent.holdings.document.units.values())
        await site.deliver(units, time_s=site.agent.trust.trust_us() // SECOND_US + ahead_s)
        await site.wait(300)
        await site.restart()
    assert list(site.machine.volumes) == ["alpha/shop/data"]
    await site.wait(2600)
    assert list(site.machine.volumes) == ["alpha/shop/data"]
    await site.wait(200)
    assert site.machine.volumes == {}


@virtually
async def test_restarts_and_reboots_do_not_make_a_grace_begin_anew(site: Site):
    await doomed(site, grace_s=3600)
    for _ in range(5):
        await site.wait(650)
        await site.restart(reboot=True)
    assert list(site.machine.volumes) == ["alpha/shop/data"]
    await site.wait(700)
    assert site.machine.volumes == {}


@virtually
async def test_a_volume_that_is_gone_is_made_anew_only_when_its_loss_is_accepted(site: Site):
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    await site.settle()
    site.machine.volumes.clear()
    await site.restart(reboot=True)
    await site.wait(120)
    assert site.machine.running() == []
    assert site.machine.volumes == {}
    assert not await site.agent.reconciler.accept_loss("alpha/shop/other")
    assert await site.agent.reconciler.accept_loss("alpha/shop/data")
    await site.settle()
    assert site.machine.running() == [INSTANCE]
    assert site.events().count("volume.given-up") == 1
    assert not await site.agent.reconciler.accept_loss("alpha/shop/data")


@virtually
async def test_the_time_is_sure_once_a_document_told_it_and_not_after_a_restart(site: Site):
    assert site.agent.trust.read_sure_us() == 0
    revision = revise(make_app(site.shelf.add_image("web:1"), 1))
    await site.deliver([people.assign(revision)], revision)
    assert site.agent.trust.read_sure_us() == site.agent.trust.trust_us() > 0
    await site.restart()
    assert site.agent.trust.read_sure_us() == 0


@virtually
async def test_there_is_no_overlay_key_to_change_without_a_network_over_sites(site: Site):
    refused = await site.agent.change_overlay_key()
    assert isinstance(refused, Refusal)
    assert refused.code == "E-NOT-FOUND"
