"""A site's agent is small: what it imports of trust brings PyNaCl, msgspec and the standard library, and no asyncio."""

import subprocess
import sys

PROBE = """
import sys
before = set(sys.modules)  # the machine's own start-up files among them
import skerry.trust.verify, skerry.trust.seal, skerry.trust.proof, skerry.trust.join
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
# msgspec takes typing_extensions along where it is installed.
known = set(sys.stdlib_module_names) | {"skerry", "nacl", "_cffi_backend", "msgspec", "typing_extensions"}
print(sorted(root for root in roots if root not in known and not root.startswith("_")))
print(sorted(roots & {"asyncio", "socket", "ssl", "logging", "email", "http", "cryptography", "subprocess"}))
"""


def test_the_agents_part_of_trust_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-I", "-c", PROBE], capture_output=True, text=True, check=True)
    strangers, heavy = done.stdout.splitlines()
    assert strangers == "[]"
    assert heavy == "[]"
