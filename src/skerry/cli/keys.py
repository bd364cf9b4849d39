"""``skerry key``: the keys that the signer holds. Their secret halves leave it only sealed by a passphrase."""

import base64
import sys
from pathlib import Path

import click
import msgspec

from skerry.cli.asking import confirm, read_secret
from skerry.cli.names import complete_keys
from skerry.cli.options import pass_session, with_yes
from skerry.cli.output import Column, show_list, show_value, tell, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.errors import NotFound, Refused
from skerry.model.signed import Root
from skerry.model.signing import SignerStatus
from skerry.trust.backup import BACKUP_BYTES_MAX, find_passphrase_flaw
from skerry.trust.keys import key_id
from skerry.trust.parse import parse_payload

_SIGNS = {
    "root": "root documents",
    "registrar": "site records",
    "deploy": "revisions, tombstones, secrets and calls of its tenant",
    "sealing": "nothing: secrets are sealed to it, so that they can be sealed again for new nodes",
}


class HeldKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a key that the signer holds."""

    name: str
    type: str
    key_id: str
    public: str
    signs: str


_KEYS: tuple[Column[HeldKey], ...] = (
    Column("key", lambda key: key.name),
    Column("type", lambda key: key.type),
    Column("id", lambda key: key.key_id),
    Column("signs", lambda key: key.signs, wide=True),
)


@click.command()
@with_output
@pass_session
def list_keys(session: Session, output: str) -> None:
    """List the keys that the signer holds."""
    show_list(_read_keys(session.signer.read_status()), _KEYS, output, lambda key: f"key/{key.name}")


@click.command()
@click.argument("name", shell_complete=complete_keys)
@with_output
@pass_session
def show(session: Session, name: str, output: str) -> None:
    """Show the public half of a key, by its name or id, and what it signs."""
    found = [key for key in _read_keys(session.signer.read_status()) if name in (key.name, key.key_id)]
    if not found:
        raise NotFound("E-NOT-FOUND", f"The signer holds no key {name!r}.", hint="skerry key list")
    pairs = [*((column.title, column.read(found[0])) for column in _KEYS), ("public half", found[0].public)]
    show_value(found[0], output, f"key/{found[0].name}", lambda: write_pairs(pairs))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--passphrase-file", metavar="FILE", help="Read the passphrase from here; - is stdin.")
@pass_session
def backup(session: Session, file: Path, passphrase_file: str | None) -> None:
    """Write all keys to FILE, which only a passphrase opens; keep it away from this machine.

    The file holds what nobody can make again: with the keys lost, every site has to be joined anew. Nothing of what
    runs depends on it. Secrets and join tokens are not in it.
    """
    if file.exists():
        raise Refused("E-OVERWRITE", f"{file} is there already.", hint="skerry key backup ANOTHER-FILE")
    passphrase = _ask_twice(session, passphrase_file)
    content = session.signer.back_up_keys(passphrase)
    _write(file, content)
    count = len(_read_keys(session.signer.read_status()))
    tell(f"{count} keys are in {file}; without the passphrase it is worth nothing")
    tell("Next: keep it elsewhere. `skerry key recover FILE` puts it into a new signer.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--passphrase-file", metavar="FILE", help="Read the passphrase from here; - is stdin.")
@with_yes
@pass_session
def recover(session: Session, file: Path, passphrase_file: str | None, yes: bool) -> None:
    """Give a new signer the keys of a backup. One that has signed anything keeps its own.

    Sites and core go on as they are: they know these keys. Secrets are to be set once more for nodes that join later.
    """
    with file.open("rb") as source:
        content = source.read(BACKUP_BYTES_MAX + 1)
    passphrase = read_secret(session, "Passphrase", passphrase_file)
    confirm(session, "Give the signer these keys in the place of its own, unused ones?", yes=yes)
    status = session.signer.recover_keys(content, passphrase)
    tell(f"the signer holds {len(_read_keys(status))} keys of {status.trust_domain}")
    tell("Next: skerry key list")


def _read_keys(status: SignerStatus) -> list[HeldKey]:
    root = None if status.root is None else parse_payload(status.root.payload, Root)
    named = [] if not isinstance(root, Root) else [("root", root.root.keys), ("registrar", root.registrar.keys)]
    named += [(f"deploy/{tenant}", role.keys) for tenant, role in sorted(status.tenants.items())]
    named += [("sealing", (status.sealing,))]
    return [
        HeldKey(
            name=name,
            type=key.type,
            key_id=key_id(key),
            public=base64.b64encode(key.key).decode(),
            signs=_SIGNS[name.partition("/")[0]],
        )
        for name, keys in named
        for key in keys
    ]


def _ask_twice(session: Session, file: str | None) -> bytes:
    passphrase = read_secret(session, "Passphrase", file)
    if flaw := find_passphrase_flaw(passphrase):
        raise Refused("E-PASSPHRASE", f"{flaw[0].upper()}{flaw[1:]}.", hint="skerry key backup --help")
    if file is None and sys.stdin.isatty() and read_secret(session, "Once more") != passphrase:
        raise Refused("E-PASSPHRASE", "The two passphrases differ.", hint="skerry key backup --help")
    return passphrase


def _write(file: Path, content: bytes) -> None:
    """Write a file that only we may read, whole and durable, in the place of none."""
    import os

    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
    except OSError as error:
        raise Refused(
            "E-FILE", f"{file} cannot be written: {error.strerror}.", hint="skerry key backup FILE"
        ) from error
