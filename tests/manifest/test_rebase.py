import pytest
from tests.manifest.test_merge import node

from skerry.manifest.nodes import to_plain
from skerry.manifest.rebase import join_path, rebase


@pytest.mark.parametrize(
    ("folder", "path", "result"),
    [
        ("a", "b", "./a/b"),
        ("a", "./b/../c", "./a/c"),
        ("a/b", "../c", "./a/c"),
        ("a", "../../c", "../c"),
        ("..", "c", "../c"),
        ("a", "/b", "/b"),
        ("a", "~/b", "~/b"),
        ("", "./b", "./b"),
        ("a", "..", "./."),
    ],
)
def test_paths(folder, path, result):
    assert join_path(folder, path) == result


def test_every_path_of_a_document_and_nothing_else():
    text = """
        services:
          web:
            image: ./x
            command: ./x
            env_file: [x, {path: ./y}, /z]
            label_file: x
            extends: {file: x, service: y}
            volumes: ['./x:/x:ro', 'v:/v', /x, {type: bind, source: ./x, target: ./x}, {type: volume, source: x}]
        configs: {c: {file: x}, d: {content: ./x}}
        secrets: {s: {file: ./x}}
        volumes: {v: {driver_opts: {device: ./x}}, w: {driver_opts: {device: tmpfs}}}
        """
    found = to_plain(rebase(node(text), "sub"))
    web = found["services"]["web"]
    assert (web["image"], web["command"], web["label_file"]) == ("./x", "./x", "./sub/x")
    assert web["env_file"] == ["./sub/x", {"path": "./sub/y"}, "/z"]
    assert web["extends"] == {"file": "./sub/x", "service": "y"}
    assert web["volumes"][:3] == ["./sub/x:/x:ro", "v:/v", "/x"]
    assert web["volumes"][3] == {"type": "bind", "source": "./sub/x", "target": "./x"}
    assert web["volumes"][4]["source"] == "x"
    assert found["configs"] == {"c": {"file": "./sub/x"}, "d": {"content": "./x"}}
    assert found["secrets"] == {"s": {"file": "./sub/x"}}
    assert found["volumes"]["v"]["driver_opts"] == {"device": "./sub/x"}
    assert found["volumes"]["w"]["driver_opts"] == {"device": "tmpfs"}


def test_the_own_folder_changes_nothing():
    text = node("services: {web: {env_file: x}}")
    assert rebase(text, "") is text
    assert rebase(text, ".") is text
