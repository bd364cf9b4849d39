"""Contracts are fitted to the rooms that exist, and nothing else is taken from them."""

import tomllib

from tools.contracts import fit_contracts, format_settings

CONTRACTS = [
    {"name": "pure", "source_modules": ["skerry.plan", "skerry.gone"], "forbidden_modules": ["asyncio", "skerry.cli"]},
    {"name": "strangers", "modules": ["skerry.plan", "skerry.gone"]},
    {"name": "drivers", "modules": ["skerry.drivers.*"]},
    {"name": "sim", "protected_modules": ["skerry.gone"], "allowed_importers": ["skerry.plan"]},
]


def test_rooms_that_are_not_there_are_left_out_and_named(tmp_path):
    (tmp_path / "skerry" / "plan").mkdir(parents=True)
    (tmp_path / "skerry" / "plan" / "__init__.py").touch()
    fitted, missing = fit_contracts(CONTRACTS, tmp_path)
    assert missing == ["skerry.cli", "skerry.gone"]
    assert [contract["name"] for contract in fitted] == ["pure", "drivers"]
    assert fitted[0]["source_modules"] == ["skerry.plan"]
    assert fitted[0]["forbidden_modules"] == ["asyncio"]


def test_with_every_room_there_nothing_changes(tmp_path):
    for room in ("plan", "gone", "cli"):
        (tmp_path / "skerry" / room).mkdir(parents=True)
        (tmp_path / "skerry" / room / "__init__.py").touch()
    assert fit_contracts(CONTRACTS, tmp_path) == (CONTRACTS, [])


def test_settings_are_written_as_they_were_read():
    settings = {"root_package": "skerry", "include_external_packages": True}
    read = tomllib.loads(format_settings(settings, CONTRACTS))["tool"]["importlinter"]
    assert read == {**settings, "contracts": CONTRACTS}
