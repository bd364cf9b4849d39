"""``skerry core``: backup, restore, migrate and doctor of a core on this machine, typed as people type them."""

import json
from pathlib import Path

import pytest
from tests.core.test_keeping import Ground

from skerry.cli.main import run
from skerry.cli.session import Session
from skerry.store import copying


class Machine:
    """A machine with a stopped core in the usual place."""

    def __init__(self, folder: Path, address: str) -> None:
        self.environment = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        if address:
            self.environment["SKERRY_DATABASE_URL"] = address
        (folder / "state" / "skerry").mkdir(parents=True)
        self.ground = Ground(folder / "state" / "skerry", address)
        self.ground.make_core()
        self.file = folder / "a.backup"

    def type(self, *words: object) -> int:
        return run(["core", *map(str, words)], Session(dict(self.environment)))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "")


ROWS = 3 * len(copying.list_tables())


def test_a_core_is_backed_up_and_restored(machine, capsys):
    assert machine.type("backup", machine.file) == 0
    assert f"backed up {ROWS} rows" in capsys.readouterr().out
    assert machine.type("restore", machine.file) == 1
    said = capsys.readouterr().err
    assert "there is a core in" in said
    assert "--overwrite" in said
    assert machine.type("restore", machine.file, "--overwrite") == 0
    assert f"restored {ROWS} rows" in capsys.readouterr().out


@pytest.mark.postgres
def test_the_variable_says_where_the_database_is(tmp_path, capsys, postgres_server):
    url = postgres_server.make_database()
    machine = Machine(tmp_path, url)
    assert machine.type("backup", machine.file, "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["about"]["source"] == "postgresql"
    postgres_server.drop(url)


def test_a_core_is_moved_and_its_settings_file_is_obeyed(machine, capsys, tmp_path):
    target = tmp_path / "moved" / "core.db"
    assert machine.type("migrate", "--to", target) == 0
    assert f"copied {ROWS} rows" in capsys.readouterr().out
    settings = tmp_path / "core.toml"
    settings.write_text(f'data = "{machine.ground.data}"\ndatabase_url = "{target}"\napi_port = 7999\n')
    machine.environment.pop("SKERRY_DATABASE_URL", None)
    assert machine.type("backup", machine.file, "--settings", settings) == 0
    assert f"backed up {ROWS} rows" in capsys.readouterr().out


def test_what_is_wrong_is_said_with_a_next_command(machine, capsys, tmp_path):
    # Rows made up by the test stand on nothing, and a doctor says so.
    assert machine.type("doctor", "-o", "json") == 3
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {check["name"] for check in checks} >= {"core", "disk", "schema", "signer"}
    assert all(check["hint"] for check in checks if check["verdict"] != "good")
    assert machine.type("restore", tmp_path / "absent.backup") == 1
    assert "no backup absent.backup" in capsys.readouterr().err
    assert machine.type("backup", machine.file, "--database-url", "mysql://x/y") == 1
    said = capsys.readouterr().err
    assert "mysql:// is no database" in said
    assert "postgresql://USER@HOST/NAME" in said


def test_of_backups_with_a_date_the_newest_are_kept_and_nothing_else_is_touched(machine, capsys, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    old = [f"core-2020010{day}T030000Z.backup" for day in (1, 2, 3)]
    others = ["monday.backup", "core-20200101T030000Z.backup.gz", "core.backup"]
    for name in (*old, *others):
        (folder / name).write_bytes(b"")
    assert machine.type("backup", folder, "--keep", 2) == 0
    left = sorted(each.name for each in folder.iterdir())
    assert set(old[:2]).isdisjoint(left)
    assert {*others, old[2]} <= set(left)
    assert len(left) == len(others) + 2
    (made,) = set(left) - {*others, old[2]}
    capsys.readouterr()
    assert machine.type("restore", folder / made, "--overwrite") == 0


def test_a_backup_that_failed_costs_no_older_one(machine, capsys, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in (1, 2):
        (folder / f"core-2020010{day}T030000Z.backup").write_bytes(b"")
    assert machine.type("backup", folder, "--keep", 1, "--data", tmp_path / "no-core") == 1
    assert len([*folder.iterdir()]) == 2
    assert machine.type("backup", tmp_path / "none", "--keep", 1) == 1
    assert "is no folder" in capsys.readouterr().err
