"""What the tutorials and how-to pages tell the reader to type is typed, and what they show is seen.

A block `python` of a how-to page is run. A block `console` is typed here; `console e2e: WHY` only at a site of the lab,
`console postgres: WHY` where there is a database server, and `console no-run: WHY` never. Lines
after `$ ` are typed, the others must be seen in their order, with `…` for anything and any width of gaps, and
`# exit code N` says what a command ends with when that is not 0. Without a site nothing is waited for, and ports are
the test's own. `yaml FILE` is a file beside a tutorial, `toml PROGRAM` settings that the program takes, and
`yaml prometheus` is scraped with (tests/e2e). `text` is a drawing. A block of any other kind says `no-run: WHY`.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.e2e.lab import Lab
from tests.store.postgres import Server
from tests.tidy.sources import ROOT, read_checkout

from skerry.app import AgentSettings, CoreSettings, SignerSettings
from skerry.settings import load

TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
HOW_TOS = sorted((ROOT / "docs/how-to").glob("*.md"))
#: Where a page says that the reader's database is.
DATABASE = "postgresql://skerry@/skerry?host=/run/postgresql"
#: The page whose configurations tests/e2e/test_prometheus.py gives to a server.
SCRAPED = "docs/how-to/monitor-with-prometheus.md"
#: Programs whose settings a page may show.
PROGRAMS = {"core": CoreSettings, "agent": AgentSettings, "signer": SignerSettings}
LIMIT_S = 120

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


def list_blocks(text: str) -> list[tuple[int, str, str]]:
    """Fenced blocks as (line, info string, content)."""
    found = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, each.start()) + 1, each[1], each[2]) for each in found]


def list_commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that are to be seen after it."""
    command, seen = "", list[str]()
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, seen
            command, seen = line[2:], []
        elif line.strip():
            seen.append(line)
    if command:
        yield command, seen


def find_unseen(wanted: list[str], output: str) -> str | None:
    """The first of the wanted lines that does not come, in order; None when all do."""
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for want in wanted:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in want.split("…"))
        if not any(re.search(pattern, line) for line in lines):
            return want
    return None


def follow(page: Path, kinds: tuple[str, ...], run: Run) -> int:
    """Type what a page says, blocks of the given kinds in their order; return how many commands that were."""
    typed = 0
    for number, info, block in list_blocks(page.read_text()):
        if info.partition(":")[0] not in kinds:
            continue
        for command, wanted in list_commands(block):
            done = run(command)
            where = f"{page.name}:{number}: $ {command}\n{done.stdout}"
            code = re.search(r"# exit code (\d+)", command)
            assert done.returncode == (int(code[1]) if code else 0), f"exit code {done.returncode}: {where}"
            assert (unseen := find_unseen(wanted, done.stdout)) is None, f"not seen: {unseen}\n{where}"
            typed += 1
    return typed


def typist(home: Path, env: Mapping[str, str], prefix: list[str], change: Callable[[str], str]) -> Run:
    """One shell after another, each in the folder where the one before it ended."""
    # What a page writes where it stands must not stay in the checkout.
    checkout = home / "checkout"
    checkout.mkdir()
    for entry in ROOT.iterdir():
        (checkout / entry.name).symlink_to(entry)
    state = home / ".cwd"
    state.write_text(str(checkout))

    def run(command: str) -> "subprocess.CompletedProcess[str]":
        # The shell itself goes to the folder: entering a place's namespaces leads to the root of its disk.
        script = f"cd \"$(cat '{state}')\"\n{change(command)}\ncode=$?\npwd > '{state}'\nexit $code\n"
        return subprocess.run(
            [*prefix, "bash", "-c", script],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
        )

    return run


