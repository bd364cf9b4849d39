"""``skerry key``, with a real signer behind its socket."""

import json
import stat

PASSPHRASE = b"correct horse battery\n"


def test_keys_are_listed_and_shown_without_their_secret_halves(town):
    names = [each["name"] for each in json.loads(town.ok("key", "list", "-o", "json"))["items"]]
    assert names == ["root", "registrar", "deploy/default", "sealing"]
    shown = json.loads(town.ok("key", "show", "deploy/default", "-o", "json"))
    assert shown["type"] == "ed25519"
    assert json.loads(town.ok("key", "show", shown["key_id"], "-o", "json")) == shown
    assert "site records" in town.ok("key", "show", "registrar")
    gone = town.run("key", "show", "nobody")
    assert gone.code == 5
    assert "Hint: skerry key list" in gone.err


def test_a_backup_is_written_once_for_its_owner_alone_and_a_used_signer_takes_none(town, tmp_path):
    file = tmp_path / "keys.backup"
    done = town.run("key", "backup", file, "--passphrase-file", "-", stdin=PASSPHRASE)
    assert done.code == 0, done
    assert "4 keys are in" in done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = town.run("key", "backup", file, "--passphrase-file", "-", stdin=PASSPHRASE)
    assert again.code == 1
    assert "is there already" in again.err
    refused = town.run("key", "recover", file, "--passphrase-file", "-", "--yes", stdin=PASSPHRASE)
    assert refused.code == 1
    assert "E-EXISTS" in refused.err
    assert "keys of its own" in refused.err


def test_a_weak_passphrase_is_refused_and_leaves_no_file(town, tmp_path):
    file = tmp_path / "weak.backup"
    weak = town.run("key", "backup", file, stdin=b"short\n")
    assert weak.code == 1
    assert "at least 12 characters" in weak.err
    assert not file.exists()
    nowhere = town.run("key", "backup", tmp_path / "no" / "such", stdin=PASSPHRASE)
    assert nowhere.code == 1
    assert "cannot be written" in nowhere.err
