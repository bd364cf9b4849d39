"""A new core of this machine gets keys, first tenant and first tokens; for systemd's core by ``skerry core install``.

Every step may be repeated: what was interrupted goes on, and a core that has an operator already is left alone. Used by
``up`` too, which starts a core and a signer of its own; here they run already.
"""

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from skerry.cli.options import pass_session
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.model.errors import NotAllowed, NotFound, Refused
from skerry.model.ids import TenantName
from skerry.sdk import contexts
from skerry.sdk.client import Client
from skerry.sdk.contexts import Context
from skerry.sdk.founding import found_core, make_signer_token
from skerry.sdk.signing import SignerClient

CONTEXT = "local"
#: Where packaging/settings/ puts things.
CORE_DATA, SIGNER_SOCKET = "/var/lib/skerry/core", "/run/skerry-signer/signer.sock"
SIGNER_CORE = "/var/lib/skerry/signer/core.json"


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """Where a core and a signer of this machine are, and where this person's contexts are."""

    url: str
    #: The core's data; a new core leaves the token of its first visitor in it.
    data: Path
    signer_socket: Path
    #: The file that tells the signer where the core is.
    signer_core: Path
    config: Path

    @property
    def bootstrap(self) -> Path:
        """Where the token of the first visitor is."""
        return self.data / "bootstrap.token"


@click.command()
@click.option("--url", default="http://127.0.0.1:7710", show_default=True, help="Address of the core's API.")
@click.option("--data", default=CORE_DATA, show_default=True, help="Where the core's data is.")
@click.option("--signer", default=SIGNER_SOCKET, show_default=True, help="The signer's socket.")
@click.option("--signer-core", default=SIGNER_CORE, show_default=True, help="Where the signer reads of its core.")
@pass_session
def install(session: Session, url: str, data: str, signer: str, signer_core: str) -> None:
    """Give the core that systemd runs on this machine its keys, its first tenant and a context; as root."""
    ground = Ground(
        url=url,
        data=Path(data),
        signer_socket=Path(signer),
        signer_core=Path(signer_core),
        config=session.places.config,
    )
    if not ground.signer_core.parent.is_dir():
        detail = (
            f"There is no {ground.signer_core.parent}: this is for core and signer as services, from their packages."
        )
        raise Refused("E-FILE", detail, hint="skerry up starts a core without them")
    try:
        found(ground)
    except PermissionError as error:
        raise Refused("E-FILE", f"{error.filename} may not be read or written: run this as root.") from error
    tell(f"the core answers at {url}; context {CONTEXT} is used from now on")
    tell("Next: skerry site add NAME, and paste the line it prints on a box")


def found(ground: Ground) -> Context:
    """Return the context of a core; a new core is founded first. Goes on where it was interrupted.

    Raises ``Refused`` for a core that has an operator whose context is not here, and as clients do.
    """
    context = _found_new(ground) or _read_known(ground)
    contexts.write_context(ground.config, CONTEXT, context)
    contexts.use_context(ground.config, CONTEXT)
    if not ground.signer_core.exists():
        with Client.from_context(context) as client:
            _write_private(ground.signer_core, {"url": ground.url, "token": make_signer_token(client)})
    # Ended by the first operator's token; a left-over file would only mislead.
    ground.bootstrap.unlink(missing_ok=True)
    return context


def _found_new(ground: Ground) -> Context | None:
    """Found a core that has nobody yet; None for one that has."""
    try:
        bootstrap = ground.bootstrap.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    tenant = TenantName("default")
    with SignerClient(ground.signer_socket) as signer, Client(ground.url, bootstrap) as client:
        try:
            token = found_core(client, signer, tenant)
        except NotAllowed:
            # The first operator's token was used, which ends this one; the core removes the file at its next start.
            return None
    return Context(url=ground.url, token=token, tenant=tenant, signer=str(ground.signer_socket))


def _read_known(ground: Ground) -> Context:
    try:
        known = contexts.read_context(ground.config, CONTEXT)
    except NotFound:
        detail = f"The core in {ground.data} has an operator already, and there is no context {CONTEXT!r}."
        raise Refused("E-CONTEXT", detail, hint=f"skerry context set {CONTEXT} --url {ground.url}") from None
    return msgspec.structs.replace(known, url=ground.url, signer=str(ground.signer_socket))


def _write_private(path: Path, content: dict[str, Any]) -> None:
    """Write a file that only the owner of its folder may read, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        sink.write(msgspec.json.encode(content) + b"\n")
        if os.geteuid() == 0:
            # The signer that systemd runs is a user of its own.
            owner = path.parent.stat()
            os.fchown(sink.fileno(), owner.st_uid, owner.st_gid)
    fresh.replace(path)
