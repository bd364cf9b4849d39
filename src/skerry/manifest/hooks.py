"""``post_start`` and ``pre_stop``: commands that the agent runs inside, once after each start and before each stop."""

import re

from skerry.manifest.nodes import Place, Sequence
from skerry.manifest.process import read_command, read_variables
from skerry.manifest.reading import Reading
from skerry.model.app import Hook
from skerry.model.grants import Need
from skerry.model.limits import HOOKS_MAX

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?", re.ASCII)


def read_hooks(reading: Reading, place: Place | None) -> tuple[Hook, ...]:
    """Return the commands of one of the two fields, in the order in which they run."""
    items = list(place.elements()) if place is not None and isinstance(place.node, Sequence) else []
    if len(items) > HOOKS_MAX:
        detail = f"a service has at most {HOOKS_MAX} such commands, this has {len(items)}"
        reading.findings.complain(items[HOOKS_MAX], "E-LIMIT", detail)
    found: list[Hook] = []
    for item in items[:HOOKS_MAX]:
        hook = _read_hook(reading, item)
        found += [hook] if hook is not None else []
    return tuple(found)


def _read_hook(reading: Reading, place: Place) -> Hook | None:
    command = reading.find(place, "command")
    words = read_command(reading, command)
    if not words:
        if reading.findings.is_sound(place):
            reading.findings.complain(command or place, "E-TYPE", '"command" must be given here', at_key=True)
        return None
    user = reading.find(place, "user")
    if user is not None and _USER.fullmatch(reading.text(user)) is None:
        detail = f'"{reading.text(user)[:40]}" is not a user: write NAME, UID or UID:GID'
        reading.findings.complain(user, "E-TYPE", detail)
    privileged = reading.find(place, "privileged")
    is_privileged = reading.switch(privileged)
    if privileged is not None and is_privileged:
        reading.findings.ask_grant(privileged, Need("privileged hook"))
    return Hook(
        command=words,
        user=reading.text(user),
        working_dir=reading.text(reading.find(place, "working_dir")),
        environment=read_variables(reading, reading.find(place, "environment")),
        privileged=is_privileged,
    )
