"""Joining with a token (trust.md §8): from a line pasted at the box to an identity that verifies.

Order: fetch the core's root document over an unverified connection and check it against the digest in the token; only
then dial strictly, prove possession of both keys and of the token, and wait for the signer's word. Wrong core: nothing
but a number was sent. Nothing is kept before the site record has come.
"""

from typing import Protocol

import msgspec

from skerry import wire
from skerry.agent.journal import Identity
from skerry.clock import SECOND_US, Clock, ClockTimeout, Tasks
from skerry.keys.file import NodeKeys
from skerry.link.dictionary import link_compressor
from skerry.link.ports import ConnectFailed, Dialer, Endpoint, LinkClosed
from skerry.link.pump import Pump
from skerry.model.errors import Unavailable
from skerry.model.ids import NodeName, SiteName, is_name
from skerry.model.signed import Envelope, Root
from skerry.trust.envelope import decode_envelope_json
from skerry.trust.held import Held, Verified
from skerry.trust.join import JoinToken, Session, join_transcript, make_join_request, parse_token
from skerry.trust.keys import device_message
from skerry.trust.seal import sealing_public
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope, verify_pinned_root

#: A signer that is not running now may be in a minute; the person at the box sees the reason and may ask again.
JOIN_US_MAX = 110 * SECOND_US
#: Pause between two tries while the box is pending.
_AGAIN_US = 2 * SECOND_US
#: Answers to one request: pending, then joined or refused.
_ANSWERS_MAX = 4


class JoinFailed(Unavailable):
    """Joining did not come about; nothing was kept."""


class JoinWay(Protocol):
    """How a box reaches a core it does not trust yet, and one it does."""

    async def fetch_roots(self, endpoint: Endpoint) -> bytes:
        """Return the core's root documents over an unverified connection; raise ConnectFailed."""
        ...

    def make_dialer(self, root: Envelope, payload: Root) -> Dialer:
        """Return a dialer that believes only cores of this root."""
        ...


async def join_site(
    *,
    token_text: str,
    site: str,
    node: NodeName,
    endpoints: tuple[Endpoint, ...],
    keys: NodeKeys,
    way: JoinWay,
    clock: Clock,
    tasks: Tasks,
) -> Identity:
    """Join and return the identity; raise ``JoinFailed`` with what to do, ValueError for words that make no sense."""
    token = parse_token(token_text)
    if isinstance(token, Denied):
        raise ValueError(token.reason)
    if not is_name(site):
        raise ValueError(f"{site!r} is no site's name: lower-case letters, digits and dashes")
    if not endpoints:
        raise ValueError("name the core's link address as HOST:PORT")
    root = await _find_root(token, endpoints, way)
    try:
        async with ClockTimeout(clock, tasks, JOIN_US_MAX):
            while True:
                for endpoint in endpoints:
                    record = await _ask(token, SiteName(site), node, endpoint, root, keys, way, tasks)
                    if record is not None:
                        return _make_identity(SiteName(site), node, root, record, keys)
                await clock.sleep_until(clock.boot_us() + _AGAIN_US)
    except TimeoutError as error:
        raise JoinFailed(
            "E-JOIN-PENDING",
            "The core has the request; the signer has not vouched for this box yet.",
            hint="Start the signer where the token was made, then run the same command again.",
        ) from error


async def _find_root(token: JoinToken, endpoints: tuple[Endpoint, ...], way: JoinWay) -> Verified[Root]:
    problem: JoinFailed | None = None
    for endpoint in endpoints:
        try:
            content = await way.fetch_roots(endpoint)
        except ConnectFailed as error:
            problem = JoinFailed("E-CONNECT", error.detail, hint=f"Is {endpoint} the core's link address?")
            continue
        verified = _read_root(content, token)
        if isinstance(verified, Verified):
            return verified
        problem = JoinFailed(
            verified.code, f"{endpoint}: {verified.reason}", hint="The token belongs to another core than this one."
        )
    assert problem is not None, "there is at least one endpoint"
    raise problem


def _read_root(content: bytes, token: JoinToken) -> Verified[Root] | Denied:
    try:
        first = msgspec.json.decode(content, type=list[msgspec.Raw])[:1]
    except msgspec.DecodeError as error:
        return Denied("E-FORM", f"what answers is no core: {error}")
    if not first:
        return Denied("E-FORM", "the core has no root document yet")
    envelope = decode_envelope_json(bytes(first[0]))
    return envelope if isinstance(envelope, Denied) else verify_pinned_root(envelope, token.root_pin)


async def _ask(
    token: JoinToken,
    site: SiteName,
    node: NodeName,
    endpoint: Endpoint,
    root: Verified[Root],
    keys: NodeKeys,
    way: JoinWay,
    tasks: Tasks,
) -> Envelope | None:
    """Make one request; return the site record, None while the box is pending or the core is not reached."""
    try:
        connection = await way.make_dialer(root.envelope, root.payload).dial(endpoint)
    except ConnectFailed:
        return None
    pump = Pump(connection, link_compressor(), tasks, "join")
    pump.trust_size()
    try:
        session = Session(connection.nonce, connection.server_digest)
        device, sealing = keys.device.public, sealing_public(keys.sealing_seed)
        transcript = join_transcript(session, site=site, node=node, token_id=token.id, device=device, sealing=sealing)
        proof = keys.device.sign(device_message("join", transcript))
        pump.push(make_join_request(token, transcript, proof, site=site, node=node, device=device, sealing=sealing))
        for _ in range(_ANSWERS_MAX):
            answer = await pump.receive()
            if isinstance(answer, wire.Busy):
                return None
            if not isinstance(answer, wire.JoinAnswer):
                raise JoinFailed("E-PROTOCOL", f"the core answered a join request with {type(answer).__name__}")
            if answer.state == "refused":
                raise JoinFailed("E-TOKEN", f"The core refused: {answer.reason}", hint=f"skerry site join-token {site}")
            if answer.state == "joined":
                return answer.site_record
    except LinkClosed:
        return None
    finally:
        await pump.close()
    return None


def _make_identity(site: SiteName, node: NodeName, root: Verified[Root], record: Envelope, keys: NodeKeys) -> Identity:
    """Believe the record only if the registrar signed it and it names this box's own keys."""
    verified = verify_envelope(record, Held(root=root.payload), expect="site", site=site)
    if isinstance(verified, Denied):
        raise JoinFailed(verified.code, f"The core's site record does not verify: {verified.reason}")
    listed = verified.payload.nodes.get(node)
    if listed is None or listed.device != keys.device.public:
        raise JoinFailed("E-JOIN", "The site record does not name this box's keys.", hint="Ask for a new join token.")
    return Identity(site, node, root.envelope, record)
