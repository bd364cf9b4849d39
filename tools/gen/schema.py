"""docs/generated/skerry.schema.json: what an editor knows of a manifest, as ``skerry schema`` prints it."""

from pathlib import Path

from skerry.manifest.editor import FILE, write_schema


def make_schema_file(root: Path) -> dict[str, str]:
    """Return the schema."""
    return {FILE: write_schema()}
