"""What a core owes its clients: the real one and ``skerry.testing.FakeCore`` pass this same suite, over real HTTP."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from tests.contract.real_core import RealCore

from skerry.model.asks import CreateToken, EventQuery, SiteQuery
from skerry.model.geography import Region
from skerry.model.limits import STREAMS_PER_TOKEN_MAX
from skerry.sdk import errors
from skerry.sdk.requests import make_request
from skerry.testing import FakeCore


@pytest.fixture(scope="module", params=["fake", "real"])
def core(request):
    """One core for the suite; each test uses an app of its own."""
    if request.param == "fake":
        with FakeCore(sites=["bergen", "oslo"]) as made:
            made.add_image("web:1")
            yield made
        return
    with tempfile.TemporaryDirectory(prefix="skr-") as folder:
        made = RealCore(Path(folder), Path(folder) / "signer.sock")
        made.add_image("web:1")
        yield made
        made.close()


@pytest.fixture
def client(core):
    with core.client() as made:
        yield made


@pytest.fixture
def manifest(tmp_path, request):
    """A manifest whose app is called as the test is."""

    def write(*lines: str) -> Path:
        name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
        path = tmp_path / "compose.yaml"
        path.write_text(
            f"name: {name}\nservices:\n  web:\n    image: web:1\n" + "".join(f"    {line}\n" for line in lines)
        )
        write.app = name
        return path

    return write


def test_a_manifest_runs_at_its_sites_and_ends(client, manifest):
    done = client.apps.apply(manifest())
    done.rollout.wait(timeout=30)
    shown = client.apps.show(manifest.app)
    assert (shown.summary.ready, shown.summary.wanted, shown.summary.number) == (1, 1, 1)
    events = list(client.events(EventQuery(after=done.event_id, app=manifest.app, follow=False)))
    assert events
    again = client.apps.apply(manifest())
    assert (again.number, again.applied) == (1, None)
    changed = client.apps.apply(manifest("command: [serve]"))
    assert changed.number == 2
    changed.rollout.wait(timeout=30)
    assert client.apps.rollback(manifest.app).number == 3
    client.apps.delete(manifest.app).rollout.wait(timeout=30)
    assert client.apps.show(manifest.app).summary.state == "ended"


def test_sites_are_listed_page_by_page_and_in_order(client):
    assert [site.site for site in client.sites.list(page_size=1)] == ["bergen", "oslo"]
    assert {site.state for site in client.sites.list()} == {"online"}
    with pytest.raises(errors.Refused) as refused:
        client.send(make_request("list_sites", query=SiteQuery(page_token="~")))
    assert refused.value.code == "E-PAGE"


def test_nodes_are_listed_page_by_page_and_one_is_shown(client):
    listed = list(client.nodes.list(page_size=1))
    assert [node.site for node in listed] == ["bergen", "oslo"]
    shown = client.nodes.show("oslo", listed[1].node)
    assert (shown.summary.node, shown.summary.state, shown.summary.reported) == (listed[1].node, "online", True)
    assert shown.summary.cpu_m > 0
    with pytest.raises(errors.NotFound):
        client.nodes.show("oslo", "nowhere")


def test_an_instance_is_shown_where_it_runs(client, manifest):
    client.apps.apply(manifest()).rollout.wait(timeout=30)
    [listed] = client.instances.list(app=manifest.app)
    shown = client.instances.show(listed.site, manifest.app, "web", "0")
    assert (shown.summary.instance, shown.ready, shown.wish, shown.image) == (listed.instance, True, "run", "web:1")
    assert shown.place is not None
    assert shown.place.site == listed.site
    with pytest.raises(errors.NotFound):
        client.instances.show(listed.site, manifest.app, "web", "7")


def test_a_stale_number_is_a_conflict_that_names_the_newest(client, manifest):
    client.apps.apply(manifest())
    envelope = client.apps.read_revision(manifest.app, "1")
    with pytest.raises(errors.Conflict) as refused:
        client.apps.put(manifest.app, envelope, expect=5)
    assert (refused.value.status, refused.value.number) == (412, 1)


def test_a_change_with_a_key_is_done_once(client):
    request = make_request("create_token", body=CreateToken(name="once"), idempotency_key="contract")
    first = client.send(request)
    assert client.send(request) == first
    with pytest.raises(errors.Invalid) as refused:
        client.send(make_request("create_token", body=CreateToken(name="other"), idempotency_key="contract"))
    assert refused.value.code == "E-KEY-REUSED"
    client.tokens.revoke(first.view.token_id)


def test_a_role_grants_what_it_says(core, manifest):
    with core.client(core.make_token(tenant_role="viewer")) as viewer:
        assert [site.site for site in viewer.sites.list()] == ["bergen", "oslo"]
        with pytest.raises(errors.NotAllowed) as refused:
            viewer.apps.pause("shop")
        assert (refused.value.status, refused.value.code) == (403, "E-ROLE")
    with core.client("skt_x") as stranger, pytest.raises(errors.NotAllowed) as refused:
        list(stranger.sites.list())
    assert refused.value.status == 401


def test_what_is_not_there_reads_like_what_is_not_ones_own(client):
    for ask in (client.apps.show, client.sites.show, client.secrets.show):
        with pytest.raises(errors.NotFound):
            ask("nowhere")


def test_an_area_and_users_are_signed_used_and_forgotten_and_move_nothing(client, manifest):
    assert client.areas.set("islands", Region(countries=("IS",), outside=Region(countries=("NO",)))) == 1
    assert client.areas.set("islands", Region(countries=("IS",), outside=Region(countries=("NO",)))) == 0
    assert client.user_groups.set("people", [(-21_900_000, 64_150_000, 1)]) == 1
    latency = "latency: {to: {users: people}, weight: 1}"
    file = manifest(f"x-skerry: {{placement: {{geofence: {{not: {{areas: islands}}}}, {latency}}}}}")
    draft = client.apps.draft(file)
    rules = draft.revision.services["web"].placement.rules
    assert rules.geofence[0].outside.areas[0].region.countries == ("IS",)
    assert rules.latency[0].points == ((-21_900_000, 64_150_000, 1),)
    client.apps.apply(draft)
    assert client.areas.set("islands", Region(countries=("FO",))) == 2
    assert client.apps.draft(file).changed[0].startswith("area islands has changed since revision 1 was signed")
    with pytest.raises(errors.Conflict):
        client.areas.remove("islands", expect=1)
    client.areas.remove("islands", expect=2)
    client.user_groups.remove("people", expect=1)
    with pytest.raises(errors.NotFound) as gone:
        client.user_groups.show("people")
    assert gone.value.hint == "skerry user-group list"
    assert [each.name for each in client.areas.list()] == []
    assert client.apps.show(manifest.app).summary.number == 1
    with pytest.raises(errors.Invalid):
        client.apps.draft(file)


def test_an_app_is_paused_and_goes_on(client, manifest):
    client.apps.apply(manifest()).rollout.wait(timeout=30)
    assert client.apps.pause(manifest.app).state == "hold"
    assert client.apps.resume(manifest.app).state == "run"
    client.apps.wait(manifest.app, timeout=30)


def test_a_site_that_is_cut_off_catches_up(core, client, manifest):
    for site in ("bergen", "oslo"):
        core.cut_off(site)
    client.apps.apply(manifest())
    assert client.apps.show(manifest.app).summary.ready == 0
    for site in ("bergen", "oslo"):
        core.reconnect(site)
    client.apps.wait(manifest.app, timeout=30)


def test_a_dry_run_changes_nothing(client, manifest):
    draft = client.apps.draft(manifest())
    plan = client.apps.plan(manifest.app, draft.payload)
    assert [change.kind for change in plan.changes] == ["add"]
    with pytest.raises(errors.NotFound):
        client.apps.show(manifest.app)


def test_a_place_that_the_log_never_had_is_told_and_the_stream_goes_on_from_its_end(client, manifest):
    done = client.apps.apply(manifest())
    done.rollout.wait(timeout=30)
    found = list(client.events(EventQuery(after=10**9, follow=False)))
    assert [event.type for event in found] == ["reset"]
    assert done.event_id < int(found[0].id) < 10**9
    known = {int(event.id) for event in client.events(EventQuery(follow=False))}
    # What a site tells meanwhile may follow; nothing of before may.
    assert all(int(event.id) > max(known) for event in client.events(EventQuery(after=max(known), follow=False)))


def test_a_watch_says_first_to_list_and_then_what_is_new(client, manifest):
    watched = client.watch("app")
    assert next(watched) is None
    client.apps.apply(manifest())
    delta = next(each for each in watched if each is not None and each.name == manifest.app)
    assert delta.app.number == 1
    watched.close()


def test_a_token_has_no_more_than_its_streams(core):
    with core.client(core.make_token(tenant_role="viewer")) as client:
        opened = [client.watch() for _ in range(STREAMS_PER_TOKEN_MAX)]
        assert [next(each) for each in opened] == [None] * STREAMS_PER_TOKEN_MAX
        with pytest.raises(errors.Unavailable) as refused:
            next(client.watch())
        assert (refused.value.code, refused.value.status) == ("E-STREAMS", 429)
        for each in opened:
            each.close()


async def test_the_asynchronous_client_sees_the_same(core, manifest):
    async with core.async_client() as client:
        done = await client.apps.apply(manifest())
        assert done.number == 1
        assert [site.site async for site in client.sites.list(page_size=1)] == ["bergen", "oslo"]
        query = EventQuery(after=done.event_id, kind="instance.started")
        async with contextlib.aclosing(client.events(query)) as events:
            assert "instance.started" in (await anext(events)).type
        with pytest.raises(errors.NotFound):
            await client.apps.show("nowhere")
