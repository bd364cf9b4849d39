import json


def verify(town, *more):
    return json.loads(town.ok("audit", "verify", "-o", "json", *more))


def test_both_chains_of_a_core_are_whole(town):
    town.ok("token", "create", "counted")
    found = verify(town)
    assert found["records"] == len(json.loads(town.ok("audit", "list", "-o", "json"))["items"])
    assert verify(town, "--chain", "operator")["records"] >= 2
    text = town.run("audit", "verify")
    assert found["known"] in text.out
    assert "whole" in text.err


def test_a_listing_is_checked_without_a_core(town, tmp_path):
    town.ok("token", "create", "listed")
    for output in ("json", "jsonl"):
        file = tmp_path / output
        file.write_text(town.ok("audit", "list", "-o", output))
        alone = town.run("audit", "verify", "-f", file, SKERRY_URL="http://127.0.0.1:1", SKERRY_TOKEN="x")
        assert alone.code == 0


def test_a_changed_listing_is_found(town, tmp_path):
    town.ok("token", "create", "forged")
    listing = json.loads(town.ok("audit", "list", "-o", "json"))
    listing["items"][-1]["actor"] = "token/nobody"
    file = tmp_path / "forged.jsonl"
    file.write_text("\n".join(json.dumps(item) for item in listing["items"]))
    result = town.run("audit", "verify", "-f", file)
    assert result.code == 1
    assert f"breaks at record {len(listing['items'])}" in result.err
    assert "Hint: skerry audit list" in result.err


def test_a_head_that_was_noted_is_asked_for_again(town):
    noted = verify(town)["known"]
    town.ok("token", "create", "later")
    town.ok("audit", "verify", "--known", noted)
    seq, _, digest = noted.partition(":")
    changed = town.run("audit", "verify", "--known", f"{seq}:{'0' * 64}")
    assert changed.code == 1
    assert "made anew" in changed.err
    assert "missing" in town.run("audit", "verify", "--known", f"9999:{digest}").err
    assert town.run("audit", "verify", "--known", "nonsense").code == 64


def test_what_is_no_listing_is_said(town, tmp_path):
    file = tmp_path / "x"
    for content in ("nonsense\n", '{\n"items": 3}', "[" * 100_000, "{\n\xff"):
        file.write_text(content, encoding="latin-1")
        result = town.run("audit", "verify", "-f", file)
        assert result.code == 1
        assert "is no listing" in result.err
    assert "cannot be read" in town.run("audit", "verify", "-f", tmp_path / "gone").err
