"""Commands and folders of places; namespaces themselves are in tests/e2e/test_lab.py."""

import pytest

from skerry.berths.namespaces import Place, release_folder, run


def test_a_command_that_fails_says_what_it_said():
    with pytest.raises(OSError, match="sh -c echo no >&2; exit 3: 3: no"):
        run("sh", "-c", "echo no >&2; exit 3")
    assert run("sh", "-c", "echo $WORD", env={"WORD": "yes"}) == "yes\n"


def test_a_command_inside_is_spelled_with_both_namespaces_and_keeps_its_id(tmp_path):
    place = Place(tmp_path, "one", tmp_path / "disk")
    net, mnt = tmp_path / "one.net", tmp_path / "one.mnt"
    assert place.argv("ip", "link") == ["nsenter", f"--net={net}", f"--mount={mnt}", "--", "ip", "link"]


def test_a_plain_file_is_no_namespace(tmp_path):
    place = Place(tmp_path, "one", tmp_path / "disk")
    place.net.touch()
    place.mnt.touch()
    assert not place.exists


def test_a_folder_that_holds_nothing_is_released_without_a_word(tmp_path):
    release_folder(tmp_path)
