"""What a signer does unasked, each on evidence of its own and never on the core's word (trust.md §14).

It vouches for a box whose MAC shows that it holds a token this signer minted; it seals again a secret that it may open,
for nodes that joined since. The core only brings the requests and takes the answers; whatever else it says is ignored.
"""

from typing import Protocol

import msgspec

from skerry.clock import Clock
from skerry.model.answers import JoinRequestView
from skerry.model.errors import Conflict, SkerryError
from skerry.model.ids import SecretName, TenantName, TokenId, digest_of
from skerry.model.signed import Envelope, NodeRecord, PublicKey, Secret, SiteRecord
from skerry.model.site_match import site_unmet
from skerry.signer.desk import SignerDesk, new_record
from skerry.signer.ledger import KeptSecret, MintedToken
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.floors import judge_floor, raised_floors
from skerry.trust.join import Session, vouch_join
from skerry.trust.keys import key_id
from skerry.trust.parse import parse_payload
from skerry.trust.seal import open_secret, seal_secret
from skerry.trust.verdict import Denied
from skerry.wire import JoinRequest


class CoreApi(Protocol):
    """What a signer needs of the core. Every method raises ``SkerryError`` when it cannot be done."""

    async def list_join_requests(self) -> tuple[JoinRequestView, ...]:
        """Return boxes that wait for the signer's word, at most a page of them."""
        ...

    async def put_site_record(self, envelope: Envelope, record: SiteRecord) -> None:
        """Hand in the next record of a site; it was signed to follow ``record.number`` - 1."""
        ...

    async def reject_join(self, request: str, reason: str) -> None:
        """Turn a box away, with words that it shows."""
        ...

    async def put_secret(self, envelope: Envelope, secret: Secret) -> None:
        """Hand in the next version of a secret; raise ``Conflict`` when another one came first."""
        ...


class Chores:
    """The unasked work of one signer."""

    def __init__(self, desk: SignerDesk, core: CoreApi) -> None:
        self._desk = desk
        self._core = core
        self._sealed_version = -1

    async def run(self, clock: Clock, poll_us: int) -> None:
        """Do what there is to do, again and again; a core that does not answer is asked again later."""
        while True:
            await self.do_once()
            await clock.sleep_until(clock.boot_us() + poll_us)

    async def do_once(self) -> None:
        """Look once at everything that may have to be done; what fails delays nothing else."""
        try:
            requests = await self._core.list_join_requests()
        except SkerryError as error:
            self._desk.note(f"the core could not be asked: {error.detail}")
            return
        for request in requests:
            if request.state == "pending":
                await self._settle(request)
        version = self._desk.ledger.version
        if version != self._sealed_version and await self._reseal():
            self._sealed_version = version

    async def _settle(self, view: JoinRequestView) -> None:
        vouched = vouch(self._desk, view)
        who = f"node {view.node} of site {view.site}"
        try:
            match vouched:
                case None:
                    self._desk.note(f"{who} waits with a join token that this signer has not minted")
                case Denied(code="E-STALE" | "E-NUMBER"):
                    self._desk.note(f"{who} waits, the core's numbers do not fit: {vouched.reason}")
                case Denied():
                    await self._core.reject_join(view.request, vouched.reason)
                    self._desk.note(f"{who} was turned away: {vouched.reason}")
                case (record, envelope):
                    await self._core.put_site_record(envelope, record)
                    self._desk.note(f"{who} has joined")
        except SkerryError as error:
            self._desk.note(f"{who} waits, the core did not take the answer: {error.detail}")

    async def _reseal(self) -> bool:
        """Seal again what new nodes cannot open; False when something is left to be tried again."""
        done = True
        for line in sorted(self._desk.ledger.secrets):
            sealed = seal_again(self._desk, line)
            if sealed is None:
                continue
            secret, envelope = sealed
            ledger = self._desk.ledger
            try:
                await self._core.put_secret(envelope, secret)
            except Conflict as error:
                # Somebody has set the secret by another way: it is theirs now, and ours is no longer sealed again.
                self._desk.note(f"secret {secret.name} was not sealed again: {error.detail}")
                ledger.keep_secret(line, msgspec.structs.replace(ledger.secrets[line], given_up=True))
                continue
            except SkerryError as error:
                self._desk.note(f"secret {secret.name} waits to be sealed again: {error.detail}")
                done = False
                continue
            ledger.raise_floors(raised_floors(ledger.floors, [(secret, digest_of(envelope.payload))]))
            ledger.keep_secret(line, msgspec.structs.replace(ledger.secrets[line], envelope=envelope))
            self._desk.note(f"secret {secret.name} was sealed again, for {len(secret.boxes) - 1} nodes")
        return done


