import json

from tests.sdk.image_bytes import Image, layout, tar, write


def test_an_image_is_pushed_listed_and_called_as_engines_do(town, tmp_path):
    folder = write(tmp_path / "layout", layout(Image(), names=("nginx:1.27",)))
    result = town.run("image", "push", folder)
    assert result.code == 0, result
    assert "docker.io/library/nginx:1.27" in result.out
    archive = tmp_path / "other.tar"
    archive.write_bytes(tar(layout(Image(salt=b"o"))))
    town.ok("image", "push", archive, "registry.example/team/other:2")
    names = [each["name"] for each in json.loads(town.ok("image", "list", "-o", "json"))["items"]]
    assert names == ["docker.io/library/nginx:1.27", "registry.example/team/other:2"]


def test_pushing_again_sends_nothing_and_says_the_same(town, tmp_path):
    folder = write(tmp_path / "layout", layout(Image(salt=b"again"), names=("again:1",)))
    assert town.ok("image", "push", folder, "-o", "name") == town.ok("image", "push", folder, "-o", "name")


def test_an_image_without_a_name_needs_one(town, tmp_path):
    folder = write(tmp_path / "layout", layout(Image(salt=b"nameless")))
    result = town.run("image", "push", folder)
    assert result.code == 1
    assert "has no name of its own" in result.err


def test_another_platform_must_be_asked_for(town, tmp_path):
    folder = write(tmp_path / "layout", layout(Image("riscv64"), names=("odd:1",)))
    assert "E-PLATFORM" in town.run("image", "push", folder).err
    town.ok("image", "push", folder, "--platform", "linux/riscv64")
    assert "E-PLATFORM" in town.run("image", "push", folder, "--platform", "riscv64").err


def test_a_dry_run_sends_nothing(town, tmp_path):
    folder = write(tmp_path / "layout", layout(Image(salt=b"dry"), names=("dry:1",)))
    assert "would send" in town.run("image", "push", folder, "--dry-run").err
    assert "dry" not in town.ok("image", "list")


def test_a_registry_that_is_not_there(town):
    result = town.run("image", "import", "127.0.0.1:1/x")
    assert result.code == 1
    assert "does not answer" in result.err
    assert town.run("image", "import", "No Name").code == 1


def test_images_that_nothing_needs_go_after_a_question(town, tmp_path):
    archive = tmp_path / "idle.tar"
    archive.write_bytes(tar(layout(Image(salt=b"idle"), names=("idle:1",))))
    town.ok("image", "push", archive)
    assert "nothing to remove" in town.run("image", "prune").err
    asked = town.run("image", "prune", "--older-than", "0s", "--dry-run")
    assert "would remove" in asked.err
    assert "idle:1" in asked.out
    refused = town.run("image", "prune", "--older-than", "0s")
    assert refused.code == 1
    assert "idle:1" in refused.err
    assert "Hint: Add --yes." in refused.err
    assert "idle:1" in town.ok("image", "list")
    done = town.run("image", "prune", "--older-than", "0s", "--yes", "-o", "name")
    assert done.code == 0, done
    assert "removed" in done.err
    assert "image/sha256:" in done.out
    assert "idle:1" not in town.run("image", "list").out
