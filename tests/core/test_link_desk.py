"""What the core makes of what sites say: documents by difference, events exactly once, facts, evidence, joining."""

import base64

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.cores import Rig, key, sealing, sign

from skerry.core.desk import SessionGrant, SessionRefusal
from skerry.core.wishes import Expected
from skerry.model.answers import OperationView
from skerry.model.asks import CreateJoinToken, InstanceQuery, PageQuery, RejectJoin
from skerry.model.document import Assignment, TombstoneNotice
from skerry.model.facts import AppFact, InstanceFact, SiteFact, VolumeFact, encode_fact
from skerry.model.ids import NodeName, SiteName, VolumeId, VolumeName, digest_of
from skerry.model.signed import NodeRecord
from skerry.plan.windows import TIME_UNKNOWN
from skerry.store import apps, events, facts, objects
from skerry.store.events import EventFilter
from skerry.store.fleet import decode_revision
from skerry.store.scope import Scope
from skerry.sync.facts import digest_facts
from skerry.sync.outbox import mark_event
from skerry.trust import join
from skerry.trust.held import AcceptedDocument, Held
from skerry.trust.keys import device_message
from skerry.trust.verify import verify_document
from skerry.wire import FactsPatch


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _settled(rig, name="oslo", app="shop", **words):
    site = await rig.add_site(name)
    await site.connect()
    await rig.apply(app, 1, **words)
    await rig.plan()
    await site.fetch()
    await site.report_ready()
    return site


# --- documents -------------------------------------------------------------------------------------------------------


async def test_a_site_gets_its_document_once_and_then_only_what_changed(rig):
    site = await _settled(rig)
    assert (site.epoch, site.generation) == (1, 1)
    assert await site.fetch() is None
    await rig.apply("blog", 1)
    await rig.plan()
    patch = await site.fetch()
    assert (patch.base_generation, list(patch.bodies)) == (1, ["assignment/default/blog/web/0"])
    assert len(patch.objects) == 1, "the image is held already, the new revision is sent along"
    await rig.delete("blog", 2)
    await rig.plan()
    patch = await site.fetch()
    assert patch.removed == ("assignment/default/blog/web/0",)


