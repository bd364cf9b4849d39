import httpx2
import pytest
import stamina
from tests.sdk.test_client import MORE, URL, event, give, problem, stream, version

from skerry.model.asks import EventQuery, LogQuery
from skerry.sdk import errors
from skerry.sdk.async_client import AsyncClient


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=5):
        yield


def make_client(answer):
    async def handle(request):
        await request.aread()
        found = answer(request)
        if isinstance(found, Exception):
            raise found
        return found

    return AsyncClient(URL, "skt_x", transport=httpx2.MockTransport(handle))


def astream(response):
    """An answer whose body an asynchronous client may read."""

    async def content():
        for part in response.stream:
            yield part

    return httpx2.Response(response.status_code, headers=response.headers, content=content())


async def test_requests_retries_and_refusals_are_those_of_the_plain_client():
    async with make_client(give(httpx2.ConnectError("down"), version)) as client:
        assert (await client.core.show_version()).format == 1
    async with make_client(lambda _: problem(404)) as client:
        with pytest.raises(errors.NotFound):
            await client.sites.show("oslo")


async def test_a_change_whose_answer_was_lost_is_sent_again_under_the_same_key():
    keys = []

    def answer(request):
        keys.append(request.headers["Idempotency-Key"])
        done = httpx2.Response(200, json={"app": "shop", "cause": "c", "event_id": 1} | MORE)
        return httpx2.ReadError("cut") if len(keys) < 3 else done

    async with make_client(answer) as client:
        assert (await client.apps.pause("shop")).event_id == 1
    assert (len(keys), len(set(keys))) == (3, 1)


async def test_events_resume():
    answers = give(astream(stream(event(5), cut=True)), astream(stream(event(6))))
    async with make_client(answers) as client:
        assert [item.id async for item in client.events(EventQuery(follow=False))] == ["5", "6"]


async def test_pages_and_lines():
    row = {"tenant": "a", "deploy_keys": {"keys": []}, "created_us": 1}
    page = httpx2.Response(200, json={"items": [row]})
    line = '{"site":"oslo","service":"web","ordinal":0,"stream":"stdout","text":"x"}\n'
    async with make_client(give(page, astream(stream(line)))) as client:
        assert [tenant.tenant async for tenant in client.tenants.list()] == ["a"]
        assert [each.text async for each in client.logs("shop", LogQuery())] == ["x"]


async def test_uploads():
    def state(have, complete=False):
        return httpx2.Response(200, json={"digest": "d", "have_bytes": have, "complete": complete})

    async with make_client(give(state(2), state(4, True))) as client:
        done = await client.upload_blob("sha256:" + "0" * 64, 4, lambda offset: iter([b"abcd"[offset:]]))
        assert done.complete
