import stat
from pathlib import Path

import pytest

from skerry.clock import SeededMint
from skerry.keys.file import KeyDamaged, NodeKeys, make_seed, open_node_keys, read_seed
from skerry.safe.files import write_durable
from skerry.safe.paths import RealDirectory
from skerry.trust.keys import key_id
from skerry.trust.seal import open_secret, seal_secret, sealing_public


@pytest.fixture
def directory(tmp_path: Path) -> RealDirectory:
    return RealDirectory.open_root(tmp_path / "node")


def open_keys(directory: RealDirectory, seed: str = "node") -> NodeKeys:
    return open_node_keys(directory, SeededMint(seed))


def test_a_node_keeps_the_keys_it_made(directory: RealDirectory):
    first = open_keys(directory)
    again = open_keys(directory, "other randomness")
    assert again.device.public == first.device.public
    assert again.sealing_seed == first.sealing_seed


def test_device_and_sealing_key_have_nothing_in_common(directory: RealDirectory):
    keys = open_keys(directory)
    secret = seal_secret(
        b"v",
        tenant="alpha",  # type: ignore[arg-type]
        name="s",  # type: ignore[arg-type]
        number=1,
        recipients=[sealing_public(keys.sealing_seed)],
        mint=SeededMint("seal"),
    )
    assert open_secret(secret, keys.sealing_seed) == b"v"
    assert keys.device.public.key != sealing_public(keys.sealing_seed).key


def test_key_files_are_for_their_owner_alone(directory: RealDirectory, tmp_path: Path):
    open_keys(directory)
    for name in ("device.key", "sealing.key"):
        assert stat.S_IMODE((tmp_path / "node" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "node").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["device.key", "sealing.key"])
def test_damage_is_never_answered_with_a_new_key(directory: RealDirectory, tmp_path: Path, name: str):
    open_keys(directory)
    before = (tmp_path / "node" / name).read_bytes()
    (tmp_path / "node" / name).write_bytes(before[:-1])
    with pytest.raises(KeyDamaged, match=name):
        open_keys(directory)
    assert (tmp_path / "node" / name).read_bytes() == before[:-1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"type":"x25519","seed":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}',
        b'{"type":"ed25519","seed":"AAAA"}',
        b'{"type":"ed25519","seed":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","more":1}',
    ],
)
def test_a_file_that_is_no_such_key_is_damage(directory: RealDirectory, content: bytes):
    write_durable(directory, "device.key", content)
    with pytest.raises(KeyDamaged):
        read_seed(directory, "device.key", "ed25519")


def test_a_key_is_never_overwritten(directory: RealDirectory):
    seed = make_seed(directory, "device.key", "ed25519", SeededMint("one"))
    with pytest.raises(KeyDamaged):
        make_seed(directory, "device.key", "ed25519", SeededMint("two"))
    assert read_seed(directory, "device.key", "ed25519") == seed


def test_keys_are_not_printed(directory: RealDirectory):
    keys = open_keys(directory)
    assert keys.sealing_seed.hex() not in repr(keys)
    assert repr(keys) == f"NodeKeys(SigningKey({key_id(keys.device.public)}))"