async def test_a_site_accepts_what_the_core_signed(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    await rig.plan()
    patch = (await rig.desk.draw_patch(site.name, 0, 0)).patch
    held = Held(root=rig.root(), site_record=rig.record("oslo", 1))
    objects = {digest_of(each.payload): each for each in patch.objects}
    accepted = verify_document(patch.head, patch.bodies, objects, held, site.name)
    assert isinstance(accepted, AcceptedDocument)
    assert not accepted.refused


async def test_many_changes_while_away_are_one_document(rig):
    site = await _settled(rig)
    for number in range(2, 6):
        await rig.apply("shop", number, working_dir=f"/{number}")
        await rig.plan()
    await site.connect()
    patch = await site.fetch()
    assert (site.generation, len(patch.objects)) == (2, 1)


async def test_a_base_that_is_forgotten_gives_the_whole_map_without_objects(rig):
    site = await _settled(rig)
    for number in range(2, 20):
        await rig.apply("shop", number, working_dir=f"/{number}")
        await rig.plan()
        await site.fetch()
    old = (await rig.desk.draw_patch(site.name, 1, 2)).patch
    assert (old.base_generation, old.objects, sorted(old.bodies)) == (0, (), sorted(site.bodies))


async def test_a_wish_taken_back_before_the_site_asked_makes_no_document(rig):
    site = await _settled(rig)
    await rig.service.pause_app(rig.admin, app="shop")
    await rig.plan()
    await rig.service.resume_app(rig.admin, app="shop")
    await rig.plan()
    assert await site.fetch() is None
    assert site.generation == 1


async def test_objects_are_given_only_to_sites_whose_document_names_them(rig):
    oslo = await _settled(rig)
    rome = await rig.add_site("rome", tenants=("other",))
    await rome.connect()
    digest = next(unit.revision for unit in oslo.units.values() if isinstance(unit, Assignment))
    assert list(await rig.desk.read_objects(oslo.name, (digest, digest_of(b"none")))) == [digest]
    assert await rig.desk.read_objects(rome.name, (digest,)) == {}


async def test_blobs_are_given_only_to_sites_that_want_their_image(rig):
    oslo = await _settled(rig)
    rome = await rig.add_site("rome", tenants=("other",))
    image = await rig.push_image()
    detail = await rig.service.show_image(rig.admin, digest=image.digest)
    for blob in detail.blobs:
        size = await rig.desk.size_blob(oslo.name, blob)
        assert size == len(await rig.desk.read_blob(blob, 0, 1_000_000))
        assert await rig.desk.size_blob(rome.name, blob) is None
    secret = await rig.put_blob(b"not part of any image")
    assert await rig.desk.size_blob(oslo.name, secret) is None


async def test_a_site_may_fetch_what_it_goes_back_to_and_nothing_by_another_apps_name(rig):
    site = await _settled(rig)
    old = next(unit.revision for unit in site.units.values() if isinstance(unit, Assignment))
    held = await rig.core.db.read(lambda c: objects.read_objects(c, (old,)))
    image = decode_revision(held[old]).services["web"].image
    newer = rig.revision("shop", 2, image=await rig.push_image("web:2", layer=b"another layer"))
    await rig.apply("shop", 2, envelope=sign("revision", newer, key("deploy default")))
    await rig.plan()
    await site.fetch()
    assert await rig.desk.size_blob(site.name, image.digest) is None
    gate = AppFact(
        tenant="default", app="shop", node="n1", revision=digest_of(b"x"), number=2, verdict="failed", fallback=old
    )
    await site.report(msgspec.structs.replace(gate, app="blog"))
    assert await rig.desk.size_blob(site.name, image.digest) is None
    await site.report(gate)
    assert await rig.desk.size_blob(site.name, image.digest) is not None


async def test_a_refused_document_is_told_and_not_pushed_again(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    await rig.plan()
    await rig.desk.draw_patch(site.name, 0, 0)
    await rig.desk.record_answer(site.name, 1, 1, accepted=False, code="E-SIGNATURE", reason="bad")
    detail = await rig.service.show_site(rig.operator, site="oslo")
    assert detail.document.refused_code == "E-SIGNATURE"
    assert detail.events[-1].type == "dev.skerry.document.refused.v1"
    await rig.desk.record_answer(site.name, 1, 99, accepted=True, code="", reason="")
    assert (await rig.service.show_site(rig.operator, site="oslo")).document.held == 0


async def test_a_tombstone_is_shown_until_the_volume_is_gone(rig):
    site = await _settled(rig)
    await site.report(VolumeFact(volume=VolumeId("default/shop/data"), born=1))
    await rig.delete("shop", 2, volumes=(VolumeName("data"),))
    await rig.plan()
    await site.fetch()
    assert [type(unit) for unit in site.units.values()] == [TombstoneNotice]
    await rig.plan()
    assert await site.fetch() is None
    await site.report(removed=("volume/default/shop/data", "instance/default/shop/web/0"))
    await rig.plan()
    await site.fetch()
    assert site.units == {}


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_an_older_or_equal_session_is_refused_and_told_the_newest(rig):
    site = await rig.add_site("oslo")
    assert isinstance(await site.connect(), SessionGrant)
    refused = await site.connect(session_epoch=1)
    assert isinstance(refused, SessionRefusal)
    assert (refused.code, refused.floor) == ("E-SESSION-OLD", 1)


async def test_a_site_that_may_know_numbers_otherwise_gets_the_mark_of_the_last_event(rig):
    site = await rig.add_site("oslo")
    await site.send(1, 2, 3)
    scope = Scope(platform=True)
    last = (await rig.core.db.read(lambda c: events.list_events(c, scope, 0, 10, EventFilter(site="oslo"))))[-1].event
    grant = await site.connect(event_acknowledged=1, event_last=5)
    assert isinstance(grant, SessionGrant)
    assert (grant.event_acknowledged, grant.event_mark) == (3, mark_event(last))
    for acknowledged, newest in ((3, 5), (1, 2)):
        grant = await site.connect(event_acknowledged=acknowledged, event_last=newest)
        assert isinstance(grant, SessionGrant)
        assert grant.event_mark == b""


async def test_strange_and_removed_sites_are_refused(rig):
    site = await rig.add_site("oslo")
    assert isinstance(await site.connect(node=NodeName("n2")), SessionRefusal)
    assert isinstance(await site.connect(site=SiteName("rome")), SessionRefusal)
    await rig.service.remove_site(rig.operator, site="oslo", expect=Expected(1))
    assert isinstance(await site.connect(), SessionRefusal)
    assert await rig.desk.find_site(SiteName("oslo")) is None
    assert (await rig.desk.draw_patch(site.name, 0, 0)).patch is None
    assert await site.send(1) == 0
    assert not await site.report()


# --- events ----------------------------------------------------------------------------------------------------------


async def _sequences(rig, name="oslo"):
    scope = Scope(platform=True)
    found = await rig.core.db.read(lambda c: events.list_events(c, scope, 0, 10_000, EventFilter(site=name)))
    return [logged.event.sequence for logged in found]


async def test_events_are_stored_once_in_order_and_gaps_wait(rig):
    site = await rig.add_site("oslo")
    assert await site.send(1, 2, 3) == 3
    assert await site.send(1, 2, 3, 4) == 4, "an acknowledgement was lost: they come again"
    assert await site.send(6, 7) == 4, "5 is missing: nothing behind it is taken"
    assert await site.send(5, 6) == 6
    assert await _sequences(rig) == [1, 2, 3, 4, 5, 6]


async def test_a_gap_is_taken_when_the_site_says_that_it_dropped_it(rig):
    site = await rig.add_site("oslo")
    assert await site.send(1) == 1
    assert await site.send(5, 6, dropped=3) == 6
    assert await site.send(9, 10, dropped=1) == 6, "it says one and two are missing"
    detail = await rig.service.show_site(rig.operator, site="oslo")
    assert any("3 events of oslo were dropped" in event.data.get("message", "") for event in detail.events)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=12))
