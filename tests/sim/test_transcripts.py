"""Every transcript gives the recorded answers. ``SKERRY_RECORD=1`` writes those of now; read the difference."""

import os
from pathlib import Path

import pytest
from tests.sim import evil
from tests.sim.commands import CommandBackups

from skerry.sim.transcripts import run_transcript

FOLDER = Path(__file__).parent.parent / "transcripts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


def test_there_are_transcripts_for_the_stories_of_the_first_milestone():
    assert len(NAMES) >= 15


#: Those that play many worlds, or long ones.
LONG = ("autonomy", "evil-core", "killed-between-any-two-steps", "three-days-away")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.sim if name in LONG else ()) for name in NAMES])
def test_transcript(name, monkeypatch):
    evil.teach(monkeypatch)
    path = FOLDER / f"{name}.txt"
    recorded = path.read_text()
    answered = run_transcript(recorded)
    if os.environ.get("SKERRY_RECORD"):
        path.write_text(answered)
    else:
        assert answered == recorded
    assert "BROKEN" not in answered
    assert "there is no command" not in answered


def test_a_core_restored_by_the_commands_tells_the_same_story(tmp_path):
    recorded = (FOLDER / "restored-core.txt").read_text()
    backups = CommandBackups(tmp_path)
    assert run_transcript(recorded, backups) == recorded
    assert backups.count == recorded.count("\nbackup\n") == 1
