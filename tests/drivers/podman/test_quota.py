"""Whether a storage limits roots: by its driver, and by the mount that its folder is on."""

import pytest

from skerry.drivers.podman.answers import StoreItem
from skerry.drivers.podman.quota import limits_roots

ROOT = "/var/lib/skerry/containers"
OVERLAY = StoreItem(graph_driver_name="overlay", graph_root=ROOT)


def mount(point, kind="xfs", options="rw,inode64,prjquota"):
    return f"204 190 7:0 / {point} rw,relatime shared:1 - {kind} /dev/vda1 {options}\n"


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        (mount("/"), True),
        (mount("/", options="rw,pquota"), True),
        (mount("/", options="rw,noquota"), False),
        (mount("/", kind="ext4"), False),
        ("", False),
        ("a line of another kind\n" + mount("/"), True),
        # The nearest mount counts, and of several at one place the last.
        (mount("/") + mount("/var/lib", options="rw,noquota"), False),
        (mount("/", options="rw,noquota") + mount("/var/lib/skerry"), True),
        (mount(ROOT, options="rw,noquota") + mount(ROOT), True),
        # A name that only begins alike is another folder.
        (mount("/", options="rw,noquota") + mount("/var/lib/sk"), False),
        (mount("/") + mount("/var/lib/skerry/containers/overlay", kind="overlay"), True),
    ],
)
def test_the_mount_decides(mounts, found):
    assert limits_roots(OVERLAY, mounts) == found


def test_another_storage_driver_does_not():
    assert not limits_roots(StoreItem(graph_driver_name="vfs", graph_root=ROOT), mount("/"))
