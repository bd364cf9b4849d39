import json

import httpx2
import pytest
import stamina

from skerry.clock import SeededMint
from skerry.model.asks import EventQuery, LogQuery
from skerry.sdk import errors
from skerry.sdk.client import Client

URL = "http://127.0.0.1:1"
#: What else an app that was changed is answered with.
MORE = {"number": 2, "state": "hold", "operation": "o"}


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=5):
        yield


def make_client(answer, **more):
    """A client whose core is the function ``answer(request)``; what was asked is in ``client.asked``."""
    asked = []

    def handle(request):
        request.read()
        asked.append(request)
        found = answer(request)
        if isinstance(found, Exception):
            raise found
        return found

    client = Client(URL, "skt_x", transport=httpx2.MockTransport(handle), mint=SeededMint("t"), **more)
    client.asked = asked
    return client


def give(*answers):
    """Answers in turn; a function is called, because an answer can be read once."""
    left = list(answers)

    def answer(request):
        found = left.pop(0)
        return found(request) if callable(found) else found

    return answer


def problem(status, **more):
    words = {"type": "", "title": "t", "status": status, "detail": "No.", "code": "E-X"}
    return httpx2.Response(status, json=words | more, headers={"ETag": '"7"'})


def version(_=None):
    return httpx2.Response(200, json={"version": "1", "format": 1})


def test_the_token_goes_along_and_the_answer_comes_back_typed():
    client = make_client(give(version))
    assert client.core.show_version().format == 1
    assert client.asked[0].headers["Authorization"] == "Bearer skt_x"


def test_reads_are_tried_again():
    client = make_client(give(httpx2.ConnectError("down"), problem(503), version))
    assert client.core.show_version().version == "1"


def test_a_change_whose_answer_was_lost_is_sent_again_under_the_same_key():
    changed = httpx2.Response(200, json={"app": "shop", "cause": "c", "event_id": 1} | MORE)
    busy = problem(409, code="E-KEY-BUSY")
    client = make_client(give(httpx2.ReadError("cut"), problem(503), busy, changed))
    assert client.apps.pause("shop").event_id == 1
    keys = [request.headers["Idempotency-Key"] for request in client.asked]
    assert len(keys) == 4
    assert len(set(keys)) == 1
    client = make_client(give(changed))
    client.apps.pause("shop")
    assert client.asked[0].headers["Idempotency-Key"]


def test_a_change_that_is_refused_is_not_sent_again():
    client = make_client(give(problem(409)))
    with pytest.raises(errors.Conflict):
        client.apps.pause("shop")


def test_retries_end():
    client = make_client(lambda _: httpx2.ConnectError("down"))
    with pytest.raises(errors.Unavailable, match=r"No core answers at .*: down"):
        client.core.show_version()
    assert len(client.asked) == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Refused),
        (401, errors.NotAllowed),
        (403, errors.NotAllowed),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (412, errors.Conflict),
        (422, errors.Invalid),
        (500, errors.Broken),
    ],
)
def test_each_refusal_has_its_class_and_keeps_its_words(status, kind):
    located = [{"code": "E-IMAGE", "detail": "never pushed", "pointer": "/services/db/image"}]
    client = make_client(lambda _: problem(status, hint="do that", cause="C", errors=located))
    with pytest.raises(kind) as caught:
        client.core.show_version()
    error = caught.value
    assert (error.status, error.code, error.hint, error.cause) == (status, "E-X", "do that", "C")
    assert error.problems[0].pointer == "/services/db/image"


def test_a_conflict_says_which_number_stands_now():
    client = make_client(lambda _: problem(412))
    with pytest.raises(errors.Conflict) as caught:
        client.sites.remove("oslo", expect=6)
    assert caught.value.number == 7


def test_a_refusal_that_is_no_problem_document_is_still_one():
    client = make_client(lambda _: httpx2.Response(418, text="teapot"))
    with pytest.raises(errors.Refused, match="answered 418"):
        client.core.show_version()


def test_a_long_retry_after_is_reported_instead_of_obeyed():
    busy = httpx2.Response(503, json={}, headers={"Retry-After": "3600"})
    client = make_client(lambda _: busy)
    with pytest.raises(errors.Unavailable) as caught:
        client.core.show_version()
    assert caught.value.retry_after_s == 3600
    assert len(client.asked) == 1


def test_listings_go_on_by_themselves():
    def page(*names, token=""):
        rows = [{"tenant": name, "deploy_keys": {"keys": []}, "created_us": 1} for name in names]
        return httpx2.Response(200, json={"items": rows, "next_page_token": token})

    client = make_client(give(page("a", "b", token="t"), page("c")))
    assert [tenant.tenant for tenant in client.tenants.list()] == ["a", "b", "c"]
    assert client.asked[1].url.params["page_token"] == "t"


def test_an_answer_without_end_is_cut():
    def endless():
        while True:
            yield bytes(1024 * 1024)

    client = make_client(lambda _: httpx2.Response(200, content=endless()))
    with pytest.raises(errors.Unavailable, match="more than"):
        client.core.show_version()


