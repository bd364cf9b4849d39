"""The contract of drivers with the real ones at a site of the lab, part by part, for both kinds of links."""

import json
import subprocess
import sys

from tests.e2e.driver_probe import PARTS, list_checks
from tests.e2e.lab import CHECKOUT, Lab

#: Only ends what hangs: a part takes a minute.
PART_S_MAX = 300


def observe(links: str) -> dict[str, str]:
    """Run every check with links by ``podman`` or by ``skerry``; the trace of each, empty where it held."""
    with Lab(["one"]) as lab:
        site = lab.sites["one"]
        program = ("env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", "tests.e2e.driver_probe")
        found: dict[str, str] = {}
        for part in PARTS:
            if list_checks(part, links):
                argv = site.argv(*program, site.agent_folder, site.podman_socket, part, links)
                said = subprocess.run(
                    argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PART_S_MAX, check=True
                )
                found |= json.loads(said.stdout)
        return found
