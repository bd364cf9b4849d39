"""The API as clients meet it: preconditions, problems, limits, streams, and nobody seeing another tenant's things."""

import asyncio

import msgspec
import pytest
from tests.api.http import Api
from tests.core.cores import key, sign

from skerry.api.app import check_permissions, make_app
from skerry.core.service import Service, check_complete, list_arguments
from skerry.model.errors import Broken
from skerry.model.facts import VolumeFact
from skerry.model.grants import Profile
from skerry.model.ids import VolumeId, digest_of
from skerry.model.signed import Secret
from skerry.operations import OPERATIONS, Operation, find_operation, is_allowed
from skerry.store.events import trim_events


async def _apply(api: Api, app: str = "shop", number: int = 1, tenant: str = "default", **words):
    envelope = await api.rig.sign_app(app, number, tenant=tenant, **words)
    guard = {"if-match": f'"{number - 1}"'} if number > 1 else {"if-none-match": "*"}
    return await api.ask("PUT", f"/v1/apps/{app}", token=await api.admin(tenant), body=envelope, headers=guard)


# --- preconditions ---------------------------------------------------------------------------------------------------


async def test_an_apply_is_confirmed_with_its_number_and_cause(api):
    await api.rig.add_site("oslo")
    answer = await _apply(api)
    assert (answer.status, answer.headers["etag"]) == (200, '"1"')
    assert answer.headers["skerry-cause"] == answer.json["cause"]
    shown = await api.ask("GET", "/v1/apps/shop", token=await api.admin())
    assert (shown.status, shown.headers["etag"], shown.json["summary"]["number"]) == (200, '"1"', 1)


async def test_428_without_412_when_stale_and_the_newest_number_in_the_etag(api):
    await api.rig.add_site("oslo")
    await _apply(api)
    envelope = await api.rig.sign_app("shop", 2)
    token = await api.admin()
    missing = await api.ask("PUT", "/v1/apps/shop", token=token, body=envelope)
    assert (missing.status, missing.code) == (428, "E-PRECONDITION")
    stale = await api.ask("PUT", "/v1/apps/shop", token=token, body=envelope, headers={"if-none-match": "*"})
    assert (stale.status, stale.code, stale.headers["etag"]) == (412, "E-STALE", '"1"')
    assert (await _apply(api, number=2)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"if-match": "1"},
        {"if-match": 'W/"1"'},
        {"if-match": '"1", "2"'},
        {"if-match": "*"},
        {"if-none-match": '"1"'},
        {"if-match": '"1"', "if-none-match": "*"},
        {"if-match": '"1"', "skerry-plan": "../x"},
        {"if-match": '"9999999999999999999999"'},
    ],
)
async def test_preconditions_that_cannot_be_read_are_malformed(api, headers):
    envelope = await api.rig.sign_app("shop", 1)
    answer = await api.ask("PUT", "/v1/apps/shop", token=await api.admin(), body=envelope, headers=headers)
    assert (answer.status, answer.code) == (400, "E-PRECONDITION")


async def test_an_apply_is_held_to_its_plan(api):
    await api.rig.add_site("oslo")
    envelope = await api.rig.sign_app("shop", 1)
    token = await api.admin()
    plan = await api.ask("POST", "/v1/apps/shop:plan", token=token, body=envelope.payload)
    assert plan.status == 200
    assert [(each["kind"], each["instance"]) for each in plan.json["changes"]] == [("add", "default/shop/web/0")]
    assert plan.json["pulls"][0]["site"] == "oslo"
    guard = {"if-none-match": "*", "skerry-plan": plan.json["plan"]}
    other = await api.rig.sign_app("shop", 1, working_dir="/x")
    assert (await api.ask("PUT", "/v1/apps/shop", token=token, body=other, headers=guard)).status == 422
    await _apply(api, "blog")
    moved = await api.ask("PUT", "/v1/apps/shop", token=token, body=envelope, headers=guard)
    assert (moved.status, moved.code) == (412, "E-STALE")
    fresh = await api.ask("POST", "/v1/apps/shop:plan", token=token, body=envelope.payload)
    guard["skerry-plan"] = fresh.json["plan"]
    assert (await api.ask("PUT", "/v1/apps/shop", token=token, body=envelope, headers=guard)).status == 200


