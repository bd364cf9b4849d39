"""The runner keeps figures with what is needed to judge them, and never calls a broken run ok."""

import json

import pytest

from tests.long.__main__ import main
from tests.long.runner import is_built, perform_run
from tests.long.runs import JSON, RUNS, LongRun

GOOD = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('{\"seeds\": 3}')"


def make_run(tmp_path, text, name="good"):
    (tmp_path / f"run_{name}.py").write_text(text)
    return LongRun(name, "a test", f"run_{name}", (JSON,), 1)


def test_figures_are_wrapped_with_commit_and_machine(tmp_path):
    result = perform_run(make_run(tmp_path, GOOD), tmp_path)
    assert result["ok"]
    assert result["figures"] == {"seeds": 3}
    assert result["machine"]["processors"] >= 1
    assert result["command"] == ["python", "-m", "run_good", JSON]
    assert str(tmp_path) not in json.dumps(result)


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "pass", f"{GOOD}; raise SystemExit(1)"])
def test_a_run_that_fails_or_writes_nothing_is_not_ok(tmp_path, text):
    assert not perform_run(make_run(tmp_path, text), tmp_path)["ok"]


def test_results_are_kept_even_when_a_run_failed(tmp_path, capsys):
    runs = (make_run(tmp_path, GOOD), make_run(tmp_path, "raise SystemExit(1)", "bad"))
    assert main(["all"], runs, tmp_path) == 1
    kept = {path.stem: json.loads(path.read_text())["ok"] for path in (tmp_path / "docs" / "results").iterdir()}
    assert kept == {"good": True, "bad": False}
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_what_is_not_built_is_refused_by_name_and_left_out_of_all(tmp_path, capsys):
    later = LongRun("later", "not yet", "tests.later", (), 1)
    assert not is_built(later, tmp_path)
    assert main(["later"], (later,), tmp_path) == 64
    assert "not built yet" in capsys.readouterr().err
    assert main(["unknown"], (later,), tmp_path) == 64
    assert main(["--list"], (later,), tmp_path) == 0
    assert "not built yet" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--list"], ["--help"], ["-h"], ["help"], ["--help", "good"]])
def test_nothing_is_run_unless_it_is_named(tmp_path, capsys, words):
    run = make_run(tmp_path, "raise SystemExit(1)")
    assert main(words, (run,), tmp_path) == 0
    said = capsys.readouterr().out
    assert "help" in " ".join(words) or words == ["-h"] or run.name in said
    assert words == ["--list"] or "./dev long all" in said
    assert not (tmp_path / "docs").exists()


def test_every_run_has_a_name_of_its_own_and_writes_its_figures():
    assert len({run.name for run in RUNS}) == len(RUNS)
    assert all(JSON in run.arguments for run in RUNS)
