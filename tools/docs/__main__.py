"""`./dev docs [--out FOLDER]`: build the site into dist/docs/. A dead link, anchor or page without a place fails.

Neighbours: `navigation.py` has the order of the pages, `stage.py` what the site adds to them, `skerry.css` how it
all looks.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.docs.stage import make_sources

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent

#: Sphinx's settings. Anchors are those that GitHub makes, which tests/tidy/pages.py knows too.
SETTINGS = {
    "project": "Skerry",
    "extensions": "myst_parser",
    "html_theme": "furo",
    "html_title": "Skerry",
    "html_static_path": str(HERE / "skerry.css"),
    "html_css_files": "skerry.css",
    "html_copy_source": "0",
    "html_show_copyright": "0",
    "html_show_sphinx": "0",
    "myst_heading_anchors": "4",
    "smartquotes": "0",
    "highlight_language": "none",
}


def write_sources(docs: Path, readme: Path, folder: Path) -> None:
    """Copy what git would keep of ``docs`` into ``folder``, with what the site adds."""
    pages = {str(path.relative_to(docs)): path.read_text() for path in docs.rglob("*.md")}
    results = {path.name: path.read_text() for path in (docs / "results").glob("*.json")}
    shutil.copytree(docs, folder, ignore=shutil.ignore_patterns("man"), dirs_exist_ok=True)
    for name, text in make_sources(readme.read_text(), pages, results).items():
        (folder / name).write_text(text)


def build(docs: Path, readme: Path, out: Path) -> int:
    """Build the site of ``docs`` into ``out``, which holds nothing else afterwards; return 0 when all is well."""
    with tempfile.TemporaryDirectory(prefix="skerry-docs-") as work:
        sources, made = Path(work) / "docs", Path(work) / "site"
        write_sources(docs, readme, sources)
        settings = [word for name, value in SETTINGS.items() for word in ("-D", f"{name}={value}")]
        # No configuration file (-C), every page anew (-E), and a warning is a failure (-W), after all were said.
        how = ["-q", "-C", "-E", "-W", "--keep-going", "-b", "html", *settings]
        done = subprocess.run([sys.executable, "-m", "sphinx", *how, sources, made], check=False).returncode
        if done:
            return done
        for left in (".doctrees", ".buildinfo", "_sources", "objects.inv"):
            path = made / left
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, out)
    return 0


def main(arguments: list[str]) -> int:
    """Build and say where the site is."""
    parser = argparse.ArgumentParser(prog="./dev docs", description="Build the documentation site, offline.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "docs", help="the site's folder (dist/docs)")
    options = parser.parse_args(arguments)
    done = build(ROOT / "docs", ROOT / "README.md", options.out)
    if done == 0:
        print(f"the site is in {options.out}: open {options.out / 'index.html'} in any browser")
    return done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