async def test_a_plan_names_problems_and_changes_nothing(api):
    await api.rig.add_site("oslo")
    made = api.rig.revision("shop", 1, image=msgspec.structs.replace(await api.rig.push_image(), size_bytes=7))
    plan = await api.ask("POST", "/v1/apps/shop:plan", token=await api.admin(), body=made)
    assert [problem["code"] for problem in plan.json["problems"]] == ["E-IMAGE"]
    assert (await api.ask("GET", "/v1/apps/shop", token=await api.admin())).status == 404


async def test_bytes_come_with_their_length_from_an_offset_on_and_not_at_all_for_a_head(api):
    digest = await api.rig.put_blob(b"0123456789")
    token = await api.admin()
    for target, content in (
        (f"/v1/blobs/{digest}/content", b"0123456789"),
        (f"/v1/blobs/{digest}/content?offset=7", b"789"),
    ):
        whole = await api.ask("GET", target, token=token)
        assert (whole.status, whole.content, whole.headers["content-length"]) == (200, content, str(len(content)))
        assert whole.headers["content-type"] == "application/octet-stream"
        head = await api.ask("HEAD", target, token=token)
        assert (head.status, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    assert api.rig.core.readers.count == 0, "every reader has left its place"
    assert (await api.ask("GET", f"/v1/blobs/{digest}/content?offset=11", token=token)).status == 422


# --- who may ---------------------------------------------------------------------------------------------------------


async def test_without_a_good_token_every_operation_but_the_public_ones_is_401(api):
    good = await api.admin()
    for operation in OPERATIONS:
        if operation.audience == "public" or operation.style == "socket":
            continue
        for token in ("", "skt_x", good[:-1] + ("a" if good[-1] != "a" else "b"), good.replace("skt_", "skj_")):
            answer = await api.ask(operation.method, _fill(operation), token=token)
            assert (answer.status, answer.code) == (401, "E-CREDENTIAL"), operation.name
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_role_grants_exactly_what_the_table_says(api):
    roles = [("viewer", ""), ("deployer", ""), ("admin", ""), ("", "viewer"), ("", "operator")]
    for tenant_role, operator_role in roles:
        token = await api.token("default" if tenant_role else "", tenant_role, operator_role)
        for operation in OPERATIONS:
            if operation.audience == "public" or operation.style in ("socket", "events"):
                continue
            answer = await api.ask(operation.method, _fill(operation), token=token)
            allowed = is_allowed(operation, tenant_role, operator_role)
            refused = answer.status == 403 and answer.code == "E-ROLE"
            assert refused is not allowed, (operation.name, tenant_role, operator_role, answer.status)


async def test_a_revoked_or_ended_token_is_a_strangers(api):
    admin = await api.admin()
    made = await api.ask(
        "POST", "/v1/tokens", token=admin, body={"name": "ci", "tenant_role": "viewer", "lifetime_s": 60}
    )
    assert (made.status, made.json["view"]["state"]) == (201, "live")
    token = made.json["token"]
    assert (await api.ask("GET", "/v1/apps", token=token)).status == 200
    await api.rig.clock.advance(61_000_000)
    assert (await api.ask("GET", "/v1/apps", token=token)).status == 401
    assert (await api.ask("DELETE", f"/v1/tokens/{made.json['view']['token_id']}", token=admin)).json[
        "state"
    ] == "revoked"


async def test_nobody_makes_a_token_that_may_more_than_their_own(api):
    admin = await api.admin()
    for body in (
        {"name": "x", "operator_role": "viewer"},
        {"name": "x", "tenant_role": "admin", "operator_role": "operator"},
    ):
        assert (await api.ask("POST", "/v1/tokens", token=admin, body=body)).status == 403
    operator = await api.operator()
    assert (
        await api.ask("POST", "/v1/tokens", token=operator, body={"name": "x", "tenant_role": "viewer"})
    ).status == 403
    body = {"name": "x", "tenant_role": "", "operator_role": "viewer"}
    assert (await api.ask("POST", "/v1/tokens", token=operator, body=body)).status == 201


# --- tenants apart ---------------------------------------------------------------------------------------------------


def _fill(operation: Operation, /, **known: str) -> str:
    """Return a target with every parameter filled in."""
    values = {
        "app": "shop",
        "site": "oslo",
        "node": "n1",
        "service": "web",
        "ordinal": "0",
        "secret": "pw",
        "profile": "modems",
        "digest": digest_of(b"nothing"),
        "number": "1",
        "operation": "0" * 26,
        "request": "0" * 26,
        "token": "aaaaaaaaaa",
        "user": "ada",
        "area": "harbour",
        "network": "mesh",
        "chain": "out",
        "user_group": "pilots",
    } | known
    queries = {
        "follow_events": "?follow=false",
        "list_scrape_targets": "?target=core:443",
        "read_use_history": "?site=rome",
        "put_blob": "?size=1",
    }
    query = queries.get(operation.name, "")
    return operation.path.format(**values) + query


async def _furnish(api: Api) -> dict[str, str]:
    """Give tenant ``other`` one of everything, at a site of its own and at a shared one; return what to ask for."""
    rig = api.rig
    for name, tenants in (("oslo", ("other",)), ("rome", ("default", "other"))):
        modems = Profile(tenants=("other",), devices=("/dev/ttyUSB*",))
        site = await rig.add_site(name, tenants=tenants, profiles={"modems": modems})
        await site.connect()
    applied = await rig.apply("shop", 1, tenant="other")
    await rig.plan()
    await site.fetch()
    await site.report_ready()
    await site.report(VolumeFact(volume=VolumeId("other/shop/data"), born=1))
    await site.send(1, tenant="other", subject="instance/other/shop/web/0")
    sealed = Secret(tenant="other", name="pw", number=1, content=b"c", boxes={"00" * 20: b"b"})
    other = await api.admin("other")
    guard = {"if-none-match": "*"}
    put = await api.ask(
        "PUT", "/v1/secrets/pw", token=other, body=sign("secret", sealed, key("deploy other")), headers=guard
    )
    assert put.status == 200
    made = await api.ask("POST", "/v1/tokens", token=other, body={"name": "x"})
    image = await rig.push_image(tenant="other")
    assert (await api.ask("POST", "/v1/users", token=other, body={"name": "eve"})).status == 201
    assert (await api.ask("POST", f"/v1/images/{image.digest}/seed", token=other, body={})).status == 200
    return {
        "user": "eve",
        "operation": applied.operation,
        "token": made.json["view"]["token_id"],
        "digest": image.digest,
    }


def _generalise(answer) -> tuple[int, object]:
    problem = answer.json
    problem.pop("instance", None)
    return answer.status, problem


async def test_every_route_shows_a_foreign_tenant_exactly_what_it_shows_of_nothing(api):
    known = await _furnish(api)
    mine = await api.admin("default")
    missing = {
        "app": "nothing",
        "site": "nowhere",
        "node": "n7",
        "service": "none",
        "ordinal": "7",
        "secret": "none",
        "profile": "none",
        "digest": digest_of(b"none"),
        "number": "7",
        "operation": "1" * 26,
        "token": "bbbbbbbbbb",
        "user": "nobody",
        "area": "none",
        "network": "none",
        "chain": "none",
        "user_group": "none",
    }
    compared = 0
    for operation in OPERATIONS:
        if not operation.parameters or operation.style in ("socket", "upload") or operation.body is not None:
            continue
        if not is_allowed(operation, "admin", "") or not operation.built:
            continue
        guard = {"if-match": '"1"'} if operation.guarded else {}
        foreign = await api.ask(operation.method, _fill(operation, **known), token=mine, headers=guard)
        nothing = await api.ask(operation.method, _fill(operation, **missing), token=mine, headers=guard)
        assert _generalise(foreign) == _generalise(nothing), operation.name
        assert foreign.status == 404, operation.name
        compared += 1
    assert compared >= 16


async def test_listings_and_counts_hold_nothing_of_a_foreign_tenant(api):
    await _furnish(api)
    mine, theirs = await api.admin("default"), await api.admin("other")
    for operation in OPERATIONS:
        if operation.parameters or operation.method != "GET" or operation.audience == "public" or not operation.built:
            continue
        if operation.style == "socket" or operation.name == "watch" or not is_allowed(operation, "admin", ""):
            continue
        answer = await api.ask("GET", _fill(operation), token=mine)
        assert answer.status == 200, operation.name
        for word in (b"other", b"shop", b"oslo", b"data"):
            assert word not in answer.content, (operation.name, word, answer.content)
    site = await api.ask("GET", "/v1/sites/rome", token=mine)
    assert b"other" not in site.content.replace(b"/other", b"")
    assert (site.json["instances"], site.json["summary"]["instances"]) == ([], 0)
    assert b"shop" in (await api.ask("GET", "/v1/instances", token=theirs)).content


async def test_a_site_record_names_other_tenants_only_to_operators_and_its_own_nodes(api):
    await _furnish(api)
    operator = await api.ask("GET", "/v1/sites/rome", token=await api.operator())
    assert operator.json["tenants"] == ["default", "other"]
    assert operator.json["instances"] == [], "an operator reads the platform, not a tenant's content"


async def test_a_tenant_cannot_change_what_is_anothers(api):
    await _furnish(api)
    mine = await api.admin("default")
    before = await api.ask("GET", "/v1/apps/shop", token=await api.admin("other"))
    for target, body in (
        ("/v1/apps/shop:pause", None),
        ("/v1/apps/shop:resume", None),
        ("/v1/apps/shop:restart", {}),
    ):
        assert (await api.ask("POST", target, token=mine, body=body)).status == 404
    foreign = await api.rig.sign_app("shop", 2, tenant="other")
    answer = await api.ask("PUT", "/v1/apps/shop", token=mine, body=foreign, headers={"if-none-match": "*"})
    assert answer.status == 422
    after = await api.ask("GET", "/v1/apps/shop", token=await api.admin("other"))
    assert after.json["summary"] == before.json["summary"]


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/v1/nothing",
        "/v1/apps/Shop",
        "/v1/apps/..",
        "/v1/apps/../tokens",
        "/v1/apps/shop:explode",
        "/v1/apps/" + "a" * 64,
        "/v1/apps/shop/revisions/0",
        "/v1/apps/shop/revisions/-1",
        "/v1/images/sha256:zz",
        "/v1/apps/shop\x00",
        "/v1/apps/" + "x" * 10_000,
    ],
)
async def test_unknown_paths_and_hostile_names_read_like_missing_things(api, target):
    missing = await api.ask("GET", "/v1/apps/nothing", token=await api.admin())
    answer = await api.ask("GET", target, token=await api.admin())
    assert _generalise(answer) == _generalise(missing)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_other_methods_read_like_missing_things(api):
    for method in ("PATCH", "OPTIONS", "DELETE", "TRACE", "BREW"):
        answer = await api.ask(method, "/v1/apps", token=await api.admin())
        assert (answer.status, answer.code) == (404, "E-NOT-FOUND"), method


