"""The page about commands, shared namespaces and GPUs: its app is read as it says."""

import json
import re
from pathlib import Path

from tests.manifest.texts import accept, image_of

from skerry.manifest.canonical import build_revision
from skerry.model.app import AppRevision
from skerry.trust.wellformed import find_flaw

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-commands-and-share.md"
CHECKED = json.dumps({"config": {"Healthcheck": {"Test": ["CMD", "detector", "well"]}}}).encode()


def test_the_app_of_the_page_is_read_as_it_says():
    (text,) = re.findall(r"```yaml[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)
    manifest = accept(text, project=None)
    images = {use.name: image_of(use.name) for use in manifest.images}
    configs = {image.config: CHECKED for image in images.values()}
    revision = build_revision(manifest, tenant="default", number=1, images=images, configs=configs)
    assert isinstance(revision, AppRevision)
    assert find_flaw(revision) == ""
    detector = revision.services["detector"]
    assert detector.further.shares == {"network": "tunnel"}
    assert detector.further.vendor_devices == ("nvidia.com/gpu=all",)
    assert [hook.command[1] for hook in (*detector.further.post_start, *detector.further.pre_stop)] == [
        "warm-up",
        "drain",
    ]
    assert (detector.healthcheck.test, detector.healthcheck.interval_us) == (("CMD", "detector", "well"), 10_000_000)
