"""``Idempotency-Key``: a change is done once, its answer given again, and a key means one request only."""

import asyncio

import pytest
from tests.api.http import Api
from tests.conftest import BOTH
from tests.core.cores import Rig
from tests.store.stores import fresh_db

from skerry.core import once
from skerry.core.refusals import Clash
from skerry.store import answers

pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)

KEY = {"idempotency-key": "01JQ8Z"}


@pytest.fixture
async def api(database: object):
    rig = await Rig(fresh_db()).begin()
    yield Api(rig)
    await rig.close()


async def count_tokens(api: Api) -> int:
    answer = await api.ask("GET", "/v1/tokens?page_size=1000", token=await api.admin())
    return len(answer.json["items"])


async def test_the_same_request_gets_the_same_answer_and_is_done_once(api):
    token, body = await api.admin(), {"name": "ci"}
    before = await count_tokens(api)
    first = await api.ask("POST", "/v1/tokens", token=token, body=body, headers=KEY)
    again = await api.ask("POST", "/v1/tokens", token=token, body=body, headers=KEY)
    assert (first.status, again.status) == (201, 201)
    assert again.content == first.content
    assert "token" in first.json
    assert await count_tokens(api) == before + 1
    other = await api.ask("POST", "/v1/tokens", token=token, body=body, headers={"idempotency-key": "another"})
    assert other.json["token"] != first.json["token"]


async def test_a_guarded_change_whose_answer_was_lost_is_confirmed_and_not_stale(api):
    await api.rig.add_site("oslo")
    envelope, token = await api.rig.sign_app("shop", 1), await api.admin()
    headers = KEY | {"if-none-match": "*"}
    first = await api.ask("PUT", "/v1/apps/shop", token=token, body=envelope, headers=headers)
    again = await api.ask("PUT", "/v1/apps/shop", token=token, body=envelope, headers=headers)
    assert (again.status, again.headers["etag"], again.content) == (200, '"1"', first.content)
    assert again.headers["skerry-cause"] == first.headers["skerry-cause"]


@pytest.mark.parametrize(
    ("target", "body", "headers"),
    [
        ("/v1/tokens", {"name": "other"}, {}),
        ("/v1/images", {"name": "web", "digest": "sha256:" + "0" * 64}, {}),
    ],
)
async def test_the_same_key_for_another_request_is_422(api, target, body, headers):
    token = await api.admin()
    await api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
    answer = await api.ask("POST", target, token=token, body=body, headers=KEY | headers)
    assert (answer.status, answer.code) == (422, "E-KEY-REUSED")


async def test_a_key_belongs_to_its_credential(api):
    body = {"name": "ci"}
    mine = await api.ask("POST", "/v1/tokens", token=await api.admin(), body=body, headers=KEY)
    theirs = await api.ask("POST", "/v1/tokens", token=await api.admin("other"), body=body, headers=KEY)
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json["view"]["tenant"] != theirs.json["view"]["tenant"]
    assert mine.json["token"] != theirs.json["token"]


async def test_a_refusal_is_judged_anew(api):
    token = await api.admin()
    first = await api.ask("POST", "/v1/apps/shop:restart", token=token, body={}, headers=KEY)
    assert first.status == 404
    await api.rig.add_site("oslo")
    await api.rig.apply("shop")
    assert (await api.ask("POST", "/v1/apps/shop:restart", token=token, body={}, headers=KEY)).status == 200


async def test_of_two_at_once_one_does_it_and_the_other_gets_its_answer(api):
    token = await api.admin()
    before = await count_tokens(api)
    both = await asyncio.gather(
        *(api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY) for _ in range(5))
    )
    assert {(answer.status, answer.content) for answer in both} == {(201, both[0].content)}
    assert await count_tokens(api) == before + 1


async def test_one_that_takes_too_long_is_409_for_the_others(api):
    token = await api.admin()
    reading = await api.ask("GET", "/v1/session", token=token)
    held = once.name_change("default", reading.json["token_id"], token, KEY["idempotency-key"], [b"first"])
    async with api.rig.core.repeats.hold(held):
        _, task, _ = waiting = api.begin("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
        for _ in range(20):
            await asyncio.sleep(0)
        await api.rig.clock.advance(once.WAIT_US)
        await task
    assert waiting[0].status == 409
    assert b"E-KEY-BUSY" in await waiting[0].pieces.get()


async def test_a_change_whose_answer_was_lost_with_the_core_is_not_done_again(api):
    token = await api.admin()
    await api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
    count = await count_tokens(api)
    (row,) = await api.rig.core.db.read(_names)
    await api.rig.core.db.run(lambda c: answers.record_answer(c, "default", row, b""))
    answer = await api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
    assert (answer.status, answer.code) == (409, "E-ANSWER-LOST")
    assert await count_tokens(api) == count


async def test_a_kept_answer_ends_after_a_day(api):
    token = await api.admin()
    first = await api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
    await api.rig.clock.advance(once.KEPT_US + 1)
    again = await api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
    assert (again.status, again.content != first.content) == (201, True)


async def test_what_is_shown_once_does_not_stand_readable_in_the_store(api):
    token = await api.admin()
    made = await api.ask("POST", "/v1/tokens", token=token, body={"name": "ci"}, headers=KEY)
    rows = await api.rig.core.db.read(_answers)
    assert len(rows) == 1
    assert rows[0]
    assert made.json["token"].encode() not in rows[0]
    assert b"skt_" not in rows[0]


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "ä"])
async def test_a_key_that_is_none_is_400(api, key):
    answer = await api.ask(
        "POST", "/v1/tokens", token=await api.admin(), body={"name": "ci"}, headers={"idempotency-key": key}
    )
    assert (answer.status, answer.code) == (400, "E-HEADER")


async def test_a_dry_run_needs_no_key_and_a_read_heeds_none(api):
    token = await api.admin()
    assert (await api.ask("GET", "/v1/apps", token=token, headers=KEY)).status == 200
    assert (await api.ask("GET", "/v1/tokens", token=token, headers=KEY)).status == 200
    assert not await api.rig.core.db.read(_answers)


async def test_a_repetition_that_another_core_has_done_meanwhile_is_refused(database):
    db = fresh_db()
    named = once.name_change("default", "id", "token", "key", [b"body"])
    await db.run(lambda c: once.record_once(c, named, 5))
    with pytest.raises(Clash) as refused:
        await db.run(lambda c: once.record_once(c, named, 6))
    assert refused.value.code == "E-KEY-BUSY"
    await db.close()


def _answers(connection):
    return [bytes(row.answer) for row in connection.execute(answers.select(answers.ANSWERS))]


def _names(connection):
    return [row.name for row in connection.execute(answers.select(answers.ANSWERS))]
