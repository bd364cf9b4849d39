"""``/v1/watch``: the newest state of what changes, to whoever may see it, and a flood told as one word."""

import asyncio
import gzip

import msgspec
from tests.api.http import Api

from skerry.core import platform
from skerry.model.limits import READER_STALL_US_MAX

STEP_S = 0.01


class Screen:
    """Reads one watch."""

    def __init__(self, api: Api, token: str, query: str = "") -> None:
        self._api = api
        self.answer, self._task, self._gone = api.begin("GET", f"/v1/watch{query}", token=token)
        self._text = b""

    async def next(self) -> tuple[str, dict]:
        """Return the next event's name and data, turning the clock while nothing comes."""
        while b"\n\n" not in self._text:
            try:
                piece = await asyncio.wait_for(self.answer.pieces.get(), STEP_S)
            except TimeoutError:
                await self._api.rig.clock.advance(250_000)
                continue
            assert piece is not None, "the watch has ended"
            self._text += piece
        frame, _, self._text = self._text.partition(b"\n\n")
        lines = dict(line.split(": ", 1) for line in frame.decode().split("\n") if not line.startswith(":"))
        return (lines["event"], msgspec.json.decode(lines["data"])) if lines else await self.next()

    async def close(self) -> None:
        self._gone.set()
        self._task.cancel()
        await asyncio.wait([self._task])


async def test_first_list_then_hear_of_each_change(api):
    oslo = await api.rig.add_site("oslo")
    screen = Screen(api, await api.admin())
    assert await screen.next() == ("reset", {})
    await oslo.connect()
    event, delta = await screen.next()
    assert (event, delta["kind"], delta["name"], delta["site"]["state"]) == ("delta", "site", "oslo", "online")
    await api.rig.apply("shop")
    await api.rig.plan()
    told = [await screen.next() for _ in range(2)]
    assert {(delta["kind"], delta["name"]) for _, delta in told} == {("site", "oslo"), ("app", "shop")}
    app = next(delta["app"] for _, delta in told if delta["kind"] == "app")
    assert (app["wanted"], app["ready"]) == (1, 0)
    await oslo.fetch()
    await oslo.report_ready()
    seen = {}
    while seen.get("shop") != 1:
        _, delta = await screen.next()
        seen[delta["name"]] = (delta.get("app") or delta.get("site"))["ready"]
    await screen.close()


async def test_t27_a_tenant_hears_nothing_of_foreign_sites_and_apps(api):
    await api.rig.add_site("theirs", tenants=("other",))
    await api.rig.add_site("ours", tenants=("default",))
    screen = Screen(api, await api.admin())
    assert (await screen.next())[0] == "reset"
    api.rig.core.changes.touch("theirs", "gone", ("other", "shop"), ("default", "never-was"), "ours")
    _, delta = await screen.next()
    assert delta["name"] == "ours"
    await screen.close()


async def test_an_operator_hears_that_a_site_is_gone(api):
    await api.rig.add_site("oslo")
    screen = Screen(api, await api.operator(), "?kinds=site")
    assert (await screen.next())[0] == "reset"
    removed = await api.ask("DELETE", "/v1/sites/oslo", token=await api.operator(), headers={"if-match": '"1"'})
    assert removed.status == 200
    assert await screen.next() == ("delta", {"kind": "site", "name": "oslo", "site": None, "app": None, "links": None})
    await screen.close()


async def test_a_flood_of_changes_is_one_word(api):
    screen = Screen(api, await api.operator())
    assert (await screen.next())[0] == "reset"
    api.rig.core.changes.touch(*(f"site-{number}" for number in range(platform._WATCHED_MAX + 1)))
    assert await screen.next() == ("reset", {})
    await screen.close()


async def test_an_ended_token_ends_the_watch(api):
    made = await api.ask("POST", "/v1/tokens", token=await api.admin(), body={"name": "screen"})
    screen = Screen(api, made.json["token"])
    assert (await screen.next())[0] == "reset"
    await api.ask("DELETE", f"/v1/tokens/{made.json['view']['token_id']}", token=await api.admin())
    api.rig.core.changes.touch("oslo")
    event, data = await screen.next()
    assert (event, data["code"]) == ("end", "E-CREDENTIAL")
    await screen.close()


async def test_a_reader_that_takes_nothing_is_cut_off_and_its_place_is_free(api):
    answer, task, _ = api.begin("GET", "/v1/watch", token=await api.admin())
    answer.has_room.clear()
    await answer.started.wait()
    assert api.rig.core.readers.count == 1
    while not task.done():
        await api.rig.clock.advance(READER_STALL_US_MAX)
        await asyncio.sleep(0)
    assert (task.cancelled(), answer.pieces.qsize(), api.rig.core.readers.count) == (False, 0, 0)
    assert task.exception() is None


async def test_the_map_is_an_array_per_site_and_packed(api):
    oslo = await api.rig.add_site("oslo", latitude_udeg=59_913_000, longitude_udeg=10_752_000)
    await api.rig.add_site("theirs", tenants=("other",))
    await oslo.connect()
    await oslo.fetch()
    await oslo.report_ready()
    token = await api.admin()
    plain = await api.ask("GET", "/v1/sites:map", token=token)
    assert plain.json == {"points": [["oslo", 10_752_000, 59_913_000, "online", True]]}
    packed = await api.ask("GET", "/v1/sites:map", token=token, headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content


async def test_the_newest_events_first_when_a_tail_is_asked_for(api):
    oslo = await api.rig.add_site("oslo")
    await oslo.connect()
    await oslo.send(1, 2, 3, 4, tenant="default", type="instance.started")
    answer = await api.ask("GET", "/v1/events?follow=false&tail=2&site=oslo", token=await api.admin())
    frames = [frame for frame in answer.content.decode().split("\n\n") if frame.startswith("id:")]
    found = [msgspec.json.decode(frame.split("data: ")[1])["sequence"] for frame in frames]
    assert found == [3, 4]
    none = await api.ask("GET", "/v1/events?follow=false&tail=2&site=bergen", token=await api.admin())
    assert b"data:" not in none.content
