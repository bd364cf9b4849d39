"""Words of a volume that no signed revision may carry."""

import pytest

from skerry.model.volume import SnapshotPlan, Volume, find_volume_flaw


@pytest.mark.parametrize(
    ("volume", "flaw"),
    [
        (Volume(), ""),
        (Volume(size_bytes=16 << 20, snapshot=SnapshotPlan(every_us=60_000_000, keep=256)), ""),
        (Volume(size_bytes=(16 << 20) - 1), "at least 16 MiB"),
        (Volume(size_bytes=-1), "at least 16 MiB"),
        (Volume(snapshot=SnapshotPlan(every_us=59_999_999, keep=1)), "at most every 60 s"),
        (Volume(snapshot=SnapshotPlan(every_us=-1, keep=1)), "at most every 60 s"),
        (Volume(snapshot=SnapshotPlan(every_us=60_000_000)), "go together"),
        (Volume(snapshot=SnapshotPlan(keep=3)), "go together"),
        (Volume(snapshot=SnapshotPlan(every_us=60_000_000, keep=257)), "at most 256"),
        (Volume(snapshot=SnapshotPlan(every_us=60_000_000, keep=-1)), "at most 256"),
    ],
)
def test_flaws(volume: Volume, flaw: str):
    assert (find_volume_flaw(volume) == "") == (flaw == "")
    assert flaw in find_volume_flaw(volume)
