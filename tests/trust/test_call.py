from tests.trust import people

from skerry.model.ids import NodeName
from skerry.model.signed import Call
from skerry.trust.call import check_call
from skerry.trust.held import Verified
from skerry.trust.verify import verify_envelope

NONCE = b"n" * 32


def verified(nonce: bytes = NONCE, node: NodeName = people.NODE) -> Verified[Call]:
    call = Call(
        tenant=people.ALPHA,
        site=people.SITE,
        node=node,
        nonce=nonce,
        verb="exec",
        app=people.SHOP,
        service=people.WEB,
        argv=("ls",),
    )
    envelope = people.sign("call", call, people.DEPLOY[people.ALPHA])
    answer = verify_envelope(envelope, people.hold(), expect="call", site=people.SITE)
    assert isinstance(answer, Verified)
    return answer


def test_a_call_with_the_nonce_that_this_node_gave_out_is_good():
    assert check_call(verified(), node=people.NODE, nonce=NONCE) is None


def test_any_other_call_is_refused():
    for call, nonce in (
        (verified(b"m" * 32), NONCE),
        (verified(b""), NONCE),
        (verified(), b""),
        (verified(b""), b""),
        (verified(node=NodeName("two")), NONCE),
    ):
        denied = check_call(call, node=people.NODE, nonce=nonce)
        assert denied is not None
        assert denied.code == "E-CALL"
