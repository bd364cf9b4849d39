"""From the names that Compose allows to those that Skerry has: lower case, digits and hyphens, at most 63.

``db_data`` becomes ``db-data``; the report says so, and a service keeps the old name as a further one in its networks.
Two names that would become one are refused.
"""

import hashlib
import re

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Place
from skerry.model.ids import is_name

_FOREIGN = re.compile(r"[^a-z0-9-]+", re.ASCII)


def to_name(text: str) -> str:
    """Return the nearest name; empty when nothing of ``text`` can stand in one."""
    return _FOREIGN.sub("-", text.lower()).strip("-")[:63].strip("-")


def make_name(*words: str) -> str:
    """Make one name of several words: readable, and with a digest behind that other words do not share."""
    digest = hashlib.sha256("/".join(words).encode()).hexdigest()[:8]
    return f"{to_name('-'.join(words))[:54].rstrip('-')}-{digest}"


def translate_names(place: Place | None, noun: str, findings: Findings) -> dict[str, str]:
    """Map each key below ``place`` to its name in Skerry; a key that gets none is left out, with a problem."""
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for written, child in place.entries() if place is not None else ():
        name = written if is_name(written) else to_name(written)
        if not name or len(written) > 63:
            findings.complain(child, "E-TYPE", f'"{written[:80]}" cannot be the name of a {noun}', at_key=True)
        elif name in taken:
            detail = f'{noun} "{written}" and {noun} "{taken[name]}" would both be called {name}'
            findings.complain(child, "E-CONFLICT", detail, at_key=True)
        else:
            taken[name] = written
            found[written] = name
            if name != written:
                findings.note(child, "translated", f"it is called {name}")
    return found