async def test_head_is_get_without_a_body(api):
    answer = await api.ask("HEAD", "/v1/apps", token=await api.admin())
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "E-MALFORMED"),
        (b"{", 400, "E-MALFORMED"),
        (b"\xff\xfe", 400, "E-MALFORMED"),
        (b"[" * 100_000, 422, "E-FIELD"),
        (b"[]", 422, "E-FIELD"),
        (b'{"name": 1}', 422, "E-FIELD"),
        (b'{"name": "x", "colour": "red"}', 422, "E-FIELD"),
        (b'{"name": "Not A Name"}', 422, "E-FIELD"),
        (b'{"name": "x", "lifetime_s": -1}', 422, "E-FIELD"),
        (b'{"name": "x", "tenant_role": "king"}', 422, "E-FIELD"),
        (b"x" * (1024 * 1024 + 1), 413, "E-TOO-LARGE"),
    ],
)
async def test_garbage_bodies_are_refused_and_located(api, body, status, code):
    token = await api.admin()
    before = await api.ask("GET", "/v1/tokens", token=token)
    answer = await api.ask("POST", "/v1/tokens", token=token, body=body)
    assert (answer.status, answer.code) == (status, code)
    assert (await api.ask("GET", "/v1/tokens", token=token)).json == before.json


async def test_a_wrong_field_is_pointed_at(api):
    answer = await api.ask("POST", "/v1/tokens", token=await api.admin(), body=b'{"name": "x", "lifetime_s": "y"}')
    assert [error["pointer"] for error in answer.json["errors"]] == ["/lifetime_s"]


