from pathlib import Path

import msgspec
import pytest

from skerry import settings
from skerry.model.errors import Invalid


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    port: int = 1
    state: Path = Path("/nowhere")
    names: tuple[str, ...] = ()


def write(tmp_path, text):
    file = tmp_path / "sample.toml"
    file.write_text(text)
    return file


def test_each_layer_wins_over_the_one_before(tmp_path):
    file = write(tmp_path, 'port = 2\nstate = "/a"\nnames = ["x"]\n')
    assert settings.load(Sample, environment={}) == Sample()
    assert settings.load(Sample, file, environment={}) == Sample(port=2, state=Path("/a"), names=("x",))
    surroundings = {"SKERRY_PORT": "3", "SKERRY_STATE": "/b"}
    assert settings.load(Sample, file, environment=surroundings).port == 3
    assert settings.load(Sample, file, {"port": 4, "state": None}, environment=surroundings) == Sample(
        port=4, state=Path("/b"), names=("x",)
    )


@pytest.mark.parametrize("text", ["prot = 2", "port = 'x'", "state = 3", "port =", "\xff"])
def test_what_is_wrong_in_a_file_is_said(tmp_path, text):
    with pytest.raises(Invalid, match=r"sample\.toml"):
        settings.load(Sample, write(tmp_path, text), environment={})


def test_a_missing_or_endless_file_is_said(tmp_path):
    with pytest.raises(Invalid, match="cannot be read"):
        settings.load(Sample, tmp_path / "gone.toml", environment={})
    with pytest.raises(Invalid, match="more than"):
        settings.load(Sample, write(tmp_path, "#" * (settings.SETTINGS_BYTES_MAX + 1)), environment={})


def test_places_are_xdgs_where_they_are_set():
    environment = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r", "HOME": "/h"}
    places = settings.find_places(environment)
    assert (places.config, places.state, places.run) == (Path("/c/skerry"), Path("/s/skerry"), Path("/r/skerry"))
    relative = settings.find_places({"XDG_CONFIG_HOME": "c", "HOME": "/h"})
    assert relative.config in (Path("/etc/skerry"), Path("/h/.config/skerry"))


def test_the_client_takes_its_surroundings():
    client = settings.read_client({"SKERRY_URL": "http://x", "SKERRY_TOKEN": "t", "OTHER": "y"})
    assert (client.url, client.token, client.context) == ("http://x", "t", "")


def test_programs_take_a_file_and_flags():
    file, flags = settings.split_flags(["--settings", "/etc/x.toml", "--api-port", "1", "--data=/d"])
    assert file == Path("/etc/x.toml")
    assert flags == {"api_port": "1", "data": "/d"}
    for wrong in (["x"], ["--data"], ["-d", "x"]):
        with pytest.raises(Invalid, match="is no setting"):
            settings.split_flags(wrong)


def test_an_unknown_flag_is_an_error():
    with pytest.raises(Invalid, match="a flag has an unknown setting 'prot'"):
        settings.load(Sample, None, {"prot": "1"}, environment={})


def test_the_supervisor_is_heard():
    assert settings.read_supervisor({}) == {}
    told = settings.read_supervisor({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000"})
    assert told == {"notify_socket": "/run/x", "watchdog_us": 30_000_000}
