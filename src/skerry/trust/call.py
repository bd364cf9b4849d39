"""The last check of a signed call: that it is meant for this node, now (trust.md §5).

Signature, tenant and site were checked by ``verify.verify_envelope``; here the node and the nonce it gave out. Whoever
gave the nonce out forgets it at the first use, so a call works once.
"""

import hmac

from skerry.model.ids import NodeName
from skerry.model.signed import Call
from skerry.trust.held import Verified
from skerry.trust.verdict import Denied


def check_call(call: Verified[Call], *, node: NodeName, nonce: bytes) -> Denied | None:
    """Say why ``call`` may not be carried out by ``node``, which gave ``nonce`` out for it; None when it may."""
    if call.payload.node != node:
        return Denied("E-CALL", f"meant for node {call.payload.node}, this is {node}", security=True)
    if not nonce or not hmac.compare_digest(call.payload.nonce, nonce):
        return Denied("E-CALL", "the call does not carry the nonce that this node gave out for it", security=True)
    return None
