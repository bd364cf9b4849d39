"""The documentation site: it builds without a complaint, needs no network, and complains of what leads nowhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tidy.sources import ROOT
from tools.docs.__main__ import build
from tools.docs.navigation import SECTIONS
from tools.docs.stage import make_index, make_runs_table, make_sources, make_toctree

LIMIT_S = 120
#: What a browser loads by itself: scripts, styles, pictures, fonts. A link that a person clicks is none of it.
LOADED = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, made by the program that ./dev starts."""
    out = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "tools.docs", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert str(out / "index.html") in done.stdout
    return out


def test_every_page_is_on_the_site_and_in_its_search(site):
    pages = [str(path.relative_to(ROOT / "docs"))[:-3] for path in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 40
    searched = json.loads((site / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    assert {*pages, "index"} == set(searched["docnames"])
    for page in pages:
        assert (site / f"{page}.html").is_file()


def test_nothing_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        assert LOADED.findall(path.read_text()) == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", path.read_text()), path


def test_what_stands_only_on_the_site_is_there(site):
    first = (site / "index.html").read_text()
    for section in SECTIONS:
        assert f">{section.title}<" in first
    assert 'href="tutorials/first-app.html"' in first
    assert "demo-spine" in (site / "results" / "README.html").read_text()
    assert list(site.rglob("openapi.json"))
    assert not list(site.rglob("*.md"))


def write_small_docs(folder: Path) -> Path:
    docs = folder / "docs"
    for name in [page for section in SECTIONS for page in section.pages]:
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / f"{name}.md").write_text(f"# {name}\n\nWords.\n")
    (folder / "README.md").write_text("# Small\n\nSee [the glossary](docs/glossary.md).\n")
    return docs


def test_what_leads_nowhere_fails_and_is_named(tmp_path, capfd):
    docs, out = write_small_docs(tmp_path), tmp_path / "site"
    links = "[a](nowhere.md) [b](architecture.md#no-such-heading) ![c](pictures/no-such-picture.png)"
    (docs / "glossary.md").write_text(f"# Words\n\n{links}\n")
    (docs / "forgotten.md").write_text("# In no section\n")
    assert build(docs, tmp_path / "README.md", out) != 0
    said = capfd.readouterr().err
    for complaint in ("'nowhere.md'", "no-such-heading", "no-such-picture.png", "forgotten.md"):
        assert complaint in said
    assert not out.exists()


def test_a_site_that_was_there_is_replaced_whole(tmp_path):
    out = tmp_path / "site"
    out.mkdir()
    (out / "left-over.html").touch()
    assert build(write_small_docs(tmp_path), tmp_path / "README.md", out) == 0
    assert (out / "glossary.html").exists()
    assert not (out / "left-over.html").exists()


def test_the_first_page_is_the_readme():
    made = make_index("# Skerry\n\n[a](docs/a.md#b), [c](LICENSE).\n")
    assert made.startswith("# Skerry\n\n[a](a.md#b), c.\n")
    assert make_toctree(["glossary"], "Words").splitlines() == [
        "```{toctree}",
        ":hidden:",
        ":caption: Words",
        "",
        "/glossary",
        "```",
    ]


def test_runs_have_a_row_and_other_files_none():
    run = {"name": "r", "why": "to see", "ok": False, "seconds": 120.4, "commit": "abc"}
    made = make_runs_table({"r.json": json.dumps(run), "other.json": "{}"})
    assert "| [r](r.json) | to see | no | 2 | `abc` |" in made
    assert "other" not in made


def test_pages_below_a_parent_are_listed_there():
    pages = {"decisions/README.md": "# D\n", "decisions/0001-a.md": "# A\n", "results/README.md": "# R\n"}
    made = make_sources("# Skerry\n", pages, {})
    assert "/decisions/0001-a\n" in made["decisions/README.md"]
    assert made["decisions/0001-a.md"] == "# A\n"
