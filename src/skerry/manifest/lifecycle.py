"""When an instance starts, is well, stops and starts again: healthcheck, health, restart, depends_on, grace.

Times are microseconds. Neighbour: ``meaning.py`` checks what several services say together.
"""

import re
from collections.abc import Mapping as Names
from typing import Literal

import msgspec

from skerry.manifest.nodes import Place, Sequence
from skerry.manifest.reading import Reading
from skerry.manifest.values import HealthWords
from skerry.model.app import HealthCheck, Probe, Restart
from skerry.model.ids import ServiceName, is_page

Condition = Literal["started", "healthy", "completed"]

_CONDITIONS: dict[str, Condition] = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}
_POLICIES: dict[str, Literal["no", "always", "on-failure", "unless-stopped"]] = {
    "no": "no",
    "always": "always",
    "on-failure": "on-failure",
    "unless-stopped": "unless-stopped",
}
_SWARM_POLICIES = {"none": "no", "on-failure": "on-failure", "any": "always"}
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]{1,8}(?:[+-][0-9]{1,2})?|[1-9][0-9]?", re.ASCII)
_ATTEMPTS_MAX = 1_000_000
_RETRIES_MAX = 1_000
#: Compose's default; the agent waits as long before it kills.
_GRACE_US = 10_000_000


class Dependency(msgspec.Struct, frozen=True):
    """One service that must have come so far first."""

    service: ServiceName
    condition: Condition
    place: Place
    #: What depends on it starts again with it.
    is_followed: bool = False


def read_health(reading: Reading, place: Place | None) -> HealthCheck | None:
    """Return how an instance is tested; None when the manifest does not say."""
    if place is None:
        return None
    if reading.switch(reading.find(place, "disable")):
        return HealthCheck(test=("NONE",))
    test = _read_test(reading, place)
    if test is None:
        return None
    standard = HealthCheck(test=test)

    def duration(name: str, default: int) -> int:
        return reading.duration(reading.find(place, name), default)

    return HealthCheck(
        test=test,
        # Zero means the default, as it does for the engine.
        interval_us=duration("interval", 0) or standard.interval_us,
        timeout_us=duration("timeout", 0) or standard.timeout_us,
        retries=reading.whole(reading.find(place, "retries"), 0, _RETRIES_MAX, 0) or standard.retries,
        start_period_us=duration("start_period", 0),
        start_interval_us=duration("start_interval", 0) or standard.start_interval_us,
    )


def read_health_words(reading: Reading, place: Place | None) -> HealthWords:
    """Return what a healthcheck without a test says of the one in the image."""
    if place is None or not any(place.entries()):
        return HealthWords()

    def duration(name: str) -> int:
        return reading.duration(reading.find(place, name), 0)

    mark = place.key_mark or place.node.mark
    reading.findings.note(place, "translated", "the image's own, as it is here changed; it is read at apply")
    return HealthWords(
        interval_us=duration("interval"),
        timeout_us=duration("timeout"),
        retries=reading.whole(reading.find(place, "retries"), 0, _RETRIES_MAX, 0),
        start_period_us=duration("start_period"),
        start_interval_us=duration("start_interval"),
        pointer=place.pointer,
        file=mark.file,
        line=mark.line,
        column=mark.column,
    )


def _read_test(reading: Reading, place: Place) -> tuple[str, ...] | None:
    test = reading.find(place, "test")
    if test is None:
        return None
    if not isinstance(test.node, Sequence):
        return ("CMD-SHELL", reading.text(test))
    words = tuple(reading.text(item) for item in test.elements())
    match words:
        case ("NONE",) | ("CMD", _, *_) | ("CMD-SHELL", _, *_):
            return words
        case _:
            detail = 'a test is ["CMD", program, …], ["CMD-SHELL", command] or ["NONE"]'
            reading.findings.complain(test, "E-TYPE", detail)
            return None


def read_probe(reading: Reading, place: Place | None, healthcheck: Place | None) -> HealthCheck | None:
    """Return how an instance is asked from outside; ``place`` is our own word, ``healthcheck`` the field of Compose."""
    if place is None:
        return None
    if healthcheck is not None:
        reading.findings.complain(place, "E-CONFLICT", "healthcheck says how it is tested already", at_key=True)
    tcp, http = reading.find(place, "tcp"), reading.find(place, "http")
    if (tcp is None) == (http is None):
        if reading.findings.is_sound(place):
            code = "E-TYPE" if tcp is None else "E-CONFLICT"
            reading.findings.complain(place, code, 'one of "tcp" and "http" must be given here', at_key=True)
        return None
    port = tcp or reading.find(http, "port")
    if port is None:
        if http is not None and reading.findings.is_sound(http):
            reading.findings.complain(http, "E-TYPE", '"port" must be given here', at_key=True)
        return None
    path = reading.find(http, "path")
    standard = HealthCheck(test=())

    def duration(name: str, default: int) -> int:
        return reading.duration(reading.find(place, name), 0) or default

    return HealthCheck(
        test=(),
        probe=Probe(port=reading.whole(port, 1, 65535, 1), path=_read_page(reading, path) if http else ""),
        interval_us=duration("interval", standard.interval_us),
        timeout_us=duration("timeout", standard.timeout_us),
        retries=reading.whole(reading.find(place, "retries"), 1, _RETRIES_MAX, standard.retries),
        start_period_us=duration("start-period", 0),
    )


