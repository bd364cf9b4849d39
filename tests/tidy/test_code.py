"""Each check of code.py finds the breach that it is for, and leaves the sound line beside it alone."""

import pytest

from tests.tidy import code
from tests.tidy.sources import Source


def at(path: str, *lines: str) -> Source:
    return Source(path, "\n".join(lines) + "\n")


@pytest.mark.parametrize("line", ["async def f(): ...", "def f():\n    async def g(): ..."])
def test_async_in_a_pure_room_is_found(line):
    assert list(code.find_impure([at("src/skerry/plan/site.py", line)])) != []
    assert list(code.find_impure([at("src/skerry/agent/loop.py", line)])) == []


def test_a_file_that_nothing_imports_is_found():
    dead = at("src/skerry/plan/dead.py", "X = 1")
    user = at("src/skerry/plan/__init__.py", "from skerry.plan import other")
    assert list(code.find_unimported([dead, user])) == ["src/skerry/plan/dead.py: nothing in src imports it"]


@pytest.mark.parametrize(
    "line",
    [
        "import skerry.plan.site",
        "from skerry.plan import site",
        "from skerry.plan.site import plan_site",
        "from . import site",
        "from .site import plan_site",
        'LAZY = {"site": "skerry.plan.site:group"}',
    ],
)
def test_every_way_to_import_counts(line):
    used = at("src/skerry/plan/site.py", "X = 1")
    user = at("src/skerry/plan/__init__.py", line)
    assert list(code.find_unimported([used, user])) == []


def test_a_program_need_not_be_imported():
    program = at("src/skerry/sim/__main__.py", "X = 1")
    script = at("src/skerry/tool.py", 'if __name__ == "__main__":', "    X = 1")
    assert list(code.find_unimported([program, script])) == []


def test_tests_keep_alive_what_is_there_for_them_and_nothing_else():
    test = at("tests/test_x.py", "from skerry.sim import disk", "from skerry.plan import dead")
    found = code.find_unimported(
        [at("src/skerry/sim/disk.py", "X = 1"), at("src/skerry/plan/dead.py", "X = 1")], [test]
    )
    assert list(found) == ["src/skerry/plan/dead.py: nothing in src imports it"]


def test_a_file_that_imports_only_itself_is_dead():
    assert list(code.find_unimported([at("src/skerry/lonely.py", "import skerry.lonely")])) != []


def test_printing_outside_the_command_line_is_found():
    assert list(code.find_prints([at("src/skerry/core/loops.py", "print(1)")])) != []
    assert list(code.find_prints([at("src/skerry/cli/status.py", "print(1)")])) == []
    assert list(code.find_prints([at("src/skerry/core/loops.py", "console.print(1)")])) == []


@pytest.mark.parametrize(
    "line",
    ["os.system('ls')", "subprocess.run('ls', shell=True)", "asyncio.create_subprocess_shell('ls')", "os.popen('ls')"],
)
def test_a_shell_is_found(line):
    assert list(code.find_shells([at("src/skerry/drivers/host.py", line)])) != []


def test_an_argument_list_and_a_system_of_our_own_are_no_shell():
    assert list(code.find_shells([at("src/skerry/drivers/host.py", "subprocess.run(['ls'])", "host.system()")])) == []


def test_a_stub_is_found():
    assert list(code.find_stubs([at("src/skerry/a.py", "def f():", "    raise NotImplementedError")])) != []


def test_a_folder_without_package_or_purpose_is_found():
    bare = [at("src/skerry/store/apps.py", "X = 1")]
    assert list(code.find_rooms_without_package(bare)) == ["src/skerry/store: no __init__.py"]
    assert list(code.find_rooms_without_package([*bare, at("src/skerry/store/__init__.py", "")])) != []
    assert list(code.find_rooms_without_package([*bare, at("src/skerry/store/__init__.py", '"""State."""')])) == []


@pytest.mark.parametrize("mark", ["@pytest.mark.skip", "@pytest.mark.skipif(True)", "@pytest.mark.xfail()"])
def test_a_skip_without_reason_is_found(mark):
    assert list(code.find_silent_skips([at("tests/test_x.py", mark, "def test_a(): ...")])) != []


def test_a_skip_with_its_reason_is_fine():
    told = at("tests/test_x.py", '@pytest.mark.skipif(True, reason="no TPM here")', "def test_a(): ...")
    assert list(code.find_silent_skips([told])) == []
