"""`./dev gen [--check]`: write docs/generated/, the SDK's methods and the dashboard, or say what differs and fail."""

import difflib
import sys
from pathlib import Path

from tools.gen import make_pages
from tools.gen.faces import PLACE, make_faces
from tools.gen.metrics import DASHBOARD, make_dashboard

ROOT = Path(__file__).resolve().parent.parent.parent


def find_differences(folder: Path, pages: dict[str, str]) -> list[str]:
    """Describe each page that is missing, left over or different, with the first lines of the difference."""
    held = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    found = [f"{name} is left over: nothing generates it" for name in sorted(held.keys() - pages.keys())]
    for name, text in sorted(pages.items()):
        if name not in held:
            found.append(f"{name} is missing")
        elif held[name] != text:
            lines = difflib.unified_diff(held[name].splitlines(), text.splitlines(), lineterm="", n=0)
            found.append(f"{name} differs:\n    " + "\n    ".join(list(lines)[2:10]))
    return found


def write_pages(folder: Path, pages: dict[str, str]) -> None:
    """Make `folder` hold exactly `pages`."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main(arguments: list[str]) -> int:
    """Write, or check with `--check`."""
    folder = ROOT / "docs" / "generated"
    pages = make_pages(ROOT)
    others = {PLACE: make_faces, DASHBOARD: make_dashboard}
    if arguments == ["--check"]:
        found = find_differences(folder, pages)
        found += [f"{name} differs" for name, make in others.items() if (ROOT / name).read_text() != make(ROOT)]
        if found:
            print("\n".join(["What is generated is not current (run ./dev gen):", *found]))
        return int(bool(found))
    if arguments:
        print("usage: ./dev gen [--check]", file=sys.stderr)
        return 64
    write_pages(folder, pages)
    for name, make in others.items():
        (ROOT / name).write_text(make(ROOT))
    print(f"docs/generated/: {len(pages)} files written, and {', '.join(others)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
