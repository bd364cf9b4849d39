"""Gives ``interrupted_probe`` a node of its own; as a program it kills an agent at each command, for ``./dev long``."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.e2e.lab import CHECKOUT

from skerry.berths.namespaces import Place, hold_folder, release_folder

#: A hundred agents of two seconds each, on a machine that others use too.
PROBE_S_MAX = 1_500


def kill_agents(folder: Path, first: int, step: int) -> dict[str, Any]:
    """Kill agents at every ``step``-th command from the ``first``; say what was wrong and how many were killed."""
    hold_folder(folder / "ns")
    place = Place(folder / "ns", "node", folder / "disk")
    place.disk.mkdir()
    try:
        place.create()
        # The name server runs as a user of its own, who gets to no folder of a test's.
        place.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        words = (sys.executable, "-m", "tests.e2e.interrupted_probe", "/run/probe", first, step)
        command = place.argv("env", "-C", CHECKOUT, *words)
        done = subprocess.run(command, text=True, capture_output=True, timeout=PROBE_S_MAX, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        place.destroy()
        release_folder(folder / "ns")


def main() -> None:
    """Kill an agent at each command, write what came of it, and fail where anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_agents(Path(folder), 1, 1)
    text = json.dumps(found, indent=1)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n")
    sys.exit(1 if found["wrong"] else 0)


if __name__ == "__main__":
    main()