async def test_however_batches_repeat_and_overlap_each_event_is_there_once(batches):
    rig = await Rig().begin()
    site = await rig.add_site("oslo")
    through = 0
    for first, count in batches:
        answered = await site.send(*range(first, first + count))
        assert answered >= through
        through = answered
    assert await _sequences(rig) == list(range(1, through + 1))
    await rig.close()


async def test_a_site_cannot_speak_in_the_name_of_a_tenant_it_does_not_admit(rig):
    site = await rig.add_site("oslo", tenants=("default",))
    assert await site.send(1, tenant="other", subject="instance/other/shop/web/0") == 1
    other = Scope(tenant="other")
    assert await rig.core.db.read(lambda c: events.list_events(c, other, 0, 10, EventFilter())) == []


# --- facts -----------------------------------------------------------------------------------------------------------


async def test_facts_that_do_not_add_up_are_asked_for_again(rig):
    site = await _settled(rig)
    wrong = FactsPatch(2, False, {"site": b"x"}, (), b"not the digest")
    before = await rig.core.db.read(lambda c: facts.read_raw_facts(c, site.name))
    assert not await rig.desk.ingest_facts(site.name, wrong)
    assert await rig.core.db.read(lambda c: facts.read_raw_facts(c, site.name)) == before
    assert await site.report(VolumeFact(volume=VolumeId("default/shop/data"), born=1))


@pytest.mark.parametrize(
    ("key_text", "body"),
    [
        ("instance/default/shop/web/0", b"garbage"),
        ("instance/default/shop/web/0", b"\xff" * 100),
        ("weather/rain", msgspec.msgpack.encode({"kind": "weather"})),
        (
            "instance/default/shop/web/9",
            encode_fact(VolumeFact(volume=VolumeId("default/shop/data"), born=1)),
        ),
        ("instance/default/shop", None),
        ("instance/default/shop/web/x", None),
        ("instance/other/../web/0", None),
    ],
)
async def test_facts_that_are_garbage_or_of_a_later_release_are_kept_and_shown_to_nobody(rig, key_text, body):
    site = await _settled(rig)
    if body is None:
        instance = key_text.removeprefix("instance/")
        body = encode_fact(
            InstanceFact(instance=instance, node="n1", revision=digest_of(b"x"), number=1, phase="ready")
        )
    kept = site.facts | {key_text: body}
    patch = FactsPatch(3, False, {key_text: body}, (), digest_facts(kept))
    assert await rig.desk.ingest_facts(site.name, patch)
    detail = await rig.service.show_app(rig.admin, app="shop")
    assert len(detail.instances) == 1
    await rig.plan()


async def test_a_site_that_needs_the_time_is_given_it_by_the_next_number_of_its_document(rig):
    site = await _settled(rig)
    lacking = SiteFact(epoch=1, generation=1, settled=True, conditions={TIME_UNKNOWN: "since the agent was started"})
    assert await site.report(lacking)
    patch = await site.fetch()
    assert (site.generation, patch.bodies, patch.removed) == (2, {}, ())
    assert await site.report(SiteFact(epoch=1, generation=2, settled=True))
    assert await site.fetch() is None


async def test_facts_of_a_tenant_that_is_not_admitted_are_invisible(rig):
    site = await rig.add_site("oslo", tenants=("default",))
    await site.connect()
    fact = InstanceFact(instance="other/shop/web/0", node="n1", revision=digest_of(b"x"), number=7, phase="ready")
    assert await site.report(fact)
    page = await rig.service.list_instances(rig.caller("other"), query=InstanceQuery())
    assert page.items == ()


