"""What a client believes of what a core brings: signed objects, verified by what the client's own signer holds.

A core that made up a site record could have secrets sealed to its own key; one that changed an old revision could have
it signed again. So both are checked here before anything is sealed or signed.
"""

from skerry.model.app import AppRevision
from skerry.model.errors import Invalid, Refused
from skerry.model.ids import TenantName
from skerry.model.signed import Definition, DefinitionKind, Envelope, Root, SiteRecord
from skerry.model.signing import SignerStatus
from skerry.trust.held import Held, hold_tenants
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope


def read_root(root: Envelope | None) -> Root:
    """Return the root document that the signer holds; raises ``Refused`` when it has none yet."""
    if root is None:
        raise Refused("E-NO-ROOT", "The signer has no root document yet.", hint="skerry up")
    found = parse_payload(root.payload, Root)
    if isinstance(found, Denied):
        raise Invalid(found.code, f"The signer's root document cannot be read: {found.reason}.")
    return found


def read_record(envelope: Envelope, root: Envelope | None) -> SiteRecord:
    """Return a site's record when the registrar of the signer's root has signed it; raises ``Invalid``."""
    verified = verify_envelope(envelope, Held(root=read_root(root)), expect="site")
    if isinstance(verified, Denied):
        raise Invalid(verified.code, f"The core brings a site record that is not good: {verified.reason}.")
    return verified.payload


def read_revision(envelope: Envelope, status: SignerStatus, tenant: TenantName) -> AppRevision:
    """Return a revision when the tenant's own deploy key has signed it; raises ``Invalid``."""
    tenants = {name: keys for name, keys in status.tenants.items() if name == tenant}
    verified = verify_envelope(envelope, hold_tenants(read_root(status.root), tenants, {}), expect="revision")
    if isinstance(verified, Denied):
        raise Invalid(verified.code, f"The core brings a revision that is not good: {verified.reason}.")
    return verified.payload


def read_definition(envelope: Envelope, status: SignerStatus, tenant: TenantName, kind: DefinitionKind) -> Definition:
    """Return an area or a group of users when the tenant's own deploy key has signed it; raises ``Invalid``."""
    tenants = {name: keys for name, keys in status.tenants.items() if name == tenant}
    verified = verify_envelope(envelope, hold_tenants(read_root(status.root), tenants, {}), expect=kind)
    if isinstance(verified, Denied):
        what = "an area" if kind == "area" else "a group of users"
        raise Invalid(verified.code, f"The core brings {what} that is not good: {verified.reason}.")
    return verified.payload