@pytest.mark.parametrize(
    "query",
    ["page_size=0", "page_size=x", "page_size=1&page_size=2", "colour=red", "page_token=%ff", "page_token=zzz", "a"],
)
async def test_garbage_queries_are_refused(api, query):
    answer = await api.ask("GET", f"/v1/apps?{query}", token=await api.admin())
    assert answer.status in (400, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"type": "x", "payload": "!", "signatures": []}',
        b'{"type": "x", "payload": "", "signatures": [], "more": 1}',
        msgspec.json.encode({"type": "application/vnd.skerry.revision.v1+json", "payload": "e30=", "signatures": []}),
    ],
)
async def test_garbage_envelopes_change_nothing(api, body):
    guard = {"if-none-match": "*"}
    answer = await api.ask("PUT", "/v1/apps/shop", token=await api.admin(), body=body, headers=guard)
    assert answer.status in (400, 422)
    assert (await api.ask("GET", "/v1/apps/shop", token=await api.admin())).status == 404


async def test_a_body_where_there_is_none_and_a_lying_length_are_refused(api):
    token = await api.admin()
    assert (await api.ask("GET", "/v1/apps", token=token, body=b"{}")).status == 413
    lying = {"content-length": str(10**12)}
    assert (await api.ask("POST", "/v1/tokens", token=token, body=b"{}", headers=lying)).status == 413


