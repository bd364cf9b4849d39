"""The signer as a process: keyring, ledger, socket and chores put together. ``app`` gives it settings and a core."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from skerry.clock import SECOND_US, Clock, Mint, Tasks
from skerry.keys.keyring import open_keyring
from skerry.safe.paths import RealDirectory
from skerry.signer.chores import Chores, CoreApi
from skerry.signer.desk import SignerDesk
from skerry.signer.ledger import Ledger
from skerry.signer.server import SignerServer


class SignerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a signer lives."""

    #: Directory of the keys; nobody but the signer's user may enter it.
    keyring: Path
    #: The Unix socket that people's programs use.
    socket: Path
    #: Who may use it: its owner, or with 0o660 a group too.
    socket_mode: int = 0o600
    #: How often the core is asked for boxes that wait.
    poll_us: int = 2 * SECOND_US


async def run_signer(
    settings: SignerSettings,
    core: CoreApi | None,
    clock: Clock,
    mint: Mint,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until cancelled; raise when a chore breaks. Without a core only asks are answered.

    ``ready`` is called once the socket listens. Raises ``StoreLocked`` when another signer has the keyring open,
    ``KeyDamaged`` when a key is not what it was.
    """
    directory = RealDirectory.open_root(settings.keyring)
    lock = directory.lock("signer.lock")
    tasks = Tasks()
    try:
        desk = SignerDesk(open_keyring(directory, mint), Ledger(directory), mint, clock)
        async with SignerServer(desk, clock, tasks).serve(settings.socket, settings.socket_mode):
            ready()
            if core is not None:
                tasks.start("signer.chores", Chores(desk, core).run(clock, settings.poll_us))
            raise await tasks.wait_failed()
    finally:
        await tasks.stop()
        lock.release()
        directory.close()
