import functools

from nacl import pwhash
from tests.trust import people

from skerry.clock import SeededMint
from skerry.model.ids import TenantName
from skerry.trust.backup import (
    BACKUP_BYTES_MAX,
    COST,
    HEAD,
    PASSPHRASE_BYTES_MAX,
    PASSPHRASE_BYTES_MIN,
    KeyBackup,
    find_passphrase_flaw,
)
from skerry.trust.backup import open_backup as open_at_cost
from skerry.trust.backup import seal_backup as seal_at_cost
from skerry.trust.verdict import Denied

#: The least that the library does. The real cost is paid once, by the test of the cost itself.
CHEAP = (pwhash.argon2id.OPSLIMIT_MIN, pwhash.argon2id.MEMLIMIT_MIN)
seal_backup = functools.partial(seal_at_cost, cost=CHEAP)
open_backup = functools.partial(open_at_cost, cost=CHEAP)

PASSPHRASE = b"correct horse battery"
BACKUP = KeyBackup(
    root=b"r" * 32,
    registrar=b"g" * 32,
    sealing=b"s" * 32,
    deploy={TenantName("alpha"): b"d" * 32},
    root_document=people.sign("root", people.make_root(), people.ROOT),
)


def test_only_its_passphrase_opens_a_backup_and_only_whole() -> None:
    content = seal_backup(BACKUP, PASSPHRASE, SeededMint("backup"))
    assert open_backup(content, PASSPHRASE) == BACKUP
    assert content.startswith(HEAD)
    for seed in (BACKUP.root, BACKUP.registrar, BACKUP.sealing):
        assert seed not in content
    for wrong in (b"correct horse batterz", b"", b"x" * 2000):
        assert isinstance(open_backup(content, wrong), Denied)
    for place in (len(HEAD), len(HEAD) + 20, len(HEAD) + 50, len(content) - 1):
        spoilt = bytearray(content)
        spoilt[place] ^= 1
        assert isinstance(open_backup(bytes(spoilt), PASSPHRASE), Denied)
    for cut in (b"", HEAD, content[:60], b"skerry-keys-v2\n" + content[len(HEAD) :], b"x" * (BACKUP_BYTES_MAX + 1)):
        assert isinstance(open_backup(cut, PASSPHRASE), Denied)


def test_a_file_costs_who_guesses_three_passes_over_256_mib() -> None:
    assert COST == (3, 256 * 1024 * 1024)
    content = seal_at_cost(BACKUP, PASSPHRASE, SeededMint("backup"))
    assert open_at_cost(content, PASSPHRASE, (3, 256 * 1024 * 1024)) == BACKUP
    assert isinstance(open_backup(content, PASSPHRASE), Denied)


def test_two_backups_of_the_same_keys_have_nothing_in_common() -> None:
    one, two = (seal_backup(BACKUP, PASSPHRASE, SeededMint(seed)) for seed in ("one", "two"))
    assert one[len(HEAD) : len(HEAD) + 60] != two[len(HEAD) : len(HEAD) + 60]


def test_what_is_sealed_must_be_keys() -> None:
    for words in ({"root": b"short"}, {"deploy": {}}):
        flawed = KeyBackup(**({name: getattr(BACKUP, name) for name in BACKUP.__struct_fields__} | words))
        assert isinstance(open_backup(seal_backup(flawed, PASSPHRASE, SeededMint("x")), PASSPHRASE), Denied)


def test_a_passphrase_is_neither_short_nor_endless() -> None:
    assert find_passphrase_flaw(b"x" * (PASSPHRASE_BYTES_MIN - 1))
    assert find_passphrase_flaw(b"x" * (PASSPHRASE_BYTES_MAX + 1))
    assert not find_passphrase_flaw(b"x" * PASSPHRASE_BYTES_MIN)
    assert "d" * 32 not in repr(BACKUP)