async def test_an_endless_body_is_cut_off_at_the_limit(api):
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    answer, task, _ = api.begin("POST", "/v1/tokens", token=await api.admin(), body=pieces)
    for _ in range(17):
        pieces.put_nowait(b"x" * 65536)
    await answer.started.wait()
    assert answer.status == 413
    await task


async def test_a_body_that_stands_still_is_given_up(api):
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    answer, task, _ = api.begin("POST", "/v1/tokens", token=await api.admin(), body=pieces)
    pieces.put_nowait(b"{")
    await api.rig.clock.advance(31_000_000)
    await answer.started.wait()
    assert answer.status == 408
    await task


class BrokenService(Service):
    async def list_apps(self, caller, *, query):
        raise ZeroDivisionError("secret detail")


async def test_a_defect_is_told_with_its_cause_and_without_its_details(api):
    api.app = make_app(api.rig.core, BrokenService(api.rig.core))
    answer = await api.ask("GET", "/v1/apps", token=await api.admin())
    assert (answer.status, answer.code) == (500, "E-BROKEN")
    assert answer.json["cause"]
    assert b"secret detail" not in answer.content


async def test_what_is_not_built_is_refused_by_name(api):
    answer = await api.ask("GET", "/v1/leases", token=await api.admin())
    assert (answer.status, answer.code) == (501, "E-NOT-YET")
    assert "list_leases" in answer.json["detail"]


# --- uploads ---------------------------------------------------------------------------------------------------------


async def test_an_upload_goes_on_where_it_was_cut(api):
    content = b"layer" * 50_000
    digest, token = digest_of(content), await api.admin()
    target = f"/v1/blobs/{digest}"
    assert (await api.ask("GET", target, token=token)).status == 404
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    _, task, _ = api.begin("PUT", f"{target}?size={len(content)}", token=token, body=pieces)
    pieces.put_nowait(content[:100_000])
    await api.rig.clock.advance(61_000_000)
    await task
    state = (await api.ask("GET", target, token=token)).json
    assert (state["have_bytes"], state["complete"]) == (100_000, False)
    assert (await api.ask("GET", target, token=await api.admin("other"))).status == 404
    wrong = await api.ask("PUT", f"{target}?size={len(content)}&offset=5", token=token, body=content[5:])
    assert (wrong.status, wrong.code) == (409, "E-OFFSET")
    rest = f"{target}?size={len(content)}&offset=100000"
    done = await api.ask("PUT", rest, token=token, body=content[100_000:])
    assert (done.status, done.json["complete"]) == (200, True)
    assert (await api.ask("PUT", f"{target}?size={len(content)}", token=token, body=b"")).json["complete"]


