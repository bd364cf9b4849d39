"""Each import contract of pyproject.toml breaks when its rule is broken: planted imports in a copy of the product."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT

#: First words of a contract's name -> files that break it.
PLANTED = {
    "A room imports": {
        "model/planted.py": "import skerry.wire",
        "flows/__init__.py": '"""A room that no layer names."""',
    },
    "Core and agent": {"core/planted_peer.py": "import skerry.agent"},
    "Pure rooms": {"plan/planted.py": "import asyncio"},
    "The SDK": {"sdk/planted.py": "import skerry.store"},
    "The command line": {"cli/planted_core.py": "import skerry.core"},
    "The signer": {"signer/planted.py": "import skerry.core"},
    "The second checker": {"sim/history.py": "import skerry.wire"},
    "Only the test room": {"core/planted_world.py": "import skerry.sim"},
    "Database libraries": {"core/planted_sql.py": "import sqlite3"},
    "Each library": {"core/planted_library.py": "import click"},
    "Drivers": {"drivers/planted_one.py": "import skerry.drivers.planted_two", "drivers/planted_two.py": "X = 1"},
    "No two files": {
        "safe/planted_one.py": "import skerry.safe.planted_two",
        "safe/planted_two.py": "import skerry.safe.planted_one",
    },
}


#: Rooms that the contracts name; made here while the product does not have them yet.
ROOMS = ("app", "testing", "sim", "cli", "signer", "sdk", "core", "agent", "store", "drivers", "manifest")


def read_names() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [contract["name"] for contract in contracts]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the product with every planted import, line ends taken out."""
    top = tmp_path_factory.mktemp("contracts")
    package = top / "skerry"
    shutil.copytree(ROOT / "src" / "skerry", package, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    (package / "flows").mkdir()
    (package / "flows" / "__init__.py").touch()  # a room that no layer names
    for room in ROOMS:
        if not (package / f"{room}.py").exists():
            (package / room).mkdir(exist_ok=True)
            (package / room / "__init__.py").touch()
    for files in PLANTED.values():
        for name, text in files.items():
            path = package / name
            path.write_text(text + "\n")
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache", ROOT / "pyproject.toml"]
    done = subprocess.run(command, cwd=top, env={"PYTHONPATH": str(top)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_every_contract_has_a_breach_planted():
    assert [name for name in read_names() if not any(name.startswith(first) for first in PLANTED)] == []
    assert [first for first in PLANTED if not any(name.startswith(first) for name in read_names())] == []


@pytest.mark.parametrize("name", read_names())
def test_a_breach_is_found(name, broken):
    assert f"{name} BROKEN" in broken


def test_a_room_that_no_layer_names_is_found(broken):
    assert "flows" in broken