@pytest.mark.parametrize("url", ["ftp://x", "core:7410", "http://"])
def test_only_addresses_of_a_core_are_taken(url):
    with pytest.raises(errors.Refused, match="is no address"):
        Client(url)


def test_a_token_never_leaves_the_machine_readable():
    with pytest.raises(errors.Refused) as caught:
        Client("http://10.0.0.1:7410", "t")
    assert caught.value.code == "E-PLAINTEXT"
    Client("http://10.0.0.1:7410", "t", insecure=True)
    Client("https://10.0.0.1:7410", "t")


def event(number, kind=""):
    body = {"specversion": "1.0", "id": str(number), "source": "/core", "type": "dev.skerry.x.v1"}
    return (f"event: {kind}\n" if kind else "") + f"id: {number}\ndata: {json.dumps(body)}\n\n"


def stream(*parts, cut=False):
    def content():
        for part in parts:
            yield part.encode()
        if cut:
            raise httpx2.ReadError("cut")

    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=content())


def test_events_resume_after_the_last_one_that_was_given():
    client = make_client(give(stream(event(5), ": still here\n\n", event(6), cut=True), stream(event(7))))
    found = [item.id for item in client.events(EventQuery(after=4, follow=False))]
    assert found == ["5", "6", "7"]
    assert client.asked[1].headers["Last-Event-ID"] == "6"
    assert client.asked[1].url.params["after"] == "6"


def test_a_stream_that_never_gives_anything_is_given_up():
    client = make_client(lambda _: stream(cut=True))
    with pytest.raises(errors.Unavailable):
        list(client.events())
    assert len(client.asked) <= 10


def test_a_reset_is_told():
    client = make_client(give(stream(event(90, kind="reset"))))
    assert [item.type for item in client.events(EventQuery(after=1, follow=False))] == ["reset"]


def test_after_a_reset_the_stream_is_resumed_where_that_says():
    client = make_client(give(stream(event(7, kind="reset"), cut=True), stream(event(8))))
    assert [item.id for item in client.events(EventQuery(after=90, follow=False))] == ["7", "8"]
    assert client.asked[1].headers["Last-Event-ID"] == "7"


def test_a_slow_reader_that_is_told_so_comes_back_after_the_last_event():
    end = 'event: end\ndata: {"code":"E-READER-SLOW","detail":"slow"}\n\n'
    client = make_client(give(stream(event(5), end, cut=True), stream(event(6))))
    assert [item.id for item in client.events(EventQuery(follow=False))] == ["5", "6"]
    assert client.asked[1].headers["Last-Event-ID"] == "5"


def test_a_stream_that_is_ended_each_time_it_begins_is_given_up():
    client = make_client(lambda _: stream('event: end\ndata: {"code":"E-X","detail":"x"}\n\n'))
    with pytest.raises(errors.Unavailable):
        list(client.watch())
    assert len(client.asked) <= 10


def test_a_watch_is_made_anew_when_it_is_lost():
    delta = 'event: delta\ndata: {"kind":"site","name":"oslo","site":null}\n\n'
    reset = "event: reset\ndata: {}\n\n"
    client = make_client(give(stream(reset, delta, "event: later\ndata: {}\n\n", cut=True), stream(reset, delta)))
    watched = client.watch("site")
    assert [each and each.name for _, each in zip(range(4), watched, strict=False)] == [None, "oslo", None, "oslo"]
    assert client.asked[0].url.params["kinds"] == "site"


def test_log_lines_come_as_they_are_cut_from_the_stream():
    lines = [
        json.dumps({"site": "oslo", "service": "web", "ordinal": 0, "stream": "stdout", "text": text})
        for text in ("one", "two")
    ]
    whole = "\n".join(lines)
    client = make_client(lambda _: stream(whole[:30], whole[30:]))
    assert [line.text for line in client.logs("shop", LogQuery(tail=2))] == ["one", "two"]


def test_an_upload_goes_on_where_the_core_has_stopped():
    blob = b"0123456789"

    def state(have, complete=False):
        return httpx2.Response(200, json={"digest": "d", "have_bytes": have, "complete": complete})

    client = make_client(give(problem(404), httpx2.WriteError("cut"), state(4), state(10, True)))
    told = []
    digest = "sha256:" + "0" * 64
    done = client.upload_blob(digest, 10, lambda offset: iter([blob[offset:]]), told.append)
    assert done.complete
    assert client.asked[3].url.params["offset"] == "4"
    assert client.asked[3].content == b"456789"
    assert told[-1] == 10


def test_an_upload_waits_for_somebody_who_sends_the_same_blob():
    def state(have, complete=False):
        return httpx2.Response(200, json={"digest": "d", "have_bytes": have, "complete": complete})

    busy = problem(409, code="E-UPLOADING")
    client = make_client(give(state(3), busy, state(10, True)))
    assert client.upload_blob("sha256:" + "0" * 64, 10, lambda _: iter([b"x"])).complete
    client = make_client(give(state(3), problem(409, code="E-OTHER")))
    with pytest.raises(errors.Conflict):
        client.upload_blob("sha256:" + "0" * 64, 10, lambda _: iter([b"x"]))