def make_environment(home: Path, path: str) -> dict[str, str]:
    """An environment in which everything lies below `home`."""
    places = {f"XDG_{name}": str(home / "x" / name.lower()) for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR")}
    return {"PATH": f"{ROOT / '.venv/bin'}:{path}", "HOME": str(home), "LANG": "C.UTF-8", **places}


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def follow_at_a_core(page: Path, kinds: tuple[str, ...], words: Mapping[str, str]) -> int:
    """Follow a page without a site, in a home of its own; ``words`` replaces what belongs to the reader's machine."""
    ports = f"--sites 0 --api-port {find_free_port()} --link-port {find_free_port()}"

    def change(command: str) -> str:
        for theirs, ours in words.items():
            command = command.replace(theirs, ours)
        return command.replace("skerry up", f"skerry up {ports}").replace(" --wait", "")

    # A socket's path has 107 bytes at most, and pytest's own folders are long.
    with tempfile.TemporaryDirectory(prefix="skt-") as folder:
        run = typist(Path(folder), make_environment(Path(folder), os.environ["PATH"]), [], change)
        try:
            return follow(page, kinds, run)
        finally:
            run("skerry down")


@pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="the image is made of busybox-static (./dev setup)")
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_the_core_part_of_a_tutorial_is_true(page: Path):
    assert follow_at_a_core(page, ("console",), {}) > 10


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_the_core_part_of_a_how_to_page_is_true(page: Path):
    typed = follow_at_a_core(page, ("console",), {})
    assert typed == sum(
        len([*list_commands(block)]) for _, info, block in list_blocks(page.read_text()) if info == "console"
    )


WITH_PYTHON = [page for page in HOW_TOS if "```python\n" in page.read_text()]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_the_programs_of_a_how_to_page_run(page: Path, tmp_path: Path):
    for number, info, block in list_blocks(page.read_text()):
        if info == "python":
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", block],
                cwd=tmp_path,
                env=make_environment(tmp_path, os.environ["PATH"]),
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
            assert done.returncode == 0, f"{page.name}:{number}: {done.stderr}"


ON_POSTGRES = [page for page in HOW_TOS if DATABASE in page.read_text()]


@pytest.mark.postgres
@pytest.mark.parametrize("page", ON_POSTGRES, ids=lambda page: page.stem)
def test_what_a_page_says_of_postgresql_is_true(page: Path, postgres_server: Server):
    # The first block makes the core, and those for the database follow.
    first = next(block for _, info, block in list_blocks(page.read_text()) if info == "console")
    url = postgres_server.make_database()
    with tempfile.TemporaryDirectory(prefix="skt-") as folder:
        shown = Path(folder) / page.name
        theirs = [block for _, info, block in list_blocks(page.read_text()) if info.startswith("console postgres: ")]
        shown.write_text("\n\n".join(f"```console\n{block}```" for block in (first, *theirs)) + "\n")
        assert follow_at_a_core(shown, ("console",), {DATABASE: url}) > 5
    postgres_server.drop(url)


@pytest.mark.e2e
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_is_true_at_a_site(page: Path):
    with Lab(["shop"]) as lab:
        site = lab.sites["shop"]
        site.run("mkdir", "/run/podman")
        site.run("ln", "-s", site.podman_socket, "/run/podman/podman.sock")
        home = site.disk / "home"
        home.mkdir()
        env = {**site.env, **make_environment(home, site.env["PATH"])}
        assert follow(page, ("console", "console e2e"), typist(home, env, site.argv(), lambda command: command)) > 20


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_files_that_a_tutorial_shows_are_the_files_that_it_gives(page: Path):
    shown = [(info.split()[1], block) for _, info, block in list_blocks(page.read_text()) if info.startswith("yaml ")]
    assert shown
    for name, block in shown:
        assert (ROOT / "docs/tutorials/hello" / name).read_text() == block


SHOWN_SETTINGS = [
    (page, number, info.split()[1], block)
    for page in (*TUTORIALS, *HOW_TOS)
    for number, info, block in list_blocks(page.read_text())
    if info.startswith("toml ")
]


