"""The index of a bundle: written, read again, and refused for what no box should read."""

import json

import pytest

from skerry.model import bundle
from skerry.model.bundle import IMAGES_MAX, Listed
from skerry.model.errors import Invalid
from skerry.model.ids import Digest, SiteName

ONE, TWO = (Digest(f"sha256:{number:064x}") for number in (1, 2))


def test_what_is_written_is_read_again_and_is_an_oci_index():
    content = bundle.write_index(((Listed(ONE, "web:1"), 7), (Listed(TWO, ""), 9)))
    assert bundle.read_index(content) == (Listed(ONE, "web:1"), Listed(TWO, ""))
    found = json.loads(content)
    assert found["schemaVersion"] == 2
    assert [each["size"] for each in found["manifests"]] == [7, 9]
    assert found["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "web:1"}
    assert json.loads(bundle.LAYOUT_TEXT) == {"imageLayoutVersion": "1.0.0"}


def test_an_image_listed_twice_is_one():
    assert bundle.read_index(bundle.write_index(((Listed(ONE, "a"), 1), (Listed(ONE, "b"), 1)))) == (Listed(ONE, "b"),)


@pytest.mark.parametrize("digest", ["", "sha256:1", "md5:" + "0" * 64, "sha256:" + "0" * 63 + "/", "../x"])
def test_a_digest_that_is_none_is_refused(digest: str):
    content = json.dumps({"manifests": [{"mediaType": "x", "digest": digest, "size": 1}]}).encode()
    with pytest.raises(Invalid, match="sound digest"):
        bundle.read_index(content)


def test_too_many_images_are_neither_written_nor_read():
    many = tuple((Listed(Digest(f"sha256:{number:064x}"), ""), 1) for number in range(IMAGES_MAX + 1))
    with pytest.raises(Invalid, match=f"at most {IMAGES_MAX}"):
        bundle.write_index(many)
    listed = [{"mediaType": "x", "digest": each.image, "size": 1} for each, _ in many]
    with pytest.raises(Invalid, match=f"at most {IMAGES_MAX}"):
        bundle.read_index(json.dumps({"manifests": listed}).encode())


def test_a_document_is_named_after_its_site():
    assert bundle.document_name(SiteName("oslo")) == "oslo.document"
