"""Backups of a simulated core by the way of the commands: real files, the real program, the same stories."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import msgspec

from skerry.keys.file import keep_seed
from skerry.safe.paths import RealDirectory
from skerry.sim import guard
from skerry.sim.backups import Backups
from skerry.store import Connection


class CommandBackups(Backups):
    """Lays the database down as a stopped core's file, and types what a person would."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "state" / "skerry" / "core"
        self.count = 0

    def type(self, *words: str, code: int = 0) -> str:
        """Run one command line and look at its exit code."""
        places = {f"XDG_{name}_HOME": str(self.home / name.lower()) for name in ("CONFIG", "STATE")}
        done = subprocess.run(
            [sys.executable, "-m", "skerry", "core", *words],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), **places},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def take(self, database: Connection, seed: bytes, now_us: int) -> Any:
        guard.end()
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            if not (self.data / "keys").exists():
                directory = RealDirectory.open_root(self.data)
                keep_seed(directory.enter("keys", create=True), "delivery.key", "ed25519", seed)
            raw: Any = database.connection.dbapi_connection.raw  # type: ignore[union-attr]
            laid = self.data / "core.db"
            laid.unlink(missing_ok=True)
            with apsw.Connection(str(laid)) as into, into.backup("main", raw, "main") as copy:
                copy.step(-1)
            self.count += 1
            file = self.home / f"{self.count}.backup"
            assert "backed up" in self.type("backup", str(file))
            return file
        finally:
            guard.begin()

    def make_database(self, backup: Any) -> Any:
        guard.end()
        try:
            assert "restored" in self.type("restore", str(backup), "--overwrite")
            raw = apsw.Connection(":memory:")
            with apsw.Connection(str(self.data / "core.db")) as source, raw.backup("main", source, "main") as copy:
                copy.step(-1)
            found = msgspec.json.decode(self.type("doctor", "-o", "json", code=3))["checks"]
            # The story's time is not ours, and blobs are no part of a backup; all else is as it should be.
            assert {each["name"] for each in found if each["verdict"] == "bad"} == {"clock", "images"}
            assert {"integrity", "rows", "schema", "certificates"} <= {each["name"] for each in found}
            return raw
        finally:
            guard.begin()
