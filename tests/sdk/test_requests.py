import pytest

from skerry.clock import SeededMint
from skerry.model import asks
from skerry.model.errors import Unavailable
from skerry.operations import OPERATIONS
from skerry.sdk import requests
from skerry.sdk.faces import AsyncFaces, Faces


def test_a_parameter_is_one_segment_whatever_it_holds():
    made = requests.make_request("show_app", parameters={"app": "../sites/x?y#z:plan"})
    assert requests.write_path(made) == "/v1/apps/..%2Fsites%2Fx%3Fy%23z%3Aplan"


def test_digests_and_defaults_stay_short():
    digest = "sha256:" + "a" * 64
    made = requests.make_request("put_blob", parameters={"digest": digest}, query=asks.BlobQuery(size=5))
    assert requests.write_path(made) == f"/v1/blobs/{digest}?size=5"
    followed = requests.make_request("follow_events", query=asks.EventQuery(follow=False, after=7))
    assert requests.write_path(followed) == "/v1/events?after=7&follow=false"


@pytest.mark.parametrize(("expect", "header"), [(0, {"If-None-Match": "*"}), (411, {"If-Match": '"411"'})])
def test_the_expected_number_becomes_the_guard(expect, header):
    made = requests.make_request("remove_site", parameters={"site": "oslo"}, expect=expect)
    assert header.items() <= requests.write_headers(made).items()
    assert requests.is_repeatable(made)


def test_a_guard_is_neither_forgotten_nor_made_up():
    with pytest.raises(ValueError, match="needs an expected number"):
        requests.make_request("remove_site", parameters={"site": "oslo"})
    with pytest.raises(ValueError, match="takes no expected number"):
        requests.make_request("show_site", parameters={"site": "oslo"}, expect=1)
    with pytest.raises(ValueError, match="takes"):
        requests.make_request("show_site")


def test_a_post_is_repeated_only_with_a_key():
    pause = requests.make_request("pause_app", parameters={"app": "shop"})
    assert not requests.is_repeatable(pause)
    named = requests.make_request("pause_app", parameters={"app": "shop"}, idempotency_key="K")
    assert requests.is_repeatable(named)
    assert requests.write_headers(named)["Idempotency-Key"] == "K"


def test_a_change_gets_a_key_of_its_own_and_keeps_one_that_it_has():
    mint = SeededMint("k")
    pause = requests.make_request("pause_app", parameters={"app": "shop"})
    one, two = requests.name_change(pause, mint), requests.name_change(pause, mint)
    assert len(one.idempotency_key) == 2 * requests.KEY_BYTES
    assert one.idempotency_key != two.idempotency_key
    assert requests.name_change(one, mint) == one
    read = requests.make_request("show_app", parameters={"app": "shop"})
    dry = requests.make_request("plan_app", parameters={"app": "shop"}, body=b"{}")
    assert (requests.name_change(read, mint), requests.name_change(dry, mint)) == (read, dry)
    assert requests.is_repeatable(dry)


def test_what_is_no_answer_is_the_worlds_fault():
    made = requests.make_request("show_version")
    with pytest.raises(Unavailable, match="not a core of this release"):
        requests.read_answer(made, b"<html>welcome to the hotel</html>")
    assert requests.read_answer(made, b'{"version":"9","format":1,"of a later release":[]}').version == "9"


def test_every_built_plain_operation_has_its_method_in_both_faces():
    class Nothing:
        def send(self, request):
            return request

        pages = send

    expected = sum(operation.built and operation.style in ("json", "raw") for operation in OPERATIONS)
    for faces in (Faces(Nothing()), AsyncFaces(Nothing())):
        nouns = vars(faces).values()
        methods = [name for noun in nouns for name in vars(type(noun)) if not name.startswith("_")]
        assert len(methods) == expected
