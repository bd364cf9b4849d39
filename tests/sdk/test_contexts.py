import pytest

from skerry.model.errors import Invalid, NotFound, Refused
from skerry.sdk import contexts
from skerry.sdk.contexts import Context

HERE = Context(url="http://127.0.0.1:7410", token="skt_secret", signer="/run/signer.sock")


def test_a_context_is_read_as_it_was_written_and_nobody_else_may(tmp_path):
    contexts.write_context(tmp_path, "here", HERE)
    contexts.use_context(tmp_path, "here")
    assert contexts.read_context(tmp_path) == contexts.read_context(tmp_path, "here") == HERE
    file = tmp_path / "contexts" / "here.json"
    assert file.stat().st_mode & 0o077 == 0
    assert '"url": "http://127.0.0.1:7410"' in file.read_text()


def test_the_token_is_not_shown():
    assert "secret" not in repr(HERE)


def test_names_are_names(tmp_path):
    for name in ("../x", "", "A", "a.b"):
        with pytest.raises(Invalid):
            contexts.write_context(tmp_path, name, HERE)
    with pytest.raises(NotFound):
        contexts.read_context(tmp_path, "../x")


def test_without_a_choice_there_is_a_hint(tmp_path):
    with pytest.raises(Refused, match="No context") as caught:
        contexts.read_context(tmp_path)
    assert "skerry up" in caught.value.hint


def test_contexts_are_listed_and_forgotten(tmp_path):
    for name in ("b", "a"):
        contexts.write_context(tmp_path, name, HERE)
    assert contexts.list_contexts(tmp_path) == ["a", "b"]
    contexts.remove_context(tmp_path, "a")
    assert contexts.list_contexts(tmp_path) == ["b"]
    with pytest.raises(NotFound):
        contexts.use_context(tmp_path, "a")


@pytest.mark.parametrize("text", ["", "{", '{"url": 1}', '{"url": "x", "tokne": "y"}'])
def test_a_broken_file_is_said_and_left_alone(tmp_path, text):
    contexts.write_context(tmp_path, "here", HERE)
    file = tmp_path / "contexts" / "here.json"
    file.write_text(text)
    with pytest.raises(Invalid, match="cannot be read"):
        contexts.read_context(tmp_path, "here")
    assert file.read_text() == text
