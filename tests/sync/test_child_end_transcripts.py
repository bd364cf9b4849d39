"""Each transcript of testdata/ says what it says. To take a change over: ``python -m tests.sync.transcripts``."""

import pathlib

import pytest
from tests.sync.transcripts import Script, list_transcripts


@pytest.mark.parametrize("path", list_transcripts(), ids=lambda path: path.stem)
def test_transcript(path: pathlib.Path):
    text = path.read_text()
    assert Script().run(text.rstrip("\n")) == text


def test_there_are_transcripts():
    assert len(list_transcripts()) >= 13
