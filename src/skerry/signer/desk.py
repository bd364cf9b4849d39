"""What a person asks a signer for, answered: checked like at a site, remembered, then signed.

Synchronous and without a clock's patience: each ask is answered at once. Whoever reaches the socket is the person, so
the checks here catch mistakes, not attacks: a site would refuse what is refused here.
"""

from typing import TypeVar

import msgspec

from skerry.clock import SECOND_US, Clock, Mint
from skerry.keys.keyring import Keyring
from skerry.model.app import AppRevision
from skerry.model.ids import SiteName, TenantName, digest_of, is_name
from skerry.model.signed import (
    Area,
    Call,
    Envelope,
    Kind,
    PublicKey,
    RoleKeys,
    Root,
    Secret,
    SiteRecord,
    Tombstone,
    UserGroup,
)
from skerry.model.signing import (
    Answer,
    Ask,
    BackedUp,
    BackUpKeys,
    KeepAccepted,
    LineState,
    MakeRoot,
    MakeTenant,
    Minted,
    MintToken,
    ReadLine,
    ReadStatus,
    RecoverKeys,
    Refusal,
    SignArea,
    SignCall,
    Signed,
    SignerStatus,
    SignRevision,
    SignSecret,
    SignSite,
    SignTombstone,
    SignUserGroup,
)
from skerry.signer.ledger import KeptSecret, Ledger, MintedToken
from skerry.trust.backup import find_passphrase_flaw, open_backup, seal_backup
from skerry.trust.envelope import encode_payload, kind_of, sign_payload
from skerry.trust.floors import floor_key, judge_floor, raised_floors
from skerry.trust.held import Held
from skerry.trust.join import TOKEN_LIFETIME_S_MAX, bind_key, core_key, mint_token, write_token
from skerry.trust.keys import SigningKey, key_id, trust_domain
from skerry.trust.parse import parse_payload
from skerry.trust.seal import sealing_public
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope

T = TypeVar("T", AppRevision, Tombstone, Secret, Area, UserGroup, Call)

#: Notes of what was done unasked that ``status`` shows.
NOTES_MAX = 50