@pytest.mark.parametrize(
    ("page", "number", "program", "block"), SHOWN_SETTINGS, ids=[f"{each[0].stem}:{each[1]}" for each in SHOWN_SETTINGS]
)
def test_settings_that_a_page_shows_are_taken(page: Path, number: int, program: str, block: str, tmp_path: Path):
    """Beside those of the package, which the reader's file has already."""
    file = tmp_path / f"{program}.toml"
    file.write_text((ROOT / "packaging" / "settings" / f"{program}.toml").read_text() + block)
    assert load(PROGRAMS[program], file, environment={}), f"{page.name}:{number}"


def is_covered(path: str, info: str, block: str) -> bool:
    """Say whether something runs a block of this kind at this place, or the block says why nothing does."""
    language, _, rest = info.partition(" ")
    is_tutorial, is_how_to = (path.startswith(f"docs/{folder}/") for folder in ("tutorials", "how-to"))
    match language:
        case "text":
            return rest == "" and not re.search(r"^\s*(\$|#|skerry|\./dev) ", block, re.MULTILINE)
        case "console":
            why = re.fullmatch(r"(no-run|e2e|postgres): \S.*", rest)
            return why is not None or (rest == "" and (is_tutorial or is_how_to))
        case "python" if is_how_to and not rest:
            return True
        case "yaml" if is_tutorial and re.fullmatch(r"[\w.-]+", rest):
            return True
        case "yaml" if path == SCRAPED and rest == "prometheus":
            return True
        case "toml" if is_how_to and rest in PROGRAMS:
            return True
        case _:
            return re.fullmatch(r"no-run: \S.*", rest) is not None


def find_silent_blocks(path: str, text: str) -> list[str]:
    """Blocks that nothing runs and that do not say why, and fences that no test sees because they are indented."""
    found = [
        f"{path}:{number}: ```{info}" for number, info, block in list_blocks(text) if not is_covered(path, info, block)
    ]
    fences = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s+(```|~~~)|~~~", line)]
    return found + [f"{path}:{number}: a fence that is indented or of tildes" for number in fences]


def test_every_block_of_the_pages_is_run_or_says_why_not():
    pages = [each for each in read_checkout() if each.path.endswith(".md") and not each.path.startswith("tests/")]
    assert sum(len(list_blocks(page.text)) for page in pages) > 50
    assert [each for page in pages for each in find_silent_blocks(page.path, page.text)] == []


@pytest.mark.parametrize(
    ("path", "info", "block", "covered"),
    [
        ("docs/a.md", "console", "$ x", False),
        ("docs/a.md", "console no-run: it reboots", "$ x", True),
        ("docs/how-to/a.md", "console", "$ x", True),
        ("docs/how-to/a.md", "console no-run:", "$ x", False),
        ("docs/how-to/a.md", "python", "x", True),
        ("docs/tutorials/a.md", "python", "x", False),
        ("docs/how-to/a.md", "yaml", "x: 1", False),
        ("docs/how-to/a.md", "yaml prometheus", "x: 1", False),
        (SCRAPED, "yaml prometheus", "x: 1", True),
        ("docs/tutorials/a.md", "yaml compose.yaml", "x: 1", True),
        ("docs/how-to/a.md", "toml core", "x = 1", True),
        ("docs/how-to/a.md", "toml", "x = 1", False),
        ("docs/how-to/a.md", "nginx", "x;", False),
        ("docs/how-to/a.md", "nginx no-run: it needs nginx", "x;", True),
        ("docs/a.md", "", "x -> y", False),
        ("docs/a.md", "text", "x -> y", True),
        ("docs/a.md", "text", "$ rm", False),
    ],
)
def test_which_blocks_are_covered(path: str, info: str, block: str, covered: bool):
    assert is_covered(path, info, block) is covered
    assert bool(find_silent_blocks(path, f"# A\n\n```{info}\n{block}\n```\n")) is not covered


def test_an_unseen_line_and_a_hidden_fence_are_found():
    assert find_silent_blocks("a.md", "* a\n\n  ```console\n  $ x\n  ```\n")
    assert find_unseen(["a … c", "d"], "x\na  b   c\nd\n") is None
    assert find_unseen(["d", "a"], "a\nd\n") == "a"
