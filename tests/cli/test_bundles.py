import json

from tests.sdk.image_bytes import Image, layout, write

MANIFEST = "name: {app}\nservices:\n  web:\n    image: {image}\n"


def _push(town, tmp_path, name):
    folder = write(tmp_path / name.replace(":", "-"), layout(Image(salt=name.encode()), names=(name,)))
    town.ok("image", "push", folder)


def _apply(town, tmp_path, app, image):
    path = tmp_path / f"{app}.yaml"
    path.write_text(MANIFEST.format(app=app, image=image))
    town.ok("apply", "-f", path)


def test_an_app_an_image_and_a_site_go_onto_a_stick(town, tmp_path):
    site = town.add_site("far")
    for name in ("tern:1", "gull:1"):
        _push(town, tmp_path, name)
    _apply(town, tmp_path, "colony", "tern:1")
    town.settle(site)
    stick = tmp_path / "stick"
    asked = town.run("export", "colony", "gull:1", "--site", "far", "--to", stick, "--dry-run")
    assert asked.code == 0, asked
    assert "would write docker.io/library/tern:1" in asked.err
    assert "would write the document of site far" in asked.err
    assert not stick.exists()
    done = town.run("export", "app/colony", "--to", stick, "-o", "json")
    assert done.code == 0, done
    assert [each["name"] for each in json.loads(done.out)["items"]] == ["docker.io/library/tern:1"]
    assert "1 images are in" in done.err
    assert f"Next, at the box: skerry agent apply-bundle {stick}" in done.err
    both = town.run("export", "image/gull:1", "--site", "far", "--to", stick)
    assert both.code == 0, both
    assert "the document of site far is written; it asks for " in both.err
    assert "tern:1" in both.out
    assert (stick / "documents" / "far.document").is_file()
    again = town.run("export", "colony", "--to", stick)
    assert ", 0 B of them written now" in again.err
    pushed = town.run("image", "push", stick, "docker.io/library/gull:1")
    assert pushed.code == 0, f"a bundle is an OCI layout: {pushed}"


def test_what_is_not_there_or_cannot_be_written_is_refused_with_the_next_command(town, tmp_path):
    unknown = town.run("export", "nothing", "--to", tmp_path / "stick")
    assert unknown.code == 5
    assert "no app and no image 'nothing'" in unknown.err
    assert "Hint: skerry app list" in unknown.err
    assert town.run("export", "app/nothing", "--to", tmp_path / "stick").code == 5
    assert town.run("export", "--to", tmp_path / "stick").code == 64
    assert town.run("export", "nothing").code == 64
    _push(town, tmp_path, "auk:1")
    lost = town.run("export", "auk:1", "--to", tmp_path / "no" / "stick")
    assert lost.code == 1
    assert "Is the stick mounted?" in lost.err
    assert town.run("export", "--site", "nowhere", "--to", tmp_path / "stick").code == 5
