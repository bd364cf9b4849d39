"""Generators of docs/generated/: one function each, from the sources to named texts, no files touched.

Rule: what can be read from the code is never written by hand; `./dev check` fails when a page differs from what its
generator makes now. Neighbours: `__main__.py` writes or compares; a new generator is a function in a file here and a
line in GENERATORS.
"""

from collections.abc import Callable
from pathlib import Path

from tools.gen.commands import make_commands_page
from tools.gen.errors import make_error_page
from tools.gen.fields import make_fields_page
from tools.gen.limits import make_limits_page
from tools.gen.man import make_man_pages
from tools.gen.metrics import make_metrics_page
from tools.gen.operations import make_openapi, make_operations_page
from tools.gen.schema import make_schema_file
from tools.gen.settings import make_settings_page
from tools.gen.wire import make_wire_page

#: A generator gets the root of the checkout and returns texts by file name below docs/generated/.
Generator = Callable[[Path], dict[str, str]]

GENERATORS: tuple[Generator, ...] = (
    make_commands_page,
    make_error_page,
    make_fields_page,
    make_limits_page,
    make_man_pages,
    make_metrics_page,
    make_openapi,
    make_operations_page,
    make_schema_file,
    make_settings_page,
    make_wire_page,
)


def make_pages(root: Path, generators: tuple[Generator, ...] = GENERATORS) -> dict[str, str]:
    """Run every generator; two that claim one name are a defect of ours."""
    pages: dict[str, str] = {}
    for generate in generators:
        for name, text in generate(root).items():
            if name in pages:
                raise ValueError(f"two generators write {name}")
            pages[name] = text
    return pages
