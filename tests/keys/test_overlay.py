"""Overlay keys: made once, signed by the device, kept over a restart, and never made anew over damage."""

import pytest

from skerry.clock import SeededMint
from skerry.keys.file import KeyDamaged
from skerry.keys.overlay import OverlayKeys
from skerry.model.ids import NodeName, SiteName
from skerry.model.signed import OverlayKey
from skerry.safe.paths import Directory
from skerry.sim.disk import MemoryDisk
from skerry.trust.envelope import pre_authentication
from skerry.trust.keys import SigningKey, verify_signature
from skerry.trust.parse import parse_payload

DEVICE = SigningKey.from_seed(b"d" * 32)
NODE = SiteName("bergen"), NodeName("n1")


def room(directory: Directory, whose: tuple[SiteName, NodeName] | None = NODE) -> OverlayKeys:
    return OverlayKeys(directory, SeededMint("keys"), DEVICE, lambda: whose)


def test_a_key_is_made_once_and_its_statement_is_the_devices():
    keys = room(MemoryDisk().root)
    assert keys.list_own() == ()
    keys.make(1)
    first = keys.public(1)
    keys.make(1)
    (own,) = keys.list_own()
    payload = parse_payload(own.statement.payload, OverlayKey)
    assert payload == OverlayKey(site=NODE[0], node=NODE[1], number=1, key=first or b"")
    message = pre_authentication(own.statement.type, own.statement.payload)
    assert verify_signature(DEVICE.public, message, own.statement.signatures[0].sig)


def test_keys_outlive_the_process_and_a_dropped_one_is_gone_for_good():
    disk = MemoryDisk()
    keys = room(disk.root)
    keys.make(1)
    keys.make(2)
    again = room(disk.root)
    assert [own.number for own in again.list_own()] == [1, 2]
    assert again.secret(2) == keys.secret(2)
    again.drop(1)
    assert [own.number for own in room(disk.root).list_own()] == [2]
    assert (again.public(1), again.secret(1)) == (None, None)


def test_a_node_that_has_not_joined_shows_none():
    keys = room(MemoryDisk().root, None)
    keys.make(1)
    assert keys.list_own() == ()


def test_damage_is_told():
    disk = MemoryDisk()
    sink = disk.root.create("overlay-1.key")
    sink.write(b"nothing")
    sink.close()
    with pytest.raises(KeyDamaged):
        room(disk.root).list_own()
