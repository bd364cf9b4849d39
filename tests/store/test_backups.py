"""A backup is whole or not there, says what it is, and is believed only when all of it is good."""

from pathlib import Path

import apsw
import msgspec
import pytest
from sqlalchemy import Connection
from tests.conftest import BOTH
from tests.store.filling import fill_tables

from skerry.model.errors import Refused
from skerry.safe.db import Db
from skerry.safe.errors import SchemaTooNew, StoreFailed
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import record_checksum
from skerry.store import backups, copying
from skerry.store.backups import open_backup

SEED = bytes(range(32))
NAME = "core.backup"


@pytest.fixture
def folder(tmp_path: Path):
    directory = RealDirectory.open_root(tmp_path)
    yield directory
    directory.close()


async def back_up(db: Db[Connection], folder: RealDirectory, rows: int = 4) -> backups.About:
    await db.run(lambda connection: fill_tables(connection, rows))
    return await db.read(lambda connection: backups.write_backup(connection, folder, NAME, SEED, 77))


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_backup_is_restored_into_either_database_over_whatever_is_there(database, folder, tmp_path):
    source = database.open()
    about = await back_up(source, folder)
    assert (about.source, about.made_us, about.rows) == (
        {"sqlite": "sqlite", "postgres": "postgresql"}[database.kind],
        77,
        4 * len(copying.list_tables()),
    )
    assert folder.names() == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    sums = await source.read(copying.sum_tables)
    target = database.open()
    await target.run(lambda connection: fill_tables(connection, 9))
    with open_backup(folder, NAME) as backup:
        assert (backup.about, backup.delivery_seed) == (about, SEED)
        await target.run(lambda connection: backups.restore_rows(backup, connection))
    assert await target.read(copying.sum_tables) == sums
    # The restored core's own backup is the same again.
    again = await target.read(lambda connection: backups.write_backup(connection, folder, "second.backup", SEED, 77))
    assert again.tables == about.tables


async def test_a_backup_that_cannot_be_written_leaves_what_was_there(database, folder, tmp_path):
    db = database.open()
    await back_up(db, folder)
    before = (tmp_path / NAME).read_bytes()
    (tmp_path / f"{NAME}.new.1").mkdir()
    with pytest.raises(StoreFailed):
        await db.read(lambda connection: backups.write_backup(connection, folder, NAME, SEED, 78))
    assert (tmp_path / NAME).read_bytes() == before


async def test_a_flipped_byte_is_found_or_meant_nothing(database, folder, tmp_path):
    await back_up(database.open(), folder)
    path = tmp_path / NAME
    good = path.read_bytes()
    unseen = []
    # Every part of the file is met, and not every byte: one takes a while.
    for place in range(13, len(good), len(good) // 25):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x5A]) + good[place + 1 :])
        try:
            with open_backup(folder, NAME) as backup:
                unseen.append((place, {name: table.rows for name, table in backup.about.tables.items()}))
        except Refused:
            pass
    path.write_bytes(good)
    # What may pass is what no reader looks at: free space in pages, and counters of the file's header.
    with open_backup(folder, NAME) as backup:
        whole = copying.sum_tables(backup.connection)
    for place, _ in unseen:
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x5A]) + good[place + 1 :])
        with open_backup(folder, NAME) as backup:
            assert copying.sum_tables(backup.connection) == whole
            assert backup.delivery_seed == SEED


@pytest.mark.parametrize(
    ("sql", "kind", "words"),
    [
        ("DROP TABLE backup", Refused, "no backup of a core"),
        ("DELETE FROM backup WHERE name = 'delivery'", Refused, "damaged: what it says about itself"),
        ("UPDATE backup SET value = zeroblob(32)", Refused, "damaged: what it says about itself"),
        ("UPDATE counters SET value = 5", Refused, "damaged: Table counters"),
        ("DROP TABLE apps", Refused, "damaged: Table sqlite_master"),
    ],
)
async def test_what_is_not_right_is_refused_by_name(database, folder, tmp_path, sql, kind, words):
    await back_up(database.open(), folder)
    raw = apsw.Connection(str(tmp_path / NAME))
    raw.execute(sql)
    raw.close()
    with pytest.raises(kind, match=words), open_backup(folder, NAME):
        pass


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [({"format": 9}, Refused, "has format 9"), ({"schema": 99}, SchemaTooNew, "has schema 99")],
)
async def test_a_newer_programs_backup_is_refused(database, folder, tmp_path, change, kind, words):
    about = await back_up(database.open(), folder)
    body = msgspec.json.encode(msgspec.structs.replace(about, **change))
    raw = apsw.Connection(str(tmp_path / NAME))
    values = (body, record_checksum(b"about", body))
    raw.execute("UPDATE backup SET value = ?, checksum = ? WHERE name = 'about'", values)
    raw.close()
    with pytest.raises(kind, match=words), open_backup(folder, NAME):
        pass


def test_what_is_no_file_of_ours_is_refused(folder, tmp_path):
    (tmp_path / NAME).write_bytes(b"something else" * 1000)
    with pytest.raises(Refused, match="damaged"), open_backup(folder, NAME):
        pass
    with pytest.raises(Refused, match="There is no backup"), open_backup(folder, "absent.backup"):
        pass
