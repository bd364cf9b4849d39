"""The device proof: how a node shows at the link that it holds its device key (trust.md §9).

The node signs the parent's nonce, the parent's certificate and its own claim; so a proof serves one connection to one
parent. It never expires and needs no clock.
"""

from skerry.model.signed import PublicKey
from skerry.trust.keys import SigningKey, device_message, verify_signature

#: Bytes of the nonce in the headers of the 101 response, and of the SHA-256 of the server's certificate.
NONCE_BYTES = 32
SERVER_DIGEST_BYTES = 32


def proof_message(nonce: bytes, server_digest: bytes, claim: bytes) -> bytes:
    """Return what a device key signs under the purpose ``hello``; raise ValueError for parts of a wrong length."""
    if len(nonce) != NONCE_BYTES or len(server_digest) != SERVER_DIGEST_BYTES:
        raise ValueError("a nonce and a certificate's digest have 32 bytes each")
    return nonce + server_digest + claim


def sign_proof(device: SigningKey, nonce: bytes, server_digest: bytes, claim: bytes) -> bytes:
    """Prove possession of a device key of class ``file``; ``claim`` is the encoded ``wire.HelloClaim``."""
    return device.sign(device_message("hello", proof_message(nonce, server_digest, claim)))


def verify_proof(device: PublicKey, nonce: bytes, server_digest: bytes, claim: bytes, proof: bytes) -> bool:
    """Say whether ``proof`` is by ``device``, for this connection and this claim. Check it before reading the claim."""
    return verify_signature(device, device_message("hello", proof_message(nonce, server_digest, claim)), proof)
