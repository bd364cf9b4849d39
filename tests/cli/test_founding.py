"""``skerry core install``: a core that runs already gets an operator, once, and what was interrupted goes on."""

import json

import pytest
from tests.cli.town import Town


class NewTown(Town):
    """A core and a signer that nobody has founded yet, as systemd starts them."""

    def _found(self):
        self.data, self.signer_home = self.folder / "core", self.folder / "signer"
        self.data.mkdir()
        self.signer_home.mkdir(mode=0o700)
        (self.data / "bootstrap.token").write_text(self.wait(self.rig.service.make_bootstrap()) + "\n")

    def install(self):
        places = ("--data", self.data, "--signer", self.socket, "--signer-core", self.signer_home / "core.json")
        return self.run("core", "install", "--url", self.url, *places)


@pytest.fixture
def new_town(tmp_path):
    town = NewTown(tmp_path)
    yield town
    town.close()


def test_a_new_core_gets_keys_a_context_and_a_signer_that_knows_it(new_town):
    assert new_town.install().code == 0
    assert json.loads(new_town.ok("status", "-o", "json"))["root"] is True
    told = new_town.signer_home / "core.json"
    assert json.loads(told.read_text())["url"] == new_town.url
    assert told.stat().st_mode & 0o077 == 0
    assert not (new_town.data / "bootstrap.token").exists()


def test_a_second_time_changes_nothing_and_finishes_what_was_interrupted(new_town):
    assert new_town.install().code == 0
    context = (new_town.folder / "config/skerry/contexts/local.json").read_bytes()
    # As if the process had ended before the signer was told.
    (new_town.signer_home / "core.json").unlink()
    assert new_town.install().code == 0
    assert (new_town.signer_home / "core.json").exists()
    assert (new_town.folder / "config/skerry/contexts/local.json").read_bytes() == context


def test_a_core_with_an_operator_elsewhere_is_left_alone(new_town):
    assert new_town.install().code == 0
    (new_town.folder / "config/skerry/contexts/local.json").unlink()
    done = new_town.install()
    assert done.code == 1
    assert "has an operator already" in done.err


def test_a_core_that_does_not_run_is_told(new_town):
    new_town.url = "http://127.0.0.1:9"
    assert new_town.install().code == 8
    assert not (new_town.signer_home / "core.json").exists()


def test_without_the_packages_nothing_is_founded(new_town):
    new_town.signer_home = new_town.folder / "no-package"
    done = new_town.install()
    assert done.code == 1
    assert "no-package: this is for core and signer as services" in done.err
    assert "Hint: skerry up starts a core without them" in done.err
    assert (new_town.data / "bootstrap.token").exists()
