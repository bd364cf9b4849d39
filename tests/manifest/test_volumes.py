"""The words of a volume, and what is wrong with them."""

import pytest
from tests.manifest.texts import accept, reject, wrap

from skerry.manifest.names import make_name
from skerry.model.volume import SnapshotPlan, Volume

HOUR_US = 3_600_000_000


def volumes(words: str, more: str = "") -> str:
    return wrap(f"volumes: [data:/d]{more}", top=f"volumes: {{data: {{x-skerry: {{{words}}}}}}}")


@pytest.mark.parametrize(
    ("words", "volume"),
    [
        ("size: 10Gi", Volume()),
        ("size: 512Mi", Volume(size_bytes=512 << 20)),
        ("on-delete: keep", Volume()),
        ("on-delete: delete", Volume(on_delete="delete")),
        ("snapshot: {before-update: true}", Volume()),
        ("snapshot: {before-update: false}", Volume(snapshot=SnapshotPlan(before_update=False))),
        ("snapshot: {every: 1h, keep: 24}", Volume(snapshot=SnapshotPlan(every_us=HOUR_US, keep=24))),
    ],
)
def test_words(words: str, volume: Volume):
    assert accept(volumes(words)).volumes == {"data": volume}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("size: 1Mi", "E-RANGE"),
        ("size: much", "E-TYPE"),
        ("on-delete: never", "E-TYPE"),
        ("snapshot: {every: 1h}", "E-CONFLICT"),
        ("snapshot: {keep: 3}", "E-CONFLICT"),
        ("snapshot: {every: 10s, keep: 3}", "E-RANGE"),
        ("snapshot: {every: 1h, keep: 257}", "E-TYPE"),
        ("replicate: {to: core}", "E-NOT-YET"),
        ("sise: 1Gi", "E-UNKNOWN-WORD"),
    ],
)
def test_what_is_wrong(words: str, code: str):
    found = reject(volumes(words))
    assert code in str(found)
    assert "volumes/data" in str(found)


def test_a_part_of_a_volume_has_its_words_too():
    text = wrap(
        "volumes: [{type: volume, source: data, target: /d, volume: {subpath: a}}]",
        top="volumes: {data: {x-skerry: {size: 1Gi}}}",
    )
    assert accept(text).volumes[make_name("data", "a")] == Volume(size_bytes=1 << 30)


def test_memory_has_no_such_words():
    text = wrap(
        "volumes: [data:/d]",
        top="volumes: {data: {driver: local, driver_opts: {type: tmpfs, device: tmpfs}, x-skerry: {size: 1Gi}}}",
    )
    assert "E-CONFLICT" in str(reject(text))
