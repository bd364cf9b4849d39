import pytest
from tests.manifest.texts import service

from skerry.model.app import Mount


@pytest.mark.parametrize(
    ("text", "size", "options"),
    [
        ("/t:size=64m,mode=1777", 64 << 20, ()),
        ("/t:size=256M,mode=1750,exec", 256 << 20, ("exec", "mode=1750")),
        ("/t:rw,nosuid,noexec,mode=0700", 0, ("mode=700", "noexec")),
    ],
)
def test_options(text, size, options):
    (mount,) = service(f"tmpfs: ['{text}']").mounts
    assert (mount.size_bytes, mount.options or ()) == (size, options)


def test_nothing_is_signed_where_nothing_is_said():
    assert service("tmpfs: /t").mounts == (Mount(kind="tmpfs", target="/t"),)
