"""Counting of ./dev test: nothing red is lost, nothing unbuilt is counted, and a hanging command ends."""

import sys
import tomllib
from pathlib import Path

import pytest
from tools.sections import SECTIONS, Count, Section, Step, choose_sections, main

from tools import sections


def write_report(path, tests=0, failures=0, errors=0, skipped=0):
    figures = f'tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    path.write_text(f"<testsuites><testsuite {figures}/></testsuites>")


def run_python(text):
    return Step([sys.executable, "-c", text])


def test_a_junit_file_is_counted(tmp_path):
    write_report(tmp_path / "r.xml", tests=10, failures=2, errors=1, skipped=3)
    assert sections.read_junit(tmp_path / "r.xml") == Count(passed=4, failed=3, skipped=3)


def test_a_seed_with_two_breaks_fails_once(tmp_path):
    report = tmp_path / "sim.json"
    report.write_text('{"seeds": 10, "breaks": [{"seed": 4}, {"seed": 4}, {"seed": 9}]}')
    assert sections.read_seeds(report) == Count(passed=8, failed=2)


@pytest.mark.parametrize(
    ("code", "figures", "expected"),
    [
        (0, {"tests": 3}, Count(passed=3)),
        (1, {"tests": 3, "failures": 1}, Count(passed=2, failed=1)),
        (5, {}, Count()),  # nothing collected: the section is not built yet
        (1, {"tests": 3}, Count(passed=3, failed=1)),  # red without a failed test, as when a session's end breaks
        (5, {"tests": 1}, Count(passed=1, failed=1)),
        (sections.HUNG, {"tests": 3, "failures": 1}, Count(passed=2, failed=2)),  # stopped: what came after is unknown
    ],
)
def test_a_red_exit_code_is_never_lost(tmp_path, code, figures, expected):
    report = tmp_path / "r.xml"
    write_report(report, **figures)
    assert sections.count_step(Step([], report, sections.read_junit), code) == expected


def test_a_command_without_its_report_is_one_failure(tmp_path):
    assert sections.count_step(Step([], tmp_path / "none.xml", sections.read_junit), 0) == Count(failed=1)


def test_a_command_without_report_is_counted_by_its_exit_code():
    assert sections.run_step(run_python("pass"), 60) == Count(passed=1)
    assert sections.run_step(run_python("raise SystemExit(3)"), 60) == Count(failed=1)


def test_programs_keep_what_they_compile(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert sections.run_step(run_python("import sys; raise SystemExit(sys.dont_write_bytecode)"), 60) == Count(passed=1)


def test_an_old_report_is_not_counted_again(tmp_path):
    report = tmp_path / "r.xml"
    write_report(report, tests=3)
    assert sections.run_step(Step([sys.executable, "-c", "pass"], report, sections.read_junit), 60) == Count(failed=1)


def test_a_command_that_hangs_is_stopped_with_its_children(tmp_path):
    mark = tmp_path / "pid"
    start = "import pathlib, subprocess, sys; child = subprocess.Popen(['sleep', '600'])"
    step = run_python(f"{start}; pathlib.Path({str(mark)!r}).write_text(str(child.pid)); child.wait()")
    assert sections.run_step(step, 2.0) == Count(failed=1)
    assert not is_running(mark.read_text())


def is_running(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_sections_are_chosen_by_name_and_in_order():
    chosen = choose_sections(["unit", "check"], SECTIONS)
    assert [section.name for section in chosen] == ["check", "unit"]


def test_a_section_that_is_not_built_is_refused_by_name_and_left_out_of_all():
    later = Section("later", 1, lambda _: [], lambda: False)
    assert choose_sections(["later"], [later]) == "not built yet: there are no later tests"
    assert choose_sections([], [later]) == []


def test_the_table_closes_with_the_sums(capsys):
    steps = [run_python("pass"), run_python("raise SystemExit(1)")]
    two = [Section("one", 9, lambda _: steps), Section("two", 9, lambda _: [])]
    assert main(["--set-up-s", "1.5"], two) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 passed, 1 failed"
    assert lines[-2].split()[0] == "two"
    assert lines[-2].endswith("nothing to run yet")
    assert lines[-3].split()[2:] == ["9", "1", "1", "0"]


def test_all_green_is_zero_and_nothing_at_all_is_red():
    assert main([], [Section("one", 9, lambda _: [run_python("pass")])]) == 0
    assert main([], [Section("one", 9, lambda _: [])]) == 1


def test_flags_after_the_dashes_go_to_pytest():
    step = sections.list_unit(["-k", "wire"])[0]
    assert step.command[-2:] == ["-k", "wire"]
    assert "not e2e" in step.command[step.command.index("-m", 3) + 1]


def test_every_section_that_is_a_marker_is_declared():
    declared = tomllib.loads((sections.ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    names = {line.partition(":")[0] for line in declared}
    built = {section.name for section in SECTIONS if section.built()}
    assert built - {"check", "unit"} <= names


def test_a_wrong_section_is_a_usage_error(capsys):
    assert main(["units"], SECTIONS) == 64
    assert "no section 'units'" in capsys.readouterr().err
