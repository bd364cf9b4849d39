"""What programs import from the SDK, and what that costs them."""

import subprocess
import sys

import pytest

import skerry.sdk
from skerry.sdk import client, errors


def test_the_public_names_are_there():
    assert skerry.sdk.Client is client.Client
    assert skerry.sdk.Error is errors.Error
    assert all(getattr(skerry.sdk, name) for name in skerry.sdk.__all__)


def test_another_name_is_none():
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        _ = skerry.sdk.Server


def test_importing_the_room_loads_no_client():
    code = "import sys, skerry.sdk; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"httpx2", "msgspec", "stamina", "skerry.sdk.client", "skerry.sdk.errors"})
