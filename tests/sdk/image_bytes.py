"""A tiny image in all its packings: as a layout on disk, as archives, and as what a registry serves."""

import gzip
import hashlib
import io
import json
import tarfile

OCI = "application/vnd.oci.image."


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def descriptor(kind, content, **more):
    return {"mediaType": kind, "digest": digest(content), "size": len(content)} | more


class Image:
    """One image with two layers; the second one packed with gzip unless ``plain``."""

    def __init__(self, architecture="amd64", plain=False, salt=b"", **runtime):
        self.layers = [tar({"etc/one": b"1" + salt}), tar({"etc/two": b"2" * 5000 + salt})]
        self.stored = [self.layers[0], self.layers[1] if plain else gzip.compress(self.layers[1], mtime=0)]
        kinds = [f"{OCI}layer.v1.tar", f"{OCI}layer.v1.tar" + ("" if plain else "+gzip")]
        self.config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                **({"config": runtime} if runtime else {}),
                "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.layers]},
            }
        ).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{OCI}manifest.v1+json",
                "config": descriptor(f"{OCI}config.v1+json", self.config),
                "layers": [descriptor(kind, each) for kind, each in zip(kinds, self.stored, strict=True)],
            }
        ).encode()
        self.architecture = architecture

    def entry(self, name=""):
        """Its line in an index."""
        more = {"platform": {"os": "linux", "architecture": self.architecture}}
        if name:
            more["annotations"] = {"org.opencontainers.image.ref.name": name}
        return descriptor(f"{OCI}manifest.v1+json", self.manifest, **more)

    @property
    def blobs(self):
        return {digest(each): each for each in (self.manifest, self.config, *self.stored)}


def layout(*images, names=()):
    """The files of an OCI layout."""
    names = names or ("",) * len(images)
    entries = [image.entry(name) for image, name in zip(images, names, strict=True)]
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    for image in images:
        files |= {"blobs/" + name.replace(":", "/"): content for name, content in image.blobs.items()}
    return files | {"index.json": index}


def write(folder, files):
    for name, content in files.items():
        path = folder.joinpath(*name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
