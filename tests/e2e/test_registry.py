"""``skerry image import`` against Debian's own registry on loopback, filled by skopeo as engines fill one.

The registry's package is unpacked, not installed: installing it would start a service on the machine.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, write

pytestmark = pytest.mark.e2e

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "registry"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def find_program():
    """Return the registry's program: the machine's, or the one in Debian's package."""
    found = shutil.which("docker-registry")
    if found:
        return found
    program = CACHE / "usr/bin/docker-registry"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", "docker-registry"], cwd=CACHE, check=True, capture_output=True)
        package = next(CACHE.glob("docker-registry_*.deb"))
        subprocess.run(["dpkg", "-x", str(package), str(CACHE)], check=True)
    return str(program)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Its address, ``host:port``."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(CONFIG.format(root=folder / "data", port=port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([find_program(), "serve", str(config)], stdout=log, stderr=log)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1).close()
                break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def fill(registry, folder, image, name, *options):
    path = write(folder, layout(image, names=("latest",)))
    command = ["skopeo", "copy", "-q", "--dest-tls-verify=false", *options]
    subprocess.run([*command, f"oci:{path}:latest", f"docker://{registry}/{name}"], check=True, capture_output=True)


def show(town, *words):
    return json.loads(town.ok(*words, "-o", "json"))["items"][0]


def test_an_imported_image_is_the_same_as_one_pushed_from_here(registry, town, tmp_path):
    image = Image()
    fill(registry, tmp_path / "a", image, "team/web:1")
    imported = show(town, "image", "import", f"{registry}/team/web:1")
    assert imported["name"] == f"{registry}/team/web:1"
    pushed = show(town, "image", "push", write(tmp_path / "b", layout(image)), "web:1")
    assert imported["digest"] == pushed["digest"]
    assert imported["size_bytes"] == sum(map(len, image.layers))


def test_compressed_and_docker_manifests_give_the_same_image(registry, town, tmp_path):
    plain = Image(plain=True)
    fill(registry, tmp_path / "a", plain, "team/docker:1", "--format", "v2s2", "--dest-compress-format", "gzip")
    imported = show(town, "image", "import", f"{registry}/team/docker:1")
    assert imported["size_bytes"] == sum(map(len, plain.layers))
    assert len(imported["blobs"]) == 4


def test_what_is_not_there_is_told(registry, town):
    result = town.run("image", "import", f"{registry}/team/gone:1")
    assert result.code == 5
    assert "E-IMAGE" in result.err


def test_an_image_is_found_by_its_digest(registry, town, tmp_path):
    image = Image(salt=b"digest")
    fill(registry, tmp_path / "a", image, "team/digest:1", "--preserve-digests")
    from tests.sdk.image_bytes import digest

    found = show(town, "image", "import", f"{registry}/team/digest@{digest(image.manifest)}")
    assert found["name"].endswith(digest(image.manifest))
