from pathlib import Path

from tests.trust import people

from skerry.model.app import Sites
from skerry.model.ids import SiteName, TokenId, digest_of
from skerry.safe.paths import RealDirectory
from skerry.signer import ledger as ledgers
from skerry.signer.ledger import TOKEN_MEMORY_US, KeptSecret, Ledger, MintedToken
from skerry.trust.floors import Floor

SITE = SiteName("oslo")


def open_ledger(tmp_path: Path) -> Ledger:
    return Ledger(RealDirectory.open_root(tmp_path))


def token(expires_us: int = 1_000) -> MintedToken:
    return MintedToken(site=SITE, bind_key=b"k" * 32, expires_us=expires_us)


def test_everything_kept_is_there_after_a_restart(tmp_path: Path):
    ledger = open_ledger(tmp_path)
    assert ledger.keep_token(TokenId("aaaaaaaa"), token(), 0)
    ledger.raise_floors({"app/alpha/shop": Floor(3, digest_of(b"3"))})
    record = people.sign("site", people.make_record(), people.REGISTRAR)
    ledger.keep_record(people.make_record(), record)
    # Names that files beside a file have.
    lines = [f"secret/{tenant}/{name}" for tenant in ("new", "prev") for name in ("new", "prev", "till-key")]
    kept = KeptSecret(envelope=people.seal(1), sites=Sites(match=("tier=store",)))
    for line in lines:
        ledger.keep_secret(line, kept)
        ledger.keep_secret(line, kept)
    again = open_ledger(tmp_path)
    assert again.tokens == ledger.tokens
    assert again.floors == ledger.floors
    assert again.records == {people.SITE: (people.make_record(), record)}
    assert again.secrets == dict.fromkeys(lines, kept)


def test_a_new_ledger_is_empty(tmp_path: Path):
    ledger = open_ledger(tmp_path)
    assert (ledger.tokens, ledger.floors, ledger.records, ledger.secrets) == ({}, {}, {}, {})


def test_tokens_are_forgotten_long_after_their_end(tmp_path: Path):
    ledger = open_ledger(tmp_path)
    ledger.keep_token(TokenId("aaaaaaaa"), token(), 0)
    ledger.keep_token(TokenId("bbbbbbbb"), token(TOKEN_MEMORY_US), TOKEN_MEMORY_US)
    assert ledger.tokens.keys() == {"aaaaaaaa", "bbbbbbbb"}
    ledger.keep_token(TokenId("cccccccc"), token(TOKEN_MEMORY_US), TOKEN_MEMORY_US + 1_001)
    assert ledger.tokens.keys() == {"bbbbbbbb", "cccccccc"}


def test_there_are_never_too_many_tokens(tmp_path: Path):
    ledger = open_ledger(tmp_path)
    ledger.tokens = {TokenId(f"{n:08}"): token() for n in range(ledgers.TOKENS_MAX)}
    assert not ledger.keep_token(TokenId("aaaaaaaa"), token(), 0)
    assert TokenId("aaaaaaaa") not in ledger.tokens
    # Using one that is kept is no further one.
    assert ledger.keep_token(TokenId("00000000"), token(), 0)


def test_a_damaged_book_falls_back_to_the_version_before(tmp_path: Path):
    ledger = open_ledger(tmp_path)
    ledger.raise_floors({"app/alpha/shop": Floor(3, digest_of(b"3"))})
    ledger.raise_floors({"app/alpha/shop": Floor(4, digest_of(b"4"))})
    path = tmp_path / "ledger"
    path.write_bytes(path.read_bytes()[:-1])
    assert open_ledger(tmp_path).floors["app/alpha/shop"].number == 3


def test_records_and_secrets_count_as_changes(tmp_path: Path):
    ledger = open_ledger(tmp_path)
    before = ledger.version
    ledger.keep_record(people.make_record(), people.sign("site", people.make_record(), people.REGISTRAR))
    ledger.keep_secret("secret/alpha/s", KeptSecret(envelope=people.seal(1), sites=Sites()))
    assert ledger.version == before + 2
