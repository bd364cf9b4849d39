"""A signer with its keys in a folder of the test, a clock that stands still, and a core that remembers what it got."""

from pathlib import Path
from typing import Any

import msgspec
from tests.trust import people

from skerry.clock import SeededMint
from skerry.keys.keyring import open_keyring
from skerry.model.answers import JoinRequestView
from skerry.model.errors import Conflict, Unavailable
from skerry.model.ids import NodeName, SiteName
from skerry.model.signed import Envelope, PublicKey, Secret, SiteRecord
from skerry.model.signing import Answer, MakeRoot, Minted, MintToken, Signed
from skerry.safe.paths import RealDirectory
from skerry.signer.desk import SignerDesk
from skerry.signer.ledger import Ledger
from skerry.trust.join import JoinToken, Session, join_transcript, make_join_request, parse_token
from skerry.trust.keys import SigningKey, device_message
from skerry.trust.seal import sealing_public

SESSION = Session(nonce=b"n" * 32, server_digest=b"s" * 32)


class StillClock:
    """Wall time that a test sets; nobody sleeps on it here."""

    def __init__(self) -> None:
        self.now_us = 1_700_000_000_000_000

    def wall_us(self) -> int:
        return self.now_us

    def boot_us(self) -> int:
        return self.now_us

    async def sleep_until(self, boot_us: int) -> None:
        self.now_us = max(self.now_us, boot_us)


class Core:
    """The core's side of ``CoreApi``: takes everything, or fails as it is told to."""

    def __init__(self) -> None:
        self.requests: list[JoinRequestView] = []
        self.records: list[SiteRecord] = []
        self.secrets: list[Secret] = []
        self.rejected: dict[str, str] = {}
        self.away = False
        self.conflict = False

    def _meet(self) -> None:
        if self.away:
            raise Unavailable("E-AWAY", "the core is away")
        if self.conflict:
            raise Conflict("E-STALE", "somebody was faster")

    async def list_join_requests(self) -> tuple[JoinRequestView, ...]:
        if self.away:
            raise Unavailable("E-AWAY", "the core is away")
        return tuple(self.requests)

    async def put_site_record(self, envelope: Envelope, record: SiteRecord) -> None:
        self._meet()
        self.records.append(record)

    async def reject_join(self, request: str, reason: str) -> None:
        self._meet()
        self.rejected[request] = reason

    async def put_secret(self, envelope: Envelope, secret: Secret) -> None:
        self._meet()
        self.secrets.append(secret)


def open_desk(tmp_path: Path, clock: StillClock | None = None, seed: str = "person") -> SignerDesk:
    """Start a signer on the folder; started again it finds what the one before left."""
    directory = RealDirectory.open_root(tmp_path / "keyring")
    mint = SeededMint(seed)
    return SignerDesk(open_keyring(directory, mint), Ledger(directory), mint, clock or StillClock())


def give_root(desk: SignerDesk) -> Envelope:
    answer = desk.answer(MakeRoot(delivery=people.DELIVERY.public, delivery_ca=b"der", endpoints=("core:443",)))
    assert isinstance(answer, Signed)
    return answer.envelope


def mint(desk: SignerDesk, site: str = "oslo", lifetime_s: int = 3_600) -> JoinToken:
    answer = desk.answer(MintToken(site=SiteName(site), lifetime_s=lifetime_s))
    assert isinstance(answer, Minted)
    token = parse_token(answer.token)
    assert isinstance(token, JoinToken)
    return token


def expect_signed(answer: Answer) -> Envelope:
    assert isinstance(answer, Signed), answer
    return answer.envelope


def knock(
    token: JoinToken,
    *,
    node: str = "one",
    site: str = "oslo",
    device: SigningKey = people.DEVICE,
    sealing: PublicKey | None = None,
    record_number: int = 0,
    request: str = "r1",
    **changed: Any,
) -> JoinRequestView:
    """The request of a box, as the core shows it to the signer; ``changed`` is what a hostile core made of it."""
    names: dict[str, Any] = {"site": SiteName(site), "node": NodeName(node)}
    keys: dict[str, Any] = {"device": device.public, "sealing": sealing or sealing_public(people.seed(node))}
    transcript = join_transcript(SESSION, token_id=token.id, **names, **keys)
    asked = make_join_request(token, transcript, device.sign(device_message("join", transcript)), **names, **keys)
    view = JoinRequestView(
        request=request,
        token_id=asked.token_id,
        site=asked.site,
        node=asked.node,
        device=asked.device,
        sealing=asked.sealing,
        proof=asked.proof,
        mac_core=asked.mac_core,
        mac_bind=asked.mac_bind,
        nonce=SESSION.nonce,
        server_digest=SESSION.server_digest,
        record_number=record_number,
        state="pending",
        asked_us=0,
    )
    return msgspec.structs.replace(view, **changed)
