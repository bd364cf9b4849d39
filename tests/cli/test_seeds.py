import json

from tests.sdk.image_bytes import Image, layout, write

from skerry.model.facts import ImageFact


def _push(town, tmp_path, name):
    folder = write(tmp_path / name.replace(":", "-"), layout(Image(salt=name.encode()), names=(name,)))
    town.ok("image", "push", folder)


def _hold(town, site, name, share=1):
    view = json.loads(town.ok("image", "show", name, "-o", "json"))["image"]
    size = view["size_bytes"]
    fact = ImageFact(digest=view["digest"], size_bytes=size, have_bytes=size // share, complete=share == 1)
    town.wait(site.report(fact))


def test_an_image_is_seeded_waited_for_shown_and_ended(town, tmp_path):
    site = town.add_site("sown", labels={"tier": "field"})
    town.add_site("fallow")
    _push(town, tmp_path, "crop:1")
    asked = town.run("image", "seed", "crop:1", "--sites", "tier=field", "--dry-run")
    assert asked.code == 0, asked
    assert "would be seeded at 1 sites" in asked.err
    assert town.ok("image", "seed", "--list", "-o", "name") == ""
    done = town.run("image", "seed", "crop:1", "--sites", "tier=field", "--for", "2h")
    assert done.code == 0, done
    assert "is seeded at 1 sites until" in done.err
    assert "Next: skerry image show docker.io/library/crop:1" in done.err
    town.settle(site)
    _hold(town, site, "crop:1", share=2)
    late = town.run("image", "seed", "crop:1", "--sites", "tier=field", "--wait=1s")
    assert late.code == 4, late
    assert "0 of 1 sites hold docker.io/library/crop:1" in late.err
    assert "sown" in late.err
    _hold(town, site, "crop:1")
    waited = town.run("image", "seed", "crop:1", "--sites", "tier=field", "--wait=5s", "-o", "jsonl")
    assert waited.code == 0, waited
    assert json.loads(waited.out)["held"] == 1
    shown = town.ok("image", "show", "crop:1")
    assert "tier=field until" in shown
    assert "sown" in shown
    assert "fallow" not in shown
    assert "1 of 1" in town.ok("image", "seed", "--list")
    ended = town.run("image", "seed", "crop:1", "--end")
    assert "has ended" in ended.err
    again = town.run("image", "seed", "crop:1", "--end")
    assert again.code == 5
    assert "skerry image seed --list" in again.err


def test_what_is_not_there_or_means_nobody_is_refused_with_the_next_command(town, tmp_path):
    unknown = town.run("image", "seed", "nothing:9")
    assert unknown.code == 5
    assert "Hint: skerry image list" in unknown.err
    assert town.run("image", "seed").code == 64
    _push(town, tmp_path, "lost:1")
    nobody = town.run("image", "seed", "lost:1", "--sites", "tier=moon")
    assert nobody.code == 1
    assert "skerry site list" in nobody.err
    assert town.run("image", "seed", "lost:1", "--site", "nowhere").code == 5
    assert town.ok("image", "seed", "--list", "-o", "name") == ""


def test_an_image_is_found_by_name_digest_and_the_beginning_of_it(town, tmp_path):
    _push(town, tmp_path, "named:1")
    view = json.loads(town.ok("image", "show", "docker.io/library/named:1", "-o", "json"))
    digest = view["image"]["digest"]
    for text in ("named:1", digest, digest.removeprefix("sha256:")[:12]):
        assert town.ok("image", "show", text, "-o", "name").strip() == f"image/{digest}"
    assert view["seed"] is None
    assert "no site has a use for it" in town.run("image", "show", "named:1").err