def _read_page(reading: Reading, place: Place | None) -> str:
    path = reading.text(place, "/")
    if place is not None and not is_page(path):
        reading.findings.complain(place, "E-TYPE", f'"{path[:60]}" is not the path of a page: write /health')
    return path


def read_restart(reading: Reading, service: Place) -> Restart:
    """Return when the agent starts an instance again, from ``restart`` or ``deploy.restart_policy``."""
    plain = reading.find(service, "restart")
    swarm = reading.find(service, "deploy", "restart_policy")
    one = _read_plain_restart(reading, plain) if plain is not None else None
    other = _read_swarm_restart(reading, swarm) if swarm is not None else None
    if one is not None and other is not None and swarm is not None and one != other:
        reading.findings.complain(swarm, "E-CONFLICT", "restart says something else", at_key=True)
    return one or other or Restart()


def _read_plain_restart(reading: Reading, place: Place) -> Restart:
    word, sign, count = reading.text(place).partition(":")
    policy = _POLICIES.get(word)
    if policy is None or (sign and (policy != "on-failure" or not count.isascii() or not count.isdigit())):
        detail = f'"{reading.text(place)[:40]}" is none of no, always, on-failure, on-failure:N, unless-stopped'
        reading.findings.complain(place, "E-TYPE", detail)
        return Restart()
    attempts = int(count) if sign and len(count) <= 6 else _ATTEMPTS_MAX if sign else 0
    return Restart(policy=policy, max_attempts=attempts)


def _read_swarm_restart(reading: Reading, place: Place) -> Restart:
    condition = reading.find(place, "condition")
    word = _SWARM_POLICIES.get(reading.text(condition, "any"))
    attempts = reading.whole(reading.find(place, "max_attempts"), 0, _ATTEMPTS_MAX, 0)
    if word is None:
        if condition is not None:
            shown = reading.text(condition)[:40]
            reading.findings.complain(condition, "E-TYPE", f'"{shown}" is none of none, on-failure, any')
        return Restart()
    return Restart(policy=_POLICIES[word], max_attempts=0 if word == "no" else attempts)


def read_grace(reading: Reading, service: Place) -> int:
    """Return how long an instance has to stop."""
    return reading.duration(reading.find(service, "stop_grace_period"), _GRACE_US)


def read_stop_signal(reading: Reading, place: Place | None) -> str:
    """Return the name or number of the signal; empty for the image's own."""
    if place is None:
        return ""
    name = reading.text(place).upper()
    if _SIGNAL.fullmatch(name) is None:
        reading.findings.complain(place, "E-TYPE", f'"{name[:40]}" is not a signal: write SIGTERM')
    return name


def read_dependencies(
    reading: Reading, service: Place, names: Names[str, ServiceName], off: Names[str, tuple[str, ...]]
) -> list[Dependency]:
    """Return what must come first; ``names`` are the services that are on, ``off`` the others with their profiles."""
    found: list[Dependency] = []
    place = reading.find(service, "depends_on")
    if place is None:
        return found
    for item in place.elements():
        target = _resolve(reading, item, reading.text(item), names, off, is_required=True)
        if target is not None:
            found.append(Dependency(target, "started", item))
    for name, item in place.entries():
        required = reading.find(item, "required")
        is_required = required is None or reading.switch(required)
        target = _resolve(reading, item, name, names, off, is_required=is_required)
        if target is not None and not is_required:
            reading.findings.note(item, "translated", "it is waited for like one that is required")
        word = reading.find(item, "condition")
        if target is not None and word is not None:
            is_followed = reading.switch(reading.find(item, "restart"))
            found.append(Dependency(target, _CONDITIONS[reading.text(word)], item, is_followed))
    return found


def _resolve(
    reading: Reading,
    place: Place,
    name: str,
    names: Names[str, ServiceName],
    off: Names[str, tuple[str, ...]],
    *,
    is_required: bool,
) -> ServiceName | None:
    if name in names:
        return names[name]
    if not is_required:
        reading.findings.note(place, "translated", f"nothing: {name} is not part of the app now")
    elif name in off:
        hint = f"--profile {off[name][0]}"
        reading.findings.complain(
            place, "E-REFERENCE", f'service "{name}" is in no profile that is switched on', hint=hint
        )
    else:
        reading.findings.complain(place, "E-REFERENCE", f'there is no service "{name}"')
    return None
