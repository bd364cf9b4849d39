"""What the resident agent loads and weighs: memory on a small box is spent on purpose (interfaces.md §7)."""

import subprocess
import sys

FORBIDDEN = (
    "click",
    "cryptography",
    "httptools",
    "httpx",
    "httpx2",
    "jsonschema",
    "libvirt",
    "litestar",
    "numpy",
    "podman",
    "pyroute2",
    "requests",
    "rich",
    "ruamel",
    "scipy",
    "shapely",
    "sqlalchemy",
    "sushy",
    "uvicorn",
    "uvloop",
    "yaml",
)

PROGRAM = """
import sys
import skerry.agent.host
print(*sorted({name.split('.')[0] for name in sys.modules}))
with open('/proc/self/status') as status:
    print(next(line.split()[1] for line in status if line.startswith('VmRSS')))
"""


def load_agent() -> tuple[set[str], int]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    modules, rss_kib = done.stdout.splitlines()
    return set(modules.split()), int(rss_kib)


def test_the_agent_loads_nothing_it_does_not_need_and_stays_small():
    modules, rss_kib = load_agent()
    assert not modules & set(FORBIDDEN)
    # 45 MB idle is the whole agent's limit; a journal, keys and an open link take about 7 MB on top of its code.
    assert rss_kib <= 40 * 1024
