"""A container image of two megabytes for tests of the lab and of drivers: this machine's static busybox."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh",
    "httpd",
    "sleep",
    "cat",
    "id",
    "wget",
    "nslookup",
    "nc",
    "ping",
    "ls",
    "mkdir",
    "touch",
    "stat",
    "dd",
    "ip",
    "stty",
    "grep",
    "date",
    "mknod",
    "tr",
    "wc",
    "cut",
)


def tiny_image(name: str, page: bytes = b"hello\n", volumes: tuple[str, ...] = ()) -> bytes:
    """An OCI archive for podman's ``/images/load``; the container serves ``/www``, that is ``page``, on port 8080."""
    layer = _tar(_root_files(page))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"],
            "Env": ["PATH=/bin"],
            "Volumes": {folder: {} for folder in volumes},
        },
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    config_bytes = json.dumps(config).encode()
    image = "application/vnd.oci.image."
    manifest = {
        "schemaVersion": 2,
        "mediaType": image + "manifest.v1+json",
        "config": _descriptor(image + "config.v1+json", config_bytes),
        "layers": [_descriptor(image + "layer.v1.tar", layer)],
    }
    manifest_bytes = json.dumps(manifest).encode()
    entry = _descriptor(image + "manifest.v1+json", manifest_bytes)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config_bytes, manifest_bytes)}
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index, **blobs}
    return _tar({path: (content, 0o644) for path, content in files.items()})


def _root_files(page: bytes) -> dict[str, tuple[bytes, int] | str]:
    files: dict[str, tuple[bytes, int] | str] = {
        "bin/busybox": (BUSYBOX.read_bytes(), 0o755),
        "etc/passwd": (b"root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n", 0o644),
        "www/index.html": (page, 0o644),
    }
    return files | {f"bin/{applet}": "busybox" for applet in APPLETS}


def _tar(files: dict[str, tuple[bytes, int] | str] | dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(content[0]), content[1]
                archive.addfile(entry, io.BytesIO(content[0]))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
