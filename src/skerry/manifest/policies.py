"""Words about being cut off, room that is short and copies that go down, as values of the signed form.

The service's word beats the app's, word by word. Neighbours: ``words.py`` says which of them are built, and
``wishes.py`` has held every one against its type.
"""

from typing import Literal, cast

import msgspec

from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.reading import Reading
from skerry.manifest.wishes import Given
from skerry.model.policy import PRIORITY_MAX, Autonomy, Policy, Priority, SecretPolicy, is_rotation, is_variable

#: Thousandths of all.
_ALL = 1_000


def read_policy(reading: Reading, app: Given, own: Given, *, counted: bool = True, has_volumes: bool = False) -> Policy:
    """Return the wishes of a service; ``app`` are the words at the top, ``own`` the service's.

    ``counted``: it has so many copies in all, and not so many at each site.
    """
    down = own.get("max-down") or app.get("max-down")
    count, permille = _read_share(reading, down)
    _check_return(reading, app, own)
    return Policy(
        autonomy=_limit_replacing(
            reading,
            _read_autonomy(reading, app.get("autonomy"), own.get("autonomy")),
            reading.find(own.get("autonomy"), "replace-after"),
            counted=counted,
            has_volumes=has_volumes,
        ),
        priority=_read_priority(reading, own.get("priority") or app.get("priority")),
        max_down=count,
        max_down_permille=permille,
    )


def read_withdraw(reading: Reading, app: Given) -> Literal["core", "tenant"]:
    """Return who may end the app's instances at a site that runs them."""
    return "tenant" if reading.text(reading.find(app.get("withdraw"))) == "tenant" else "core"


def _read_autonomy(reading: Reading, app: Place | None, own: Place | None) -> Autonomy:
    def find(name: str) -> Place | None:
        return reading.find(own, name) or reading.find(app, name)

    def text(name: str, default: str) -> str:
        return reading.text(find(name), default)

    replace = find("replace-after")
    never = replace is None or reading.text(replace) == "never"
    restart = find("restart-offline")
    found = Autonomy(
        offline=cast("Literal['keep-running', 'stop-after', 'fenced']", text("offline", "keep-running")),
        max_offline_us=reading.duration(find("max-offline"), 0),
        restart_offline=restart is None or reading.switch(restart),
        local_control=cast("Literal['none', 'restart', 'full']", text("local-control", "restart")),
        replace_after_us=0 if never else reading.duration(replace, 0),
        on_return=cast(
            "Literal['keep-original', 'keep-replacement', 'newest', 'longest-running']",
            text("on-return", "keep-original"),
        ),
    )
    place = own or app
    if place is not None and found.offline == "stop-after" and not found.max_offline_us:
        detail = "stop-after needs max-offline: at which age they stop"
        reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
    if found.offline == "fenced" and (fenced := find("offline")) is not None:
        reading.findings.not_yet(fenced, "fenced")
    if place is not None and found.offline == "fenced" and found.max_offline_us:
        detail = "a fenced instance stops with its lease, so max-offline says nothing"
        reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
    return found


def _limit_replacing(
    reading: Reading, found: Autonomy, own: Place | None, *, counted: bool, has_volumes: bool
) -> Autonomy:
    """Let an app's ``replace-after`` hold for those of its services that it makes sense for.

    Where each site has its own copies nothing stands in for another; a copy with a named volume would begin elsewhere
    with an empty one, so such a service has to say it itself.
    """
    if not found.replace_after_us:
        return found
    if own is not None and not counted:
        detail = "each site has its own copies, and none of them stands in for another"
        hint = "replicas: {total: n} counts copies over all sites"
        reading.findings.complain(own, "E-CONFLICT", detail, at_key=True, hint=hint)
    if not counted or (has_volumes and own is None):
        return msgspec.structs.replace(found, replace_after_us=0)
    return found


def _check_return(reading: Reading, app: Given, own: Given) -> None:
    """Refuse a word by which the core would end what the app keeps from it."""
    returning = reading.find(own.get("autonomy"), "on-return") or reading.find(app.get("autonomy"), "on-return")
    if returning is None or reading.text(returning) == "keep-original" or read_withdraw(reading, app) == "core":
        return
    detail = "the core would end the copy of the site that was silent, and withdraw: tenant keeps that from it"
    reading.findings.complain(returning, "E-CONFLICT", detail, hint="on-return: keep-original")


def _read_priority(reading: Reading, place: Place | None) -> Priority:
    if place is None:
        return Priority()
    if not isinstance(place.node, Mapping):
        return Priority(value=reading.whole(place, 0, PRIORITY_MAX, 500))
    yields = reading.find(place, "preemptible")
    return Priority(
        value=reading.whole(reading.find(place, "value"), 0, PRIORITY_MAX, 500),
        preempts="never" if reading.text(reading.find(place, "preempts")) == "never" else "lower",
        preemptible=yields is None or reading.switch(yields),
    )


def _read_share(reading: Reading, place: Place | None) -> tuple[int, int]:
    """Return a count and thousandths, one of them 0."""
    text = reading.text(place)
    is_share = text.endswith("%")
    count = 0 if is_share or not (text.isascii() and text.isdigit()) else int(text)
    permille = min(round(float(text[:-1]) * 10), _ALL + 1) if is_share else 0
    if place is not None and permille > _ALL:
        reading.findings.complain(place, "E-RANGE", f"{text} is out of range: at most 100%")
        return 0, 0
    if place is not None and text and not (count or permille):
        detail = f"{text} is out of range: were none ever down, none could be updated"
        hint = "withdraw: tenant and preemptible: false keep instances where they are"
        reading.findings.complain(place, "E-RANGE", detail, hint=hint)
    return count, permille


def read_secret_policy(reading: Reading, words: Place | None) -> SecretPolicy:
    """Return the wishes about one secret."""
    limit, rotate = reading.find(words, "max-offline"), reading.find(words, "on-rotate")
    action = reading.text(rotate, "restart")
    if rotate is not None and not is_rotation(action):
        detail = f'"{action[:40]}" is none of restart, signal:NAME, none'
        reading.findings.complain(rotate, "E-TYPE", detail)
    env = reading.find(words, "env")
    if env is not None and not is_variable(reading.text(env)):
        reading.findings.complain(env, "E-TYPE", f'"{reading.text(env)[:40]}" cannot be the name of a variable')
    if env is not None and action != "restart":
        detail = "a variable keeps the old value until a restart, and on-rotate says that there is none"
        reading.findings.complain(env, "E-CONFLICT", detail, at_key=True, hint="leave out env, or on-rotate")
    is_endless = limit is None or reading.text(limit) == "none"
    return SecretPolicy(
        max_offline_us=0 if is_endless else reading.duration(limit, 0),
        on_rotate=action,
        sites=tuple(reading.text(item) for item in reading.texts(reading.find(words, "sites"))),
        env=reading.text(env),
    )
