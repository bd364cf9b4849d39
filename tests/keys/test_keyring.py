from pathlib import Path

import pytest
from tests.trust import people

from skerry.clock import SeededMint
from skerry.keys.file import KeyDamaged
from skerry.keys.keyring import FIRST_TENANT, Keyring, open_keyring
from skerry.model.ids import TenantName
from skerry.safe.files import frame
from skerry.safe.paths import RealDirectory

ROOT = people.sign("root", people.make_root(), people.ROOT)


def open_ring(tmp_path: Path, seed: str = "person") -> Keyring:
    return open_keyring(RealDirectory.open_root(tmp_path / "keyring"), SeededMint(seed))


def test_a_keyring_keeps_what_it_made(tmp_path: Path):
    first = open_ring(tmp_path)
    again = open_ring(tmp_path, "other randomness")
    assert again.root.public == first.root.public
    assert again.registrar.public == first.registrar.public
    assert again.sealing_seed == first.sealing_seed
    assert {tenant: key.public for tenant, key in again.deploy.items()} == {
        FIRST_TENANT: first.deploy[FIRST_TENANT].public
    }
    publics = {first.root.public, first.registrar.public, first.deploy[FIRST_TENANT].public}
    assert len(publics) == 3


# "new" and "prev" are names that files beside a key have.
@pytest.mark.parametrize("tenant", ["beta", "new", "prev", "key", "a" * 63])
def test_every_tenant_may_have_a_deploy_key(tmp_path: Path, tenant: str):
    ring = open_ring(tmp_path)
    key = ring.add_tenant(TenantName(tenant))
    assert ring.add_tenant(TenantName(tenant)) is key
    again = open_ring(tmp_path)
    assert again.deploy[TenantName(tenant)].public == key.public
    assert again.deploy.keys() == {FIRST_TENANT, tenant}


@pytest.mark.parametrize("tenant", ["", "../x", "A", "a.b", "a" * 64])
def test_what_is_no_name_gets_no_key(tmp_path: Path, tenant: str):
    with pytest.raises(ValueError, match="no tenant's name"):
        open_ring(tmp_path).add_tenant(TenantName(tenant))


def test_the_root_document_is_kept(tmp_path: Path):
    ring = open_ring(tmp_path)
    assert ring.root_document is None
    ring.keep_root_document(ROOT)
    assert open_ring(tmp_path).root_document == ROOT


def test_a_making_that_was_interrupted_goes_on(tmp_path: Path):
    first = open_ring(tmp_path)
    # The root key is made last: without it nothing can have been signed for anybody.
    (tmp_path / "keyring" / "root.key").unlink()
    again = open_ring(tmp_path)
    assert again.registrar.public == first.registrar.public
    assert again.deploy[FIRST_TENANT].public == first.deploy[FIRST_TENANT].public


@pytest.mark.parametrize("name", ["root.key", "registrar.key", "sealing.key", "deploy/default"])
def test_a_lost_key_is_not_replaced_once_it_was_used(tmp_path: Path, name: str):
    open_ring(tmp_path).keep_root_document(ROOT)
    (tmp_path / "keyring" / name).unlink()
    with pytest.raises(KeyDamaged, match=name):
        open_ring(tmp_path)
    assert not (tmp_path / "keyring" / name).exists()


@pytest.mark.parametrize("name", ["root.key", "registrar.key", "sealing.key", "deploy/default", "root.json"])
def test_a_damaged_file_stops_everything(tmp_path: Path, name: str):
    open_ring(tmp_path).keep_root_document(ROOT)
    path = tmp_path / "keyring" / name
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(KeyDamaged):
        open_ring(tmp_path)


def test_what_is_no_envelope_is_no_root_document(tmp_path: Path):
    ring = open_ring(tmp_path)
    ring.keep_root_document(ROOT)
    path = tmp_path / "keyring" / "root.json"
    path.write_bytes(frame(b"{}"))
    with pytest.raises(KeyDamaged, match=r"root\.json"):
        open_ring(tmp_path)
