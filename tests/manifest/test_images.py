from skerry.manifest.images import choose_images
from skerry.manifest.values import ImageUse
from skerry.model.app import ImageRef
from skerry.model.ids import Digest, ServiceName


def _use(name):
    return ImageUse(name, ServiceName("web"), "/services/web/image", "compose.yaml", 1, 1)


def _image(name, digest):
    return ImageRef(name=name, digest=Digest(digest), config=Digest("c"), size_bytes=1)


def test_the_newest_of_a_name_wins_in_whatever_order_they_come():
    old, new = _image("docker.io/library/web:1", "old"), _image("docker.io/library/web:1", "new")
    for known in ([(1, old), (2, new)], [(2, new), (1, old)]):
        assert choose_images([_use("web:1")], known) == {"web:1": new}


def test_a_name_is_found_spelt_out_before_as_written():
    whole, short = _image("docker.io/library/web:1", "whole"), _image("web:1", "short")
    assert choose_images([_use("web:1")], [(1, short), (1, whole)]) == {"web:1": whole}
    assert choose_images([_use("web:1")], [(1, short)]) == {"web:1": short}


def test_what_is_missing_is_left_out():
    assert choose_images([_use("web:1"), _use("UPPER:1")], []) == {}
