"""A browser's session: a cookie is as good as its token, for our own pages only."""

import pytest
from tests.api.http import Api, Conversation

from skerry.api import browser
from skerry.api.app import SESSION
from skerry.model.errors import NotAllowed

PAGE = {"skerry-console": "1", "sec-fetch-site": "same-origin", "host": "core:7710", "origin": "http://core:7710"}


async def _login(api: Api, token: str, headers: dict[str, str] = PAGE):
    return await api.ask("POST", SESSION, body={"token": token}, headers=headers)


async def test_a_token_begins_a_session_that_scripts_cannot_read(api):
    token = await api.admin()
    answer = await _login(api, token)
    assert (answer.status, answer.content) == (204, b"")
    cookie = answer.headers["set-cookie"]
    assert cookie == f"skerry_session={token}; Path=/v1; HttpOnly; SameSite=Strict"
    shown = await api.ask("GET", "/v1/session", headers=PAGE | {"cookie": f"a=b; skerry_session={token}"})
    assert (shown.status, shown.json["tenant"], shown.json["tenant_role"]) == (200, "default", "admin")


async def test_behind_tls_the_cookie_goes_over_tls_only(api):
    answer = await _login(api, await api.admin(), PAGE | {"origin": "https://core:7710"})
    assert "; Secure" in answer.headers["set-cookie"]


async def test_leaving_takes_the_cookie_away(api):
    answer = await api.ask("DELETE", SESSION, headers=PAGE)
    assert answer.status == 204
    assert answer.headers["set-cookie"] == "skerry_session=; Path=/v1; HttpOnly; SameSite=Strict; Max-Age=0"


@pytest.mark.parametrize("body", [b"{}", b'{"token":""}', b'{"token":"skt_x"}', b"token", b'{"token":"a\\r\\nb: c"}'])
async def test_no_session_without_a_good_token(api, body):
    answer = await api.ask("POST", SESSION, body=body, headers=PAGE)
    assert answer.status in (400, 401, 422)
    assert "set-cookie" not in answer.headers


async def test_a_large_login_is_not_read(api):
    answer = await api.ask("POST", SESSION, body=b'{"token":"' + b"a" * 5_000 + b'"}', headers=PAGE)
    assert answer.status == 413


@pytest.mark.parametrize(
    "headers",
    [
        PAGE | {"sec-fetch-site": "cross-site"},
        PAGE | {"sec-fetch-site": "same-site"},
        PAGE | {"sec-fetch-site": "none"},
        {"skerry-console": "1", "host": "core:7710", "origin": "http://evil:7710"},
        {"skerry-console": "1", "host": "core:7710", "origin": "http://core:7711"},
        {"skerry-console": "1", "host": "core:7710", "origin": "null"},
        {"sec-fetch-site": "same-origin", "host": "core:7710", "origin": "http://core:7710"},
    ],
)
async def test_t36_foreign_pages_cannot_use_or_make_a_session(api, headers):
    token = await api.admin()
    await api.rig.add_site("oslo")
    await api.rig.apply("shop")
    cookie = {"cookie": f"skerry_session={token}"}
    assert (await _login(api, token, headers)).code == "E-ORIGIN"
    paused = await api.ask("POST", "/v1/apps/shop:pause", headers=headers | cookie)
    assert (paused.status, paused.code) == (403, "E-ORIGIN")
    shown = await api.ask("GET", "/v1/apps/shop", token=token)
    assert shown.json["summary"]["state"] == "run"


async def test_a_read_needs_no_header_because_an_event_source_has_none(api):
    cookie = {"cookie": f"skerry_session={await api.admin()}", "host": "core:7710"}
    assert (await api.ask("GET", "/v1/session", headers=cookie)).status == 200
    assert (await api.ask("GET", "/v1/session", headers=cookie | {"sec-fetch-site": "same-site"})).status == 403


async def test_an_authorization_header_wins_over_the_cookie(api):
    cookie = {"cookie": f"skerry_session={await api.admin()}", "sec-fetch-site": "cross-site"}
    answer = await api.ask("GET", "/v1/session", token=await api.operator(), headers=cookie)
    assert (answer.status, answer.json["operator_role"], answer.json["tenant_role"]) == (200, "operator", "")


async def test_an_ended_token_ends_its_session(api):
    token = await api.admin()
    identity = token.split("_")[1]
    cookie = PAGE | {"cookie": f"skerry_session={token}"}
    assert (await api.ask("DELETE", f"/v1/tokens/{identity}", headers=cookie)).status == 200
    assert (await api.ask("GET", "/v1/session", headers=cookie)).status == 401


async def test_t36_a_socket_takes_no_cookie_so_no_foreign_page_can_open_one(api):
    await api.rig.add_site("oslo")
    await api.rig.apply("shop")
    cookie = PAGE | {"cookie": f"skerry_session={await api.admin()}"}
    socket = Conversation(api, "/v1/apps/shop/exec?service=web&site=oslo", "", cookie)
    told = await socket.receive()
    assert told["problem"]["code"] == "E-CREDENTIAL"
    assert await socket.receive() == 1008
    await socket.task


def test_only_what_looks_like_a_token_is_taken_from_a_cookie():
    assert browser.read_session({"cookie": "skerry_session=skt_a_b"}) == "skt_a_b"
    for text in ("", "skerry_session=", "skerry_session=A B", 'x=1; other="skerry_session"', "skerry_sessionx=skt_a"):
        assert browser.read_session({"cookie": text}) == ""


def test_a_page_proves_itself_by_what_the_browser_says_of_it():
    browser.check_page("GET", {})
    browser.check_page("POST", PAGE)
    with pytest.raises(NotAllowed):
        browser.check_page("POST", {})
