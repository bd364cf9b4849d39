"""A person's keyring: operator root and registrar, a deploy key per tenant, a sealing key, the signed root document.

It belongs to the signer's process alone and lies outside every directory of the core. Rules: (1) keys are made once, at
first use, and the root key last, so that a keyring with a root key is complete; (2) what was signed with a lost key
shows that the key was there: then nothing new is made; (3) the root document is signed once, until root chains exist.
"""

from skerry.clock import Mint
from skerry.keys.file import KeyDamaged, keep_seed, make_seed, read_seed
from skerry.model.ids import TenantName, is_name
from skerry.model.signed import Envelope
from skerry.safe.files import read_durable, remove_durable, settle, write_durable
from skerry.safe.paths import Directory
from skerry.trust.backup import KeyBackup
from skerry.trust.envelope import ENVELOPE_JSON_BYTES_MAX, decode_envelope_json, encode_envelope_json
from skerry.trust.keys import SigningKey
from skerry.trust.verdict import Denied

#: The tenant that ``skerry up`` makes without being asked.
FIRST_TENANT = TenantName("default")

_ROOT_DOCUMENT = "root.json"


class Keyring:
    """The keys of one person, loaded. Made by ``open_keyring``."""

    def __init__(self, directory: Directory, mint: Mint) -> None:
        self._directory = directory
        self._mint = mint
        self.registrar = SigningKey.from_seed(_open_seed(directory, "registrar.key", "ed25519", mint))
        #: Secrets are sealed to this key too, so that they can be sealed again for nodes that join later.
        self.sealing_seed = _open_seed(directory, "sealing.key", "x25519", mint)
        # A folder of their own: a tenant may have any name, also one that a file beside them has.
        self._deploy = directory.enter("deploy", create=True)
        self.deploy = _load_deploy_keys(self._deploy)
        if not self.deploy:
            if directory.size("root.key") is not None:
                raise KeyDamaged(f"deploy/{FIRST_TENANT}")
            self.add_tenant(FIRST_TENANT)
        self.root = SigningKey.from_seed(_open_seed(directory, "root.key", "ed25519", mint))
        self.root_document = _read_root_document(directory)

    def add_tenant(self, tenant: TenantName) -> SigningKey:
        """Return the tenant's deploy key, made when it is new. Raise ValueError for what is no name."""
        if not is_name(tenant):
            raise ValueError(f"{tenant!r} is no tenant's name")
        present = self.deploy.get(tenant)
        if present is not None:
            return present
        seed = make_seed(self._deploy, tenant, "ed25519", self._mint)
        self.deploy[tenant] = SigningKey.from_seed(seed)
        return self.deploy[tenant]

    def keep_root_document(self, envelope: Envelope) -> None:
        """Keep the signed root document 1; it is what join tokens pin."""
        write_durable(self._directory, _ROOT_DOCUMENT, encode_envelope_json(envelope))
        self.root_document = envelope

    def read_backup(self) -> KeyBackup:
        """Return the secret halves as they lie on the disk; raise ``ValueError`` before the root document is signed."""
        if self.root_document is None:
            raise ValueError("nothing was signed with these keys yet")
        return KeyBackup(
            root=_read_seed(self._directory, "root.key", "ed25519"),
            registrar=_read_seed(self._directory, "registrar.key", "ed25519"),
            sealing=_read_seed(self._directory, "sealing.key", "x25519"),
            deploy={tenant: _read_seed(self._deploy, tenant, "ed25519") for tenant in sorted(self.deploy)},
            root_document=self.root_document,
        )

    def take_backup(self, backup: KeyBackup) -> None:
        """Have the keys of a backup in the place of keys that never signed anything.

        The root document is written last: until then a power cut leaves a keyring that may be given the backup again.
        Raise ``ValueError`` when something was signed with these keys, or the backup is not whole.
        """
        if self.root_document is not None:
            raise ValueError("these keys have signed a root document")
        keys = {tenant: SigningKey.from_seed(seed) for tenant, seed in backup.deploy.items() if is_name(tenant)}
        if len(keys) != len(backup.deploy):
            raise ValueError("the backup names tenants that are none")
        for tenant in sorted(self.deploy.keys() - keys.keys()):
            remove_durable(self._deploy, tenant)
        for tenant, seed in sorted(backup.deploy.items()):
            keep_seed(self._deploy, tenant, "ed25519", seed)
        keep_seed(self._directory, "registrar.key", "ed25519", backup.registrar)
        keep_seed(self._directory, "sealing.key", "x25519", backup.sealing)
        keep_seed(self._directory, "root.key", "ed25519", backup.root)
        self.deploy = keys
        self.registrar, self.root = SigningKey.from_seed(backup.registrar), SigningKey.from_seed(backup.root)
        self.sealing_seed = backup.sealing
        self.keep_root_document(backup.root_document)


def open_keyring(directory: Directory, mint: Mint) -> Keyring:
    """Load the keyring, making what is missing in a new one. Raise ``KeyDamaged`` when a key was there and is not."""
    settle(directory)
    names = directory.names()
    if "root.key" not in names and any(name.startswith((_ROOT_DOCUMENT, "ledger", "root.key.")) for name in names):
        raise KeyDamaged("root.key")
    if "root.key" in names:
        for name in ("registrar.key", "sealing.key"):
            if name not in names:
                raise KeyDamaged(name)
    return Keyring(directory, mint)


def _read_seed(directory: Directory, name: str, kind: str) -> bytes:
    seed = read_seed(directory, name, kind)
    if seed is None:
        raise KeyDamaged(name)
    return seed


def _open_seed(directory: Directory, name: str, kind: str, mint: Mint) -> bytes:
    return read_seed(directory, name, kind) or make_seed(directory, name, kind, mint)


def _load_deploy_keys(directory: Directory) -> dict[TenantName, SigningKey]:
    settle(directory)
    names = {name.removesuffix(".prev") for name in directory.names()}
    seeds = {TenantName(name): read_seed(directory, name, "ed25519") for name in sorted(names)}
    return {tenant: SigningKey.from_seed(seed) for tenant, seed in seeds.items() if seed is not None}


def _read_root_document(directory: Directory) -> Envelope | None:
    found = read_durable(directory, _ROOT_DOCUMENT, limit=ENVELOPE_JSON_BYTES_MAX)
    if found is None:
        if directory.size(_ROOT_DOCUMENT) is not None:
            raise KeyDamaged(_ROOT_DOCUMENT)
        return None
    envelope = decode_envelope_json(found.content)
    if isinstance(envelope, Denied):
        raise KeyDamaged(_ROOT_DOCUMENT)
    return envelope
