"""How long the command line takes, whole processes, best of seven: help, completion, a read, this box's agent.

A core and a signer of its own are started with ``skerry up`` in a temporary folder and stopped again; the agent is a
socket that answers as one does. The baseline of every row is Python doing nothing, in the same run. Goals:
interfaces.md §1.3. `--json FILE` writes the rows; ``measure`` gives them to other benchmarks.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

#: The fastest of many is what the machine's other work disturbed least.
TRIES = 21
SITES = 20
PYTHON = sys.executable
SKERRY = str(pathlib.Path(sys.executable).with_name("skerry"))

#: An answer of an agent of ten instances (agent/status.py).
STATUS = {
    "joined": True,
    "site": "oslo",
    "node": "node-1",
    "link": "up",
    "link_reason": "",
    "link_since_s": 40,
    "epoch": 1,
    "generation": 7,
    "settled": True,
    "instances": [
        {
            "instance": f"default/shop/s{n}/0",
            "phase": "ready",
            "health": "healthy",
            "reason": "",
            "restarts": 0,
            "ports": {},
        }
        for n in range(10)
    ],
    "waits": [],
    "outbox": 0,
    "passes": 9,
    "boot": "b",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    rows = measure()
    print(f"{'id':<18}{'seconds':>9}{'goal':>8}{'python':>9}{'ratio':>8}  holds")
    for row in rows:
        numbers = f"{row['value']:>9.3f}{row['goal']:>8.3f}{row['baseline']:>9.3f}{row['ratio']:>8.1f}"
        print(f"{row['id']:<18}{numbers}  {'yes' if row['holds'] else 'no'}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    return 0


def measure() -> list[dict[str, Any]]:
    """Run all of it and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        env = os.environ | {
            "XDG_CONFIG_HOME": folder,
            "XDG_STATE_HOME": folder,
            "XDG_RUNTIME_DIR": folder,
            "SKERRY_AGENT_SOCKET": str(place / "agent.sock"),
        }
        ports = [str(port) for port in find_ports(2)]
        run([SKERRY, "up", "--sites", "0", "-d", "--api-port", ports[0], "--link-port", ports[1]], env)
        try:
            for number in range(SITES):
                run([SKERRY, "site", "add", f"site-{number}"], env)
            serve_agent(place / "agent.sock")
            complete = {"_SKERRY_COMPLETE": "bash_complete", "COMP_WORDS": "skerry si", "COMP_CWORD": "1"}
            nothing = time_best([PYTHON, "-c", "pass"], env)
            runs: list[tuple[str, str, list[str], dict[str, str], float]] = [
                ("cli-help", "skerry --help", ["--help"], {}, 0.150),
                ("cli-completion", "completing a word", [], complete, 0.120),
                ("cli-site-list", f"site list, {SITES} sites, a core on this machine", ["site", "list"], {}, 0.400),
                ("cli-agent-status", "skerry agent status", ["agent", "status"], {}, 0.150),
            ]
            return [
                make_row(name, what, time_best([SKERRY, *words], env | more), goal, nothing)
                for name, what, words, more, goal in runs
            ]
        finally:
            run([SKERRY, "down"], env)


def make_row(name: str, what: str, value: float, goal: float, baseline: float) -> dict[str, Any]:
    return {
        "id": name,
        "what": f"{what}: whole process, best of {TRIES}",
        "value": round(value, 4),
        "unit": "s",
        "baseline": round(baseline, 4),
        "ratio": round(value / baseline, 2),
        "goal": goal,
        "holds": value <= goal,
    }


def time_best(command: list[str], env: dict[str, str]) -> float:
    """Seconds of the fastest of some runs: what is slower is the machine's other work."""
    found: list[float] = []
    for _ in range(TRIES):
        started = time.perf_counter()
        run(command, env)
        found.append(time.perf_counter() - started)
    return min(found)


def run(command: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(command, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stderr.decode(errors='replace')}")


def find_ports(count: int) -> list[int]:
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in opened]
    for each in opened:
        each.close()
    return ports


def serve_agent(path: pathlib.Path) -> None:
    """Answer on a Unix socket for as long as this process lives."""
    body = json.dumps(STATUS).encode()
    answer = b"HTTP/1.1 200 .\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            with listener.accept()[0] as client:
                client.recv(4096)
                client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