class SignerDesk:
    """The keys and the memory of one signer, and what may be done with them."""

    def __init__(self, keyring: Keyring, ledger: Ledger, mint: Mint, clock: Clock) -> None:
        self.keyring = keyring
        self.ledger = ledger
        self.mint = mint
        self.clock = clock
        #: What was done or refused unasked, newest last.
        self.notes: list[str] = []

    @property
    def sealing(self) -> PublicKey:
        """The key that secrets are sealed to besides the nodes'."""
        return sealing_public(self.keyring.sealing_seed)

    def note(self, text: str) -> None:
        """Keep one line for ``status``."""
        if self.notes[-1:] != [text]:
            self.notes = [*self.notes[1 - NOTES_MAX :], text]

    def answer(self, ask: Ask) -> Answer:
        """Answer one ask; a refusal changed nothing."""
        match ask:
            case ReadStatus():
                return self._show_status()
            case MakeRoot():
                return self._make_root(ask)
            case MakeTenant():
                return self._make_tenant(ask.tenant)
            case SignRevision():
                return self._sign(ask.payload, "revision", AppRevision)
            case SignTombstone():
                return self._sign(ask.payload, "tombstone", Tombstone)
            case SignSecret():
                return self._sign_secret(ask)
            case SignArea():
                return self._sign(ask.payload, "area", Area)
            case SignUserGroup():
                return self._sign(ask.payload, "user-group", UserGroup)
            case SignCall():
                return self._sign(ask.payload, "call", Call)
            case SignSite():
                return self._sign_site(ask)
            case MintToken():
                return self._mint_token(ask)
            case ReadLine():
                return self._read_line(ask)
            case KeepAccepted():
                return self._keep_accepted(ask.envelope)
            case BackUpKeys():
                return self._back_up(ask.passphrase)
            case RecoverKeys():
                return self._recover(ask)

    def sign_record(self, record: SiteRecord) -> Envelope:
        """Sign a site record with the registrar's key and remember it first."""
        envelope = sign_payload("site", encode_payload(record), [self.keyring.registrar])
        self.ledger.raise_floors(raised_floors(self.ledger.floors, [(record, digest_of(envelope.payload))]))
        self.ledger.keep_record(record, envelope)
        return envelope

    def _show_status(self) -> SignerStatus:
        root = self.keyring.root_document
        now_us = self.clock.wall_us()
        return SignerStatus(
            trust_domain="" if root is None else trust_domain(root.payload),
            root=root,
            tenants={tenant: _role(key) for tenant, key in sorted(self.keyring.deploy.items())},
            sealing=self.sealing,
            tokens=sum(token.device is None and token.expires_us > now_us for token in self.ledger.tokens.values()),
            notes=tuple(self.notes),
        )

    def _make_root(self, ask: MakeRoot) -> Answer:
        root = Root(
            number=1,
            root=_role(self.keyring.root),
            registrar=_role(self.keyring.registrar),
            delivery=RoleKeys(keys=(ask.delivery,)),
            delivery_ca=ask.delivery_ca,
            endpoints=ask.endpoints,
        )
        payload = encode_payload(root)
        if isinstance(denied := parse_payload(payload, Root), Denied):
            return _refuse(denied)
        present = self.keyring.root_document
        if present is None:
            present = sign_payload("root", payload, [self.keyring.root])
            self.keyring.keep_root_document(present)
        if present.payload != payload:
            return Refusal(
                code="E-NOT-YET",
                reason="this keyring has signed another root document, and following one is not built yet",
                hint="A further core needs a keyring of its own.",
            )
        return Signed(envelope=present)

    def _back_up(self, passphrase: bytes) -> Answer:
        if flaw := find_passphrase_flaw(passphrase):
            return Refusal(code="E-PASSPHRASE", reason=flaw)
        try:
            backup = self.keyring.read_backup()
        except ValueError as error:
            return Refusal(code="E-NO-ROOT", reason=str(error), hint="skerry core install")
        return BackedUp(content=seal_backup(backup, passphrase, self.mint))

    def _recover(self, ask: RecoverKeys) -> Answer:
        if self.keyring.root_document is not None or self.ledger.floors or self.ledger.tokens:
            return Refusal(
                code="E-EXISTS",
                reason="this signer has signed with keys of its own, and those are not replaced",
                hint="A new signer with an empty keyring takes a backup.",
            )
        backup = open_backup(ask.content, ask.passphrase)
        if isinstance(backup, Denied):
            return _refuse(backup)
        root = parse_payload(backup.root_document.payload, Root)
        if isinstance(root, Denied):
            return _refuse(root)
        verified = verify_envelope(backup.root_document, Held(root=root), expect="root")
        if isinstance(verified, Denied) or SigningKey.from_seed(backup.root).public not in root.root.keys:
            return Refusal(code="E-BACKUP", reason="the root document was not signed with the key beside it")
        self.keyring.take_backup(backup)
        self.note("took the keys of a backup")
        return self._show_status()

    def _make_tenant(self, tenant: TenantName) -> Answer:
        if not is_name(tenant):
            return Refusal(code="E-NAME", reason=f"{tenant[:80]!r} is no name")
        self.keyring.add_tenant(tenant)
        return self._show_status()

    def _sign(self, payload: bytes, kind: Kind, into: type[T]) -> Signed | Refusal:
        """Sign a tenant's payload as the exact bytes that were given."""
        checked = self._check(payload, into)
        if isinstance(checked, Refusal):
            return checked
        self.ledger.raise_floors(raised_floors(self.ledger.floors, [(checked, digest_of(payload))]))
        return Signed(envelope=sign_payload(kind, payload, [self.keyring.deploy[checked.tenant]]))

    def _check(self, payload: bytes, into: type[T]) -> T | Refusal:
        """Check what every site would check, so that a mistake shows here and now."""
        read = parse_payload(payload, into)
        if isinstance(read, Denied):
            return _refuse(read)
        if read.tenant not in self.keyring.deploy:
            return Refusal(code="E-KEY", reason=f"this signer holds no deploy key of tenant {read.tenant}")
        denied = judge_floor(self.ledger.floors, read, digest_of(payload))
        # The core may have refused what was signed last, so its number may be signed again with other words. Sites
        # stay with what they saw first.
        if denied is not None and denied.code != "E-FORK":
            return _refuse(denied, "Has the core been restored from a backup? Its numbers are behind.")
        if isinstance(read, AppRevision | Tombstone):
            accepted = self.ledger.accepted.read(read.tenant, read.app, read.number)
            if accepted is not None and accepted.payload != payload:
                reason = f"number {read.number} of app {read.app} was accepted with other words; sites may hold them"
                return Refusal(code="E-FORK", reason=reason, hint="Hand in what was accepted: skerry apply does so.")
        return read

    def _read_line(self, ask: ReadLine) -> Answer:
        lines = {"app": ask.app, "secret": ask.secret, "area": ask.area, "user-group": ask.user_group}
        kind, name = next(((kind, name) for kind, name in lines.items() if name), ("", ""))
        if not is_name(ask.tenant) or not is_name(name):
            return Refusal(code="E-NAME", reason="a line has the name of a tenant and of an app, a secret or the like")
        floor = self.ledger.floors.get(f"{kind}/{ask.tenant}/{name}")
        signed = 0 if floor is None else floor.number
        if not ask.app:
            return LineState(signed=signed, accepted=0)
        accepted = self.ledger.accepted
        return LineState(
            signed=signed,
            accepted=accepted.newest(ask.tenant, ask.app),
            envelope=accepted.read(ask.tenant, ask.app, ask.number) if ask.number else None,
        )

    def _keep_accepted(self, envelope: Envelope) -> Answer:
        """Remember what the core has accepted, if it is ours."""
        kind = kind_of(envelope)
        if isinstance(kind, Denied) or kind not in ("revision", "tombstone"):
            return Refusal(code="E-KIND", reason="only revisions and tombstones are kept")
        read = parse_payload(envelope.payload, AppRevision if kind == "revision" else Tombstone)
        if isinstance(read, Denied):
            return _refuse(read)
        key = self.keyring.deploy.get(read.tenant)
        if key is None or sign_payload(kind, envelope.payload, [key]) != envelope:
            return Refusal(code="E-KEY", reason="this signer has not signed it")
        self.ledger.accepted.keep(read.tenant, read.app, read.number, envelope)
        return Signed(envelope=envelope)

    def _sign_secret(self, ask: SignSecret) -> Answer:
        answer = self._sign(ask.payload, "secret", Secret)
        if isinstance(answer, Refusal):
            return answer
        secret = parse_payload(ask.payload, Secret)
        if isinstance(secret, Secret) and key_id(self.sealing) in secret.boxes:
            line = floor_key(secret) or ""
            self.ledger.keep_secret(line, KeptSecret(envelope=answer.envelope, sites=ask.sites))
        return answer

    def _sign_site(self, ask: SignSite) -> Answer:
        base = self._find_base(ask)
        if isinstance(base, Denied):
            return _refuse(base)
        changed = msgspec.structs.replace(
            base,
            number=ask.number,
            labels=base.labels if ask.labels is None else ask.labels,
            region=base.region if ask.region is None else ask.region,
            country=base.country if ask.country is None else ask.country,
            latitude_udeg=base.latitude_udeg if ask.latitude_udeg is None else ask.latitude_udeg,
            longitude_udeg=base.longitude_udeg if ask.longitude_udeg is None else ask.longitude_udeg,
            nodes={name: node for name, node in base.nodes.items() if name not in ask.remove_nodes},
            tenants=base.tenants if ask.tenants is None else ask.tenants,
            profiles=base.profiles if ask.profiles is None else ask.profiles or msgspec.UNSET,
            uplinks=base.uplinks if ask.uplinks is None else ask.uplinks or msgspec.UNSET,
            relay=base.relay if ask.relay is None else ask.relay if ask.relay.first else msgspec.UNSET,
        )
        payload = encode_payload(changed)
        read = parse_payload(payload, SiteRecord)
        if isinstance(read, Denied):
            return _refuse(read)
        denied = judge_floor(self.ledger.floors, changed, digest_of(payload))
        if denied is not None and denied.code != "E-FORK":
            return _refuse(denied, "Has the core been restored from a backup? Its numbers are behind.")
        return Signed(envelope=self.sign_record(changed))

    def _find_base(self, ask: SignSite) -> SiteRecord | Denied:
        """Return the record that a change starts from: one's own word first, then the core's with one's signature."""
        own = self.ledger.records.get(ask.site)
        if own is not None:
            return own[0]
        if ask.base is None:
            return new_record(ask.site, self.keyring)
        root = self.keyring.root_document
        read = None if root is None else parse_payload(root.payload, Root)
        if not isinstance(read, Root):
            return Denied("E-KEY", "there is no root document yet, so no record of a site can be ours")
        verified = verify_envelope(ask.base, Held(root=read), expect="site", site=ask.site)
        return verified if isinstance(verified, Denied) else verified.payload

    def _mint_token(self, ask: MintToken) -> Answer:
        root = self.keyring.root_document
        if root is None:
            return Refusal(code="E-KEY", reason="there is no root document yet that a token could pin")
        if not is_name(ask.site):
            return Refusal(code="E-NAME", reason=f"{ask.site[:80]!r} is no name")
        if not 60 <= ask.lifetime_s <= TOKEN_LIFETIME_S_MAX:
            return Refusal(code="E-LIMIT", reason=f"a join token lives 60 to {TOKEN_LIFETIME_S_MAX} s")
        token = mint_token(self.mint, root.payload)
        now_us = self.clock.wall_us()
        minted = MintedToken(site=ask.site, bind_key=bind_key(token), expires_us=now_us + ask.lifetime_s * SECOND_US)
        if token.id in self.ledger.tokens or not self.ledger.keep_token(token.id, minted, now_us):
            return Refusal(code="E-LIMIT", reason="there are too many join tokens", hint="Wait until some are over.")
        return Minted(
            token=write_token(token),
            token_id=token.id,
            site=ask.site,
            core_key=core_key(token),
            lifetime_s=ask.lifetime_s,
        )


def new_record(site: SiteName, keyring: Keyring) -> SiteRecord:
    """Return the record of a site of which nothing was said yet: it admits the tenants whose keys are held."""
    tenants = {tenant: _role(key) for tenant, key in sorted(keyring.deploy.items())}
    return SiteRecord(site=site, number=1, tenants=tenants)


def _role(key: SigningKey) -> RoleKeys:
    return RoleKeys(keys=(key.public,))


def _refuse(denied: Denied, hint: str = "") -> Refusal:
    return Refusal(code=denied.code, reason=denied.reason, hint=hint)
