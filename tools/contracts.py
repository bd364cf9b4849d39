"""Checks the import contracts of pyproject.toml against the rooms that exist.

Rule: contracts name every room of docs/architecture.md from the first day; import-linter refuses a name that is not
there, so rooms that are still to come are left out here and printed. Neighbours: `sections.py` runs it as part of
check; tests/tidy/test_contracts.py breaks every contract on purpose.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Settings of a contract that list modules which have to exist.
LISTS = ("modules", "source_modules", "forbidden_modules", "protected_modules", "allowed_importers")
#: What a contract needs to say anything: the count of entries that must be left in each list.
NEEDED = {"modules": 2, "source_modules": 1, "forbidden_modules": 1, "protected_modules": 1}


def is_there(module: str, source: Path) -> bool:
    """Tell whether a module of ours exists; patterns and other people's modules count as there."""
    if module.partition(".")[0] != "skerry" or "*" in module:
        return True
    path = source.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def fit_contracts(contracts: list[dict[str, Any]], source: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the contracts without rooms that are not there, and those rooms; a contract left empty is left out."""
    fitted: list[dict[str, Any]] = []
    missing: set[str] = set()
    for contract in contracts:
        kept = dict(contract)
        for key in LISTS:
            names = contract.get(key, [])
            missing.update(name for name in names if not is_there(name, source))
            if key in contract:
                kept[key] = [name for name in names if is_there(name, source)]
        enough = all(len(kept[key]) >= min(NEEDED[key], len(contract[key])) for key in NEEDED if key in kept)
        if enough:
            fitted.append(kept)
    return fitted, sorted(missing)


def format_settings(settings: dict[str, Any], contracts: list[dict[str, Any]]) -> str:
    """Write settings of import-linter as TOML; all values are strings, lists of strings or booleans."""
    lines = ["[tool.importlinter]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    for contract in contracts:
        lines.append("[[tool.importlinter.contracts]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in contract.items()]
    return "\n".join([*lines, ""])


def main() -> int:
    """Run import-linter and return its exit code."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts, missing = fit_contracts(settings.pop("contracts"), ROOT / "src")
    if missing:
        print(f"contracts that also wait for rooms to come: {', '.join(missing)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="skerry-contracts-") as folder:
        path = Path(folder) / "contracts.toml"
        path.write_text(format_settings(settings, contracts))
        command = [Path(sys.executable).parent / "lint-imports", "--no-logo", path]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
