"""The check of health that an image brings along, for services that say none, or that only say how often.

The engine's image format has it in the configuration beside command and user. The client reads the configuration that
an image's digest names and signs what it says, so a site runs the command that its owner saw and nothing that a core
or a registry changed since. Times there are nanoseconds; the format is Docker's image specification 1.2, "Healthcheck".
"""

from collections.abc import Iterable, Mapping

import msgspec

from skerry.manifest.interpolate import escape_text
from skerry.manifest.values import HealthWait, HealthWords, ImageUse
from skerry.model.app import HealthCheck, ImageRef, Service
from skerry.model.errors import Problem
from skerry.model.ids import Digest, ServiceName
from skerry.model.limits import INTEGER_MAX

_NS = 1_000
#: Words of one check, and their bytes: a check is a line, not a program.
_WORDS_MAX = 256
_BYTES_MAX = 16 * 1024
_RETRIES_MAX = 1_000


class _Check(msgspec.Struct, frozen=True, rename="pascal"):
    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class _Runtime(msgspec.Struct, frozen=True, rename="pascal"):
    healthcheck: _Check | None = None


class _Config(msgspec.Struct, frozen=True):
    config: _Runtime | None = None


def read_image_health(content: bytes) -> HealthCheck | None:
    """Return the check that an image's configuration names; None where it names none that makes sense."""
    try:
        found = msgspec.json.decode(content, type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    check = found.config.healthcheck if found.config is not None else None
    if check is None or check.test[:1] not in (("CMD",), ("CMD-SHELL",)) or len(check.test) < 2:
        return None
    is_long = len(check.test) > _WORDS_MAX or sum(len(word.encode()) for word in check.test) > _BYTES_MAX
    if is_long or any("\0" in word for word in check.test):
        return None

    def time_us(nanoseconds: int, default: int) -> int:
        return min(nanoseconds // _NS, INTEGER_MAX) if nanoseconds >= _NS else default

    standard = HealthCheck(test=())
    return HealthCheck(
        # Where it runs, a dollar sign is a variable's: here it is the image's own.
        test=tuple(map(escape_text, check.test)),
        interval_us=time_us(check.interval, standard.interval_us),
        timeout_us=time_us(check.timeout, standard.timeout_us),
        retries=check.retries if 0 < check.retries <= _RETRIES_MAX else standard.retries,
        start_period_us=time_us(check.start_period, 0),
        start_interval_us=time_us(check.start_interval, standard.start_interval_us),
    )


def inherit_health(
    services: Mapping[ServiceName, Service],
    words: Mapping[ServiceName, HealthWords],
    images: Mapping[ServiceName, ImageRef],
    configs: Mapping[Digest, bytes],
) -> dict[ServiceName, Service]:
    """Return the services with the checks of their images, changed by what each says of it."""
    found = dict(services)
    for name, said in words.items():
        image = images.get(name)
        check = read_image_health(configs.get(image.config, b"")) if image is not None else None
        if check is not None:
            given = {field: value for field in HealthCheck.__struct_fields__ if (value := getattr(said, field, 0))}
            found[name] = msgspec.structs.replace(services[name], healthcheck=msgspec.structs.replace(check, **given))
    return found


def find_untested(
    services: Mapping[ServiceName, Service],
    words: Mapping[ServiceName, HealthWords],
    waits: Iterable[HealthWait],
    uses: Iterable[ImageUse],
) -> tuple[Problem, ...]:
    """Say which services have no check of health that they change, or that others wait for."""
    images = {use.service: use.name for use in uses}
    changed = "this changes the healthcheck of image {}, which has none"
    waited = 'the health of "{}" is waited for, and neither it nor its image has a healthcheck'
    return (
        *(
            _complain(said, changed.format(images.get(name, "")), "add test: to it")
            for name, said in words.items()
            if said.pointer and services[name].healthcheck is None
        ),
        *(
            _complain(wait, waited.format(wait.service), f"add a healthcheck or health to {wait.service}")
            for wait in waits
            if services[wait.service].healthcheck is None
        ),
    )


def _complain(where: HealthWords | HealthWait, detail: str, hint: str) -> Problem:
    return Problem(
        code="E-REFERENCE",
        detail=detail,
        pointer=where.pointer,
        file=where.file,
        line=where.line,
        column=where.column,
        hint=hint,
    )


def list_configs(
    words: Iterable[ServiceName], images: Mapping[str, ImageRef], uses: Iterable[ImageUse]
) -> tuple[ImageRef, ...]:
    """Return the images whose configurations are needed, each once, sorted by that."""
    wanted = set(words)
    found = {image.config: image for use in uses if use.service in wanted and (image := images.get(use.name))}
    return tuple(found[config] for config in sorted(found))
