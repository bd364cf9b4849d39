"""Where the name server's own user gets to."""

import os
from pathlib import Path

import pytest

from skerry.drivers.names import server


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root runs the server as himself")
def test_a_shut_folder_anywhere_above_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class User:
        pw_uid, pw_gid = 65_534, 65_534

    monkeypatch.setattr(server, "_find_user", User)
    home = tmp_path / "home"
    inner = home / "run" / "names"
    home.mkdir()
    told = {above: above.stat().st_mode & 0o777 for above in (tmp_path, *tmp_path.parents)}
    try:
        for above, mode in told.items():
            above.chmod(mode | 0o001)
        home.chmod(0o755)
        assert server.can_reach(inner)
        home.chmod(0o700)
        assert not server.can_reach(inner)
        os.chown(home, 65_534, 0)
        assert server.can_reach(inner)
    finally:
        for above, mode in told.items():
            above.chmod(mode)


def test_without_a_user_of_its_own_there_is_nothing_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "_find_user", lambda: None)
    assert server.can_reach(tmp_path / "names")