# --- a restored core -------------------------------------------------------------------------------------------------


async def _restored(rig):
    """A core that was set back to before anything was applied, and the site as it really is."""
    site = await _settled(rig)
    await rig.apply("shop", 2, working_dir="/two")
    await rig.plan()
    await site.fetch()
    await site.report_ready()
    back = await Rig().begin()
    lost = await back.add_site("oslo")
    lost.session, lost.epoch, lost.generation = site.session, site.epoch, site.generation
    lost.bodies, lost.facts = site.bodies, site.facts
    lost.acknowledged, lost.sequence = 5, 5
    return back, lost


async def test_a_core_set_back_publishes_nothing_to_a_site_that_is_ahead(rig):
    back, site = await _restored(rig)
    grant = await site.connect()
    assert grant.event_acknowledged == 5, "numbers are never used twice"
    await back.apply("blog", 1)
    await back.plan()
    assert await site.fetch() is None
    detail = await back.service.show_site(back.operator, site="oslo")
    assert detail.learning
    assert [condition.kind for condition in detail.summary.conditions] == ["learning"]
    await back.close()


async def test_evidence_raises_the_number_that_the_next_apply_must_follow(rig):
    back, site = await _restored(rig)
    await site.connect()
    assert await back.desk.ingest_facts(site.name, FactsPatch(1, True, site.facts, (), digest_facts(site.facts)))
    detail = await back.service.show_app(back.admin, app="shop")
    assert (detail.summary.number, detail.summary.state) == (2, "lost")
    assert (await back.service.show_site(back.operator, site="oslo")).unknown == ("default/shop/web/0",)
    await back.apply("shop", 3, working_dir="/three")
    await back.plan()
    patch = await site.fetch()
    assert patch is not None
    assert (site.generation, patch.base_generation) == (3, 0)
    assert [unit.revision for unit in site.units.values() if isinstance(unit, Assignment)] == [
        digest_of((await back.sign_app("shop", 3, working_dir="/three")).payload)
    ]
    assert not (await back.service.show_site(back.operator, site="oslo")).learning
    await back.close()


async def test_an_operator_may_end_learning_by_hand(rig):
    back, site = await _restored(rig)
    await site.connect()
    await back.desk.ingest_facts(site.name, FactsPatch(1, True, site.facts, (), digest_facts(site.facts)))
    await back.plan()
    await back.service.adopt_site(back.operator, site="oslo")
    await back.plan()
    await site.fetch()
    assert (site.generation, site.units) == (3, {})
    await back.close()


async def test_an_evil_site_cannot_use_up_the_numbers_of_an_app(rig):
    site = await rig.add_site("oslo")
    await site.connect(document_epoch=1, document_generation=5)
    for number in (2**40, 2**20 + 1):
        fact = InstanceFact(
            instance="default/shop/web/0", node="n1", revision=digest_of(b"x"), number=number, phase="ready"
        )
        assert await site.report(fact)
        row = await rig.core.db.read(lambda c: apps.find_app(c, "default", "shop"))
        assert row is None
    refused = await site.connect(document_epoch=1, document_generation=2**53 - 1)
    assert isinstance(refused, SessionRefusal)


# --- progress --------------------------------------------------------------------------------------------------------


async def _progress(rig, operation) -> OperationView:
    return await rig.service.show_operation(rig.admin, operation=operation)


