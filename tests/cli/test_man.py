"""The pages for man, from the command line itself; what is in them is compared in tests/tools/test_gen.py."""

import shutil
import subprocess

import pytest
from click.testing import CliRunner

from skerry.cli.main import run
from skerry.cli.session import Session


def call(*words):
    with CliRunner().isolation() as (out, err, _):
        code = run(["man", *words], Session({}))
        return code, out.getvalue().decode(), err.getvalue().decode()


def test_into_a_pipe_goes_the_source_of_a_page_and_no_core_is_asked():
    code, out, _ = call()
    assert code == 0
    assert out.startswith('.TH "SKERRY" 1')
    code, out, _ = call("site")
    assert code == 0
    assert '.SS "skerry site cordon ' in out


def test_all_pages_are_written_where_man_looks(tmp_path):
    code, _, err = call("--to", str(tmp_path / "man1"))
    assert code == 0
    written = sorted(path.name for path in (tmp_path / "man1").iterdir())
    assert f"{len(written)} pages are in" in err
    assert {"skerry.1", "skerry-site.1", "skerry-agent.1"} <= set(written)
    assert "skerry-vm.1" not in written, "a noun of which nothing is built has no page"


@pytest.mark.parametrize("noun", ["vm", "nothing", "../x"])
def test_a_noun_without_a_page_is_refused_with_the_next_command(noun):
    code, _, err = call(noun)
    assert code == 5
    assert "Hint: skerry --help" in err


@pytest.mark.skipif(shutil.which("man") is None, reason="this machine has no man to read the page with")
def test_man_itself_reads_a_page_without_complaint():
    page = call("agent")[1]
    done = subprocess.run(
        ("man", "-l", "-"), input=page, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "MANPAGER": "cat"}
    )
    assert done.returncode == 0
    assert "apply-bundle" in done.stdout
    assert done.stderr == ""