async def test_a_layer_of_many_megabytes_is_taken(api):
    content = bytes(20_000_000)
    answer = await api.ask(
        "PUT", f"/v1/blobs/{digest_of(content)}?size={len(content)}", token=await api.admin(), body=content
    )
    assert (answer.status, answer.json["complete"]) == (200, True)


async def test_other_bytes_than_the_digest_names_are_refused(api):
    digest, token = digest_of(b"right"), await api.admin()
    answer = await api.ask("PUT", f"/v1/blobs/{digest}?size=5", token=token, body=b"wrong")
    assert (answer.status, answer.code) == (422, "E-DIGEST")
    assert not (await api.ask("GET", f"/v1/blobs/{digest}", token=token)).json["complete"]
    more = await api.ask("PUT", f"/v1/blobs/{digest}?size=5", token=token, body=b"right and more")
    assert more.status == 413


# --- events ----------------------------------------------------------------------------------------------------------


async def test_events_resume_by_id_and_end_when_not_followed(api):
    await api.rig.add_site("oslo")
    for number in (1, 2, 3):
        await _apply(api, number=number, working_dir=f"/{number}")
    token = await api.admin()
    whole = await api.ask("GET", "/v1/events?follow=false", token=token)
    assert whole.headers["content-type"].startswith("text/event-stream")
    ids = [line for line in whole.content.decode().splitlines() if line.startswith("id: ")]
    assert len(ids) == 3
    headers = {"last-event-id": ids[1].removeprefix("id: ")}
    rest = await api.ask("GET", "/v1/events?follow=false", token=token, headers=headers)
    assert [line for line in rest.content.decode().splitlines() if line.startswith("id: ")] == ids[2:]
    event = msgspec.json.decode(rest.content.split(b"data: ")[1].split(b"\n")[0])
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "dev.skerry.app.apply.v1", "/core")
    bad = await api.ask("GET", "/v1/events", token=token, headers={"last-event-id": "x"})
    assert bad.status == 400


async def test_a_followed_stream_goes_on_and_gives_signs_of_life(api):
    await api.rig.add_site("oslo")
    answer, task, gone = api.begin("GET", "/v1/events", token=await api.admin())
    assert await answer.pieces.get() == b": connected\n\n"
    await _apply(api)
    assert (await answer.pieces.get()).startswith(b"id: ")
    await api.rig.clock.advance(16_000_000)
    assert await answer.pieces.get() == b": alive\n\n"
    gone.set()
    task.cancel()
    await asyncio.wait([task])


async def test_a_stream_ends_when_its_token_does(api):
    admin = await api.admin()
    made = await api.ask("POST", "/v1/tokens", token=admin, body={"name": "x"})
    answer, task, _ = api.begin("GET", "/v1/events", token=made.json["token"])
    assert await answer.pieces.get() == b": connected\n\n"
    await api.ask("DELETE", f"/v1/tokens/{made.json['view']['token_id']}", token=admin)
    await api.rig.clock.advance(16_000_000)
    pieces = []
    while (piece := await answer.pieces.get()) is not None:
        pieces.append(piece)
    assert b"E-CREDENTIAL" in pieces[-1]
    await task


async def test_an_id_older_than_the_log_asks_to_list_again(api):
    await api.rig.add_site("oslo")
    for number in (1, 2, 3):
        await _apply(api, number=number, working_dir=f"/{number}")
    await api.rig.core.db.run(lambda c: trim_events(c, 1))
    answer = await api.ask("GET", "/v1/events?follow=false&after=1", token=await api.admin())
    assert b"event: reset" in answer.content


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_built_operation_has_its_method_and_no_other_argument():
    check_complete(Service)
    assert list_arguments(find_operation("apply_app")) == ("app", "body", "expect")


def test_an_operation_without_a_permission_that_makes_sense_keeps_the_core_from_starting():
    good = find_operation("list_apps")
    for words in ({"permission": "public"}, {"audience": "public"}, {"permission": "fly"}):
        with pytest.raises(Broken):
            check_permissions((msgspec.structs.replace(good, **words),))


async def test_health_and_version_are_public(api):
    for target in ("/livez", "/readyz", "/version", "/openapi.json", "/schemas/app.json", "/v1/roots"):
        assert (await api.ask("GET", target)).status == 200
    assert (await api.ask("GET", "/readyz")).json["checks"]["root"] == "ok"
