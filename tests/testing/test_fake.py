"""What a fake core has beside what every core has (tests/contract/test_core.py)."""

import threading
from pathlib import Path

import pytest

from skerry.sdk import NotAllowed
from skerry.testing import FakeCore


def test_it_leaves_nothing_behind_and_two_know_nothing_of_each_other():
    before = set(threading.enumerate())
    with FakeCore(sites=["oslo"]) as one, FakeCore() as two:
        folders = [Path(each.signer).parent for each in (one, two)]
        with one.client() as mine, two.client() as theirs:
            assert [site.site for site in mine.sites.list()] == ["oslo"]
            assert list(theirs.sites.list()) == []
        with two.client(one.token) as stranger, pytest.raises(NotAllowed):
            list(stranger.sites.list())
    assert not any(folder.exists() for folder in folders)
    assert set(threading.enumerate()) <= before
    one.close()


def test_sites_have_labels_that_placement_sees(tmp_path):
    path = tmp_path / "compose.yaml"
    placement = "x-skerry:\n  placement:\n    sites: tier=store\n"
    path.write_text(f"name: shop\nservices:\n  web:\n    image: web:1\n{placement}")
    with FakeCore() as core, core.client() as client:
        core.add_image("web:1")
        core.add_site("oslo", labels={"tier": "store"}, region="north")
        core.add_site("depot", labels={"tier": "depot"})
        client.apps.apply(path).rollout.wait(timeout=30)
        assert [each.site for each in client.instances.list()] == ["oslo"]


def test_a_call_of_a_fake_site_says_that_nothing_runs_there(tmp_path):
    path = tmp_path / "compose.yaml"
    path.write_text("name: shop\nservices:\n  web:\n    image: web:1\n")
    with FakeCore(sites=["oslo"]) as core, core.client() as client:
        core.add_image("web:1")
        client.apps.apply(path).rollout.wait(timeout=30)
        lines = list(client.logs("shop"))
        assert lines == [] or "nothing runs" in lines[0].text


def test_a_start_that_fails_ends_the_thread():
    before = set(threading.enumerate())
    with pytest.raises(Exception, match="No_Name"), FakeCore(sites=["No_Name"]):
        pass
    assert set(threading.enumerate()) <= before