def vouch(desk: SignerDesk, view: JoinRequestView) -> tuple[SiteRecord, Envelope] | Denied | None:
    """Sign the record with the new node in it, if the box holds a token this signer minted and its name fits.

    None for a token of another signer. Asking again gives the same record again. The token is burnt for this device
    before the signature leaves.
    """
    token_id = TokenId(view.token_id)
    token = desk.ledger.tokens.get(token_id)
    if token is None:
        return None
    denied = _judge_request(view, token, desk.clock.wall_us())
    if denied is not None:
        return denied
    present = desk.ledger.records.get(view.site)
    record = new_record(view.site, desk.keyring) if present is None else present[0]
    node = NodeRecord(device=view.device, sealing=view.sealing)
    if present is not None and record.nodes.get(view.node) == node:
        return present
    denied = _judge_name(record, view)
    if denied is not None:
        return denied
    joined = msgspec.structs.replace(record, number=view.record_number + 1, nodes={**record.nodes, view.node: node})
    payload = encode_payload(joined)
    read = parse_payload(payload, SiteRecord)
    if isinstance(read, Denied):
        return read
    denied = judge_floor(desk.ledger.floors, joined, digest_of(payload))
    if denied is not None and denied.code != "E-FORK":
        return denied
    burnt = msgspec.structs.replace(token, device=view.device)
    desk.ledger.keep_token(token_id, burnt, desk.clock.wall_us())
    return joined, desk.sign_record(joined)


def _judge_request(view: JoinRequestView, token: MintedToken, wall_us: int) -> Denied | None:
    if token.site != view.site:
        return Denied("E-TOKEN", f"the join token is for site {token.site}", security=True)
    request = JoinRequest(
        site=view.site,
        node=view.node,
        token_id=view.token_id,
        device=view.device,
        sealing=view.sealing,
        proof=view.proof,
        mac_core=view.mac_core,
        mac_bind=view.mac_bind,
    )
    denied = vouch_join(token.bind_key, request, Session(view.nonce, view.server_digest))
    if denied is not None:
        return denied
    if token.device is not None and token.device != view.device:
        return Denied("E-TOKEN", "the join token was used by another box", security=True)
    if token.device is None and wall_us > token.expires_us:
        return Denied("E-TOKEN", "the join token has expired: make a new one with `skerry site join-token`")
    return None


def _judge_name(record: SiteRecord, view: JoinRequestView) -> Denied | None:
    if view.node in record.nodes:
        return Denied("E-JOIN", f"site {view.site} has a node {view.node} already: choose another name, or remove it")
    for name, node in record.nodes.items():
        if node.device == view.device:
            return Denied("E-JOIN", f"this box is node {name} of site {view.site} already")
    return None


def seal_again(desk: SignerDesk, line: str) -> tuple[Secret, Envelope] | None:
    """Return the next version of a kept secret when a node it is meant for cannot open the present one."""
    kept = desk.ledger.secrets[line]
    secret = parse_payload(kept.envelope.payload, Secret)
    if isinstance(secret, Denied) or kept.given_up:
        return None
    recipients = _list_recipients(desk, kept, secret.tenant)
    if {key_id(key) for key in recipients} <= secret.boxes.keys():
        return None
    value = open_secret(secret, desk.keyring.sealing_seed)
    deploy = desk.keyring.deploy.get(secret.tenant)
    if isinstance(value, Denied) or deploy is None:
        return None
    sealed = seal_secret(
        value,
        tenant=TenantName(secret.tenant),
        name=SecretName(secret.name),
        number=secret.number + 1,
        recipients=[*recipients, desk.sealing],
        mint=desk.mint,
    )
    return sealed, sign_payload("secret", encode_payload(sealed), [deploy])


def _list_recipients(desk: SignerDesk, kept: KeptSecret, tenant: TenantName) -> list[PublicKey]:
    """Return the sealing keys of every node, by registrar-signed records, at the sites a secret is meant for."""
    return [
        node.sealing
        for _, (record, _) in sorted(desk.ledger.records.items())
        if tenant in record.tenants and not site_unmet(kept.sites, record)
        for _, node in sorted(record.nodes.items())
    ]
