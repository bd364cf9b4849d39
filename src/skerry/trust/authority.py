"""From an envelope to a payload that someone with the right to say it has said (trust.md §6, steps 1, 3, 5 and 6).

Rules: (1) nothing is parsed before a held key of the kind's role was seen to have signed exactly these bytes; (2) a
tenant speaks with its own deploy keys as the registrar's record names them, and with no other; (3) thresholds count
distinct keys; (4) a key id only says which key to try.
"""

import msgspec

from skerry.model.app import AppRevision
from skerry.model.ids import KeyId
from skerry.model.signed import (
    KINDS,
    Area,
    Call,
    DocumentHead,
    Envelope,
    Kind,
    OverlayKey,
    PublicKey,
    RoleKeys,
    Root,
    Secret,
    SiteRecord,
    Tombstone,
    UserGroup,
)
from skerry.trust.envelope import check_form, kind_of, pre_authentication
from skerry.trust.held import Held
from skerry.trust.keys import key_id, verify_signature
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied


def open_envelope(envelope: Envelope, held: Held, expect: Kind) -> msgspec.Struct | Denied:
    """Check form, kind, signatures and threshold and parse; place and number are the caller's to judge."""
    denied = check_kind(envelope, expect)
    if denied is not None:
        return denied
    signers = _find_signers(envelope, expect, _candidates(expect, held))
    if isinstance(signers, Denied):
        return signers
    payload = parse_payload(envelope.payload, KINDS[expect].payload)
    if isinstance(payload, Denied):
        return payload
    role = role_of(payload, held)
    if isinstance(role, Denied):
        return role
    present = len(signers & set(role.keys))
    if present < role.threshold:
        reason = f"{present} of the {role.threshold} signatures that this {expect} needs"
        return Denied("E-KEY", reason, security=True)
    return payload


def reopen_envelope(envelope: Envelope, held: Held, expect: Kind) -> msgspec.Struct | Denied:
    """Read an object whose digest was accepted before: its signature held then, and its key may have ended since.

    Its tenant must still be admitted.
    """
    denied = check_kind(envelope, expect)
    if denied is not None:
        return denied
    payload = parse_payload(envelope.payload, KINDS[expect].payload)
    if isinstance(payload, Denied):
        return payload
    role = role_of(payload, held)
    return role if isinstance(role, Denied) else payload


def check_kind(envelope: Envelope, expect: Kind) -> Denied | None:
    """Check the envelope's form, and that it says it is of the kind that belongs here."""
    denied = check_form(envelope)
    if denied is not None:
        return denied
    kind = kind_of(envelope)
    if isinstance(kind, Denied):
        return kind
    return None if kind == expect else Denied("E-KIND", f"a {kind} stands where a {expect} belongs", security=True)


def role_of(payload: msgspec.Struct, held: Held) -> RoleKeys | Denied:
    """Return whose signatures a payload needs, by what is held."""
    match payload:
        case Root():
            return held.root.root
        case SiteRecord():
            return held.root.registrar
        case DocumentHead():
            return held.root.delivery
        case AppRevision() | Tombstone() | Secret() | Area() | UserGroup() | Call():
            tenants = {} if held.site_record is None else held.site_record.tenants
            reason = f"tenant {payload.tenant} is not admitted here"
            return tenants.get(payload.tenant) or Denied("E-TENANT", reason)
        case OverlayKey():
            return _device_role(payload, held)
        case _:
            return Denied("E-KIND", "no signed kind")


def _candidates(kind: Kind, held: Held) -> tuple[RoleKeys, ...]:
    """Return the keys of the kind's role; which tenant's they must be is known only after parsing."""
    match KINDS[kind].role:
        case "root":
            return (held.root.root,)
        case "registrar":
            return (held.root.registrar,)
        case "delivery":
            return (held.root.delivery,)
        case "deploy":
            return () if held.site_record is None else tuple(held.site_record.tenants.values())
        case "device":
            nodes = {} if held.site_record is None else held.site_record.nodes
            return tuple(RoleKeys(keys=(node.device,)) for node in nodes.values())


def _device_role(payload: OverlayKey, held: Held) -> RoleKeys | Denied:
    """A device speaks for its own node, as the registrar's record of its site names both."""
    record = held.site_record
    if record is None or record.site != payload.site:
        return Denied("E-SITE", f"the record of site {payload.site} is not at hand")
    node = record.nodes.get(payload.node)
    if node is None:
        return Denied("E-KEY", f"site {payload.site} has no node {payload.node}", security=True)
    return RoleKeys(keys=(node.device,))


def _find_signers(envelope: Envelope, kind: Kind, candidates: tuple[RoleKeys, ...]) -> set[PublicKey] | Denied:
    """Return the held keys that signed exactly these bytes; one bad signature by a held key spoils the whole."""
    keys: dict[KeyId, PublicKey] = {key_id(key): key for role in candidates for key in role.keys}
    message = pre_authentication(envelope.type, envelope.payload)
    signers: set[PublicKey] = set()
    for signature in envelope.signatures:
        key = keys.get(signature.key)
        if key is None:
            continue
        if not verify_signature(key, message, signature.sig):
            return Denied("E-SIGNATURE", f"a signature by key {signature.key} does not match the {kind}", security=True)
        signers.add(key)
    return signers or Denied("E-KEY", f"no key that may sign a {kind} here has signed it", security=True)
