"""Write an OCI archive of two megabytes: Debian's static busybox as a web server that says `$GREETING` on port 8080.

`python3 image.py hello.tar`. Real images come out of `podman save`, `skopeo copy` or a build; this one is made here so
that the tutorial needs neither a registry nor a container tool. The standard library alone.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
NAME = "docker.io/library/hello:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SERVE = 'echo "$GREETING" > /www/index.html && echo "serving: $GREETING" && exec httpd -f -p 8080 -h /www'


def make_archive() -> bytes:
    """Make the archive: a layer, a config and a manifest, each named by its digest, and an index with the name."""
    layer = make_tar(
        {
            "bin/busybox": BUSYBOX.read_bytes(),
            "www/index.html": b"not started yet\n",
            **{f"bin/{applet}": "busybox" for applet in ("sh", "httpd", "wget", "ls", "cat")},
        }
    )
    config = to_json(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Env": ["PATH=/bin", "GREETING=hello"], "Cmd": ["/bin/sh", "-c", SERVE]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    )
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": describe("config.v1+json", config),
            "layers": [describe("layer.v1.tar", layer)],
        }
    )
    entry = describe("manifest.v1+json", manifest) | {"annotations": {"org.opencontainers.image.ref.name": NAME}}
    index = to_json({"schemaVersion": 2, "manifests": [entry]})
    blobs = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    return make_tar({"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index, **blobs})


def make_tar(files: dict[str, bytes | str]) -> bytes:
    """Make a tar of files; a text instead of bytes is where a symbolic link leads."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.mode = 0o755
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def to_json(value: object) -> bytes:
    """Write JSON."""
    return json.dumps(value).encode()


def digest(content: bytes) -> str:
    """Name content by its digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(kind: str, content: bytes) -> dict[str, object]:
    """Describe a blob as OCI documents do."""
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(content), "size": len(content)}


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(make_archive())