async def test_an_operation_runs_until_the_sites_have_done_it(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    done = await rig.apply("shop", 1)
    assert (await _progress(rig, done.operation)).state == "running"
    await rig.plan()
    await site.fetch()
    await site.report_ready("starting")
    assert (await _progress(rig, done.operation)).state == "running"
    await site.report_ready()
    view = await _progress(rig, done.operation)
    assert (view.state, view.wanted, view.ready) == ("done", 1, 1)
    paused = await rig.service.pause_app(rig.admin, app="shop")
    assert (await _progress(rig, paused.operation)).state == "running", "an old ready answers no new wish"
    await rig.plan()
    await site.fetch()
    assert (await _progress(rig, paused.operation)).state == "running"
    await site.report_ready()
    assert (await _progress(rig, paused.operation)).state == "done"
    gone = await rig.delete("shop", 2)
    assert (await _progress(rig, done.operation)).state == "superseded"
    await rig.plan()
    await site.fetch()
    assert (await _progress(rig, gone.operation)).state == "running"
    await site.report_ready()
    assert (await _progress(rig, gone.operation)).state == "done"


async def test_a_silent_site_is_named_and_does_not_hold_a_wait_up(rig):
    oslo = await _settled(rig)
    rome = await rig.add_site("rome")
    await rome.connect()
    done = await rig.apply("shop", 2, working_dir="/two")
    await rig.plan()
    await oslo.fetch()
    await oslo.report_ready()
    rig.core.heard[rome.name] = 0
    rig.core.watch = msgspec.structs.replace(rig.core.watch, well_since_us=0)
    view = await _progress(rig, done.operation)
    assert (view.state, view.wanted, view.ready, view.silent) == ("done", 2, 1, 1)


# --- joining ---------------------------------------------------------------------------------------------------------

SESSION = join.Session(b"n" * 32, b"s" * 32)


def _request(token, name="oslo", node="n1", box="box", session=SESSION):
    device, seal = key(box), sealing(box)
    words = {"site": SiteName(name), "node": NodeName(node), "device": device.public, "sealing": seal}
    transcript = join.join_transcript(session, token_id=token.id, **words)
    proof = device.sign(device_message("join", transcript))
    return join.make_join_request(token, transcript, proof, **words)


async def _token(rig, name="oslo", lifetime_s=3600):
    token = join.mint_token(rig.core.mint, sign("root", rig.root(), key("root")).payload)
    body = CreateJoinToken(token_id=token.id, site=name, core_key=join.core_key(token), lifetime_s=lifetime_s)
    await rig.service.create_join_token(rig.operator, body=body)
    return token


async def _ask(rig, request):
    return await rig.desk.join(request, SESSION.nonce, SESSION.server_digest, "peer")


async def test_a_box_joins_when_the_signer_has_vouched(rig):
    token = await _token(rig)
    request = _request(token)
    assert (await _ask(rig, request)).state == "pending"
    page = await rig.service.list_join_requests(rig.operator, query=PageQuery())
    shown = page.items[0]
    assert join.vouch_join(join.bind_key(token), request, join.Session(shown.nonce, shown.server_digest)) is None
    node = NodeRecord(device=shown.device, sealing=shown.sealing)
    record = msgspec.structs.replace(rig.record("oslo", 1), nodes={NodeName("n1"): node})
    waiting = rig.tasks.start("wait", rig.desk.wait_joined(SiteName("oslo"), NodeName("n1"), rig.clock.boot_us() + 10))
    body = sign("site", record, key("registrar"))
    await rig.service.put_site(rig.operator, site="oslo", body=body, expect=Expected(0))
    answer = await waiting
    assert (answer.state, answer.site_record) == ("joined", body)
    assert (await _ask(rig, request)).state == "joined", "the same box may ask again after a lost answer"
    tokens = await rig.service.list_join_tokens(rig.operator, query=PageQuery())
    assert [(each.state, each.node) for each in tokens.items] == [("used", "n1")]


async def test_a_token_serves_one_device_once_and_only_while_it_stands(rig):
    token = await _token(rig)
    assert (await _ask(rig, _request(token))).state == "pending"
    assert (await _ask(rig, _request(token, box="thief"))).state == "refused"
    assert (await _ask(rig, _request(token, name="rome"))).state == "refused"
    late = await _token(rig, "rome", lifetime_s=60)
    await rig.clock.advance(61_000_000)
    assert "expired" in (await _ask(rig, _request(late, name="rome"))).reason
    revoked = await _token(rig, "bonn")
    await rig.service.revoke_join_token(rig.operator, token=revoked.id)
    assert (await _ask(rig, _request(revoked, name="bonn"))).state == "refused"


async def test_a_box_that_is_turned_away_hears_why(rig):
    await _ask(rig, _request(await _token(rig)))
    shown = (await rig.service.list_join_requests(rig.operator, query=PageQuery())).items[0]
    await rig.service.reject_join(rig.operator, request=shown.request, body=RejectJoin(reason="unknown box"))
    answer = await rig.desk.wait_joined(SiteName("oslo"), NodeName("n1"), 0)
    assert (answer.state, answer.reason) == ("refused", "unknown box")


async def test_waiting_for_the_signer_ends_with_its_time(rig):
    await _ask(rig, _request(await _token(rig)))
    until = rig.clock.boot_us() + 5_000_000
    waiting = rig.tasks.start("wait", rig.desk.wait_joined(SiteName("oslo"), NodeName("n1"), until))
    await rig.clock.advance(6_000_000)
    assert (await waiting).state == "pending"


async def test_roots_are_given_as_json(rig):
    found = msgspec.json.decode(await rig.desk.read_roots(0))
    assert base64.b64decode(found[0]["payload"]) == sign("root", rig.root(), key("root")).payload
    assert await rig.desk.read_roots(1) == b"[]"
