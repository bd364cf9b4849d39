"""Fetching an image from a registry (OCI distribution-spec), on the client: no core and no site ever asks one.

Rules: (1) a digest decides, whoever gave the bytes; (2) plain http is for registries on this machine, or where the
person says so; (3) a password goes to its registry and to the token service that this registry names over https.
"""

import base64
import contextlib
import re
import tempfile
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec

from skerry.model.errors import Invalid, NotFound, Refused, Unavailable
from skerry.model.ids import digest_of, is_digest
from skerry.model.image import DOCUMENT_BYTES_MAX, Descriptor, Platform
from skerry.model.limits import ARCHIVE_BYTES_MAX
from skerry.model.reference import DEFAULT_REGISTRY, Reference
from skerry.safe.paths import Source
from skerry.sdk import oci, policy
from skerry.sdk.images import Progress, no_progress

if TYPE_CHECKING:
    import httpx2

_DEFAULT_ENDPOINT = "registry-1.docker.io"
#: Tries of one download, each from its beginning: a registry that cuts three times in a row is reported.
_TRIES = 3
_CHALLENGE = re.compile(r'(\w+)="([^"\\]*)"')


class Registry:
    """One registry, asked with one person's credentials or none."""

    def __init__(
        self,
        host: str,
        *,
        username: str = "",
        password: str = "",
        insecure: bool = False,
        transport: "httpx2.BaseTransport | None" = None,
    ) -> None:
        endpoint = _DEFAULT_ENDPOINT if host == DEFAULT_REGISTRY else host
        is_local = policy.is_loopback(f"http://{endpoint}")
        self.url = f"{'http' if is_local or insecure else 'https'}://{endpoint}"
        self._insecure = insecure
        self._basic = (username, password) if username else None
        self._transport = transport
        self._headers: dict[str, str] = {}
        self._opened: httpx2.Client | None = None

    def __enter__(self) -> "Registry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()

    def find_image(self, reference: Reference, wanted: Platform, progress: Progress = no_progress) -> "FoundImage":
        """Return the image for a platform, its layers still where they are. Raises ``NotFound``, ``Invalid``."""
        version = reference.version
        for _ in range(oci.INDEX_DEPTH_MAX):
            kind, content = self._read_manifest(reference, version)
            if kind not in oci.INDEX_TYPES:
                break
            version = oci.choose_manifest(oci.read_index(content), wanted).digest
        else:
            raise Invalid("E-IMAGE", f"More than {oci.INDEX_DEPTH_MAX} indexes lie inside each other.")
        manifest = oci.read_manifest(content)
        config = self.read_blob(reference, manifest.config)
        layers = oci.pair_layers(manifest, oci.read_config(config, manifest.config.digest))
        return FoundImage(self, reference, config, layers, progress)

    def read_blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """Return a small blob whole."""
        with self._get(f"/v2/{reference.repository}/blobs/{blob.digest}") as response:
            return b"".join(_limit(response.iter_bytes(), DOCUMENT_BYTES_MAX))

    def spool_blob(self, reference: Reference, blob: Descriptor, progress: Progress) -> Source:
        """Fetch a blob into a nameless file and return that, at its beginning; whoever reads it checks the digest."""
        if blob.size > ARCHIVE_BYTES_MAX:
            raise Invalid("E-IMAGE", f"A layer has more than {ARCHIVE_BYTES_MAX} bytes.")
        word = f"{blob.digest[7:19]} fetch"
        for attempt in range(_TRIES):
            spool = tempfile.TemporaryFile()  # noqa: SIM115 - given to the caller
            try:
                with self._get(f"/v2/{reference.repository}/blobs/{blob.digest}") as response:
                    for content in _limit(response.iter_bytes(), blob.size):
                        spool.write(content)
                        progress(word, spool.tell(), blob.size)
                spool.seek(0)
                return spool
            except BaseException as error:
                spool.close()
                if not isinstance(error, Unavailable) or attempt == _TRIES - 1:
                    raise
        raise AssertionError("the last try returns or raises")

    def _read_manifest(self, reference: Reference, version: str) -> tuple[str, bytes]:
        accept = ", ".join((*oci.MANIFEST_TYPES, *oci.INDEX_TYPES))
        with self._get(f"/v2/{reference.repository}/manifests/{version}", {"Accept": accept}) as response:
            content = b"".join(_limit(response.iter_bytes(), DOCUMENT_BYTES_MAX))
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if is_digest(version) and digest_of(content) != version:
            raise Invalid("E-DIGEST", f"{self.url} gave another manifest than {version[:19]}….")
        return kind, content

    @contextlib.contextmanager
    def _get(self, path: str, headers: dict[str, str] | None = None) -> "Generator[httpx2.Response]":
        import httpx2

        try:
            with self._open(path, headers or {}) as response:
                if response.status_code != 401:
                    yield self._check(response)
                    return
                self._headers = self._answer_challenge(str(response.headers.get("WWW-Authenticate", "")))
            with self._open(path, headers or {}) as response:
                yield self._check(response)
        except httpx2.TransportError as error:
            detail = f"The registry at {self.url} does not answer: {error or type(error).__name__}."
            raise Unavailable("E-REGISTRY", detail) from error

    def _open(self, path: str, headers: dict[str, str]) -> "contextlib.AbstractContextManager[httpx2.Response]":
        asked = {"Accept-Encoding": "identity"} | self._headers | headers
        return self._http().stream("GET", f"{self.url}{path}", headers=asked, follow_redirects=True)

    def _check(self, response: "httpx2.Response") -> "httpx2.Response":
        for step in (*response.history, response):
            if step.url.scheme != "https" and not policy.is_loopback(str(step.url)) and not self._insecure:
                raise Refused("E-PLAINTEXT", f"The registry leads to {step.url.host} without TLS.", hint="--insecure")
        if response.status_code == 404:
            raise NotFound("E-IMAGE", f"{self.url} has no {response.url.path.removeprefix('/v2/')}.")
        if response.status_code in (401, 403):
            raise Refused("E-REGISTRY", f"{self.url} does not let us read this.", hint="Give --username.")
        if not response.is_success:
            raise Unavailable("E-REGISTRY", f"{self.url} answered {response.status_code}.")
        return response

    def _answer_challenge(self, challenge: str) -> dict[str, str]:
        """Return the header that a registry asks for: the password, or a token from the service that it names."""
        scheme, _, rest = challenge.partition(" ")
        words: dict[str, str] = dict(_CHALLENGE.findall(rest))
        if scheme.lower() == "basic" and self._basic:
            return {"Authorization": "Basic " + base64.b64encode(":".join(self._basic).encode()).decode()}
        realm = words.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise Refused("E-REGISTRY", f"{self.url} wants a name and a password.", hint="Give --username.")
        if urlsplit(realm).scheme != "https" and not policy.is_loopback(realm) and not self._insecure:
            raise Refused("E-PLAINTEXT", f"The registry's token service {realm} has no TLS.", hint="--insecure")
        asked = {key: value for key, value in words.items() if key in ("service", "scope")}
        response = self._http().get(f"{realm}?{urlencode(asked)}", auth=self._basic, follow_redirects=False)
        try:
            found = msgspec.json.decode(response.content, type=_Token)
        except msgspec.DecodeError as error:
            raise Refused("E-REGISTRY", f"{realm} gave no token ({response.status_code}).") from error
        return {"Authorization": f"Bearer {found.token or found.access_token}"}

    def _http(self) -> "httpx2.Client":
        if self._opened is None:
            import httpx2

            self._opened = httpx2.Client(
                verify=policy.make_tls(self.url, ""),
                trust_env=not policy.is_loopback(self.url),
                timeout=httpx2.Timeout(policy.ANSWER_S, connect=policy.CONNECT_S),
                transport=self._transport,
                max_redirects=5,
            )
        return self._opened


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class FoundImage:
    """An image at a registry: an ``ImageSource`` whose layers are fetched as they are opened."""

    def __init__(
        self,
        registry: Registry,
        reference: Reference,
        config: bytes,
        layers: tuple[oci.Layer, ...],
        progress: Progress,
    ) -> None:
        self._registry = registry
        self._reference = reference
        self._progress = progress
        self.name = str(reference)
        self.config = config
        self.layers = layers

    def open_layer(self, layer: oci.Layer) -> Source:
        """See ``ImageSource``."""
        return self._registry.spool_blob(self._reference, layer.stored, self._progress)


def _limit(chunks: Iterator[bytes], bytes_max: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > bytes_max:
            raise Invalid("E-IMAGE", f"The registry sends more than the {bytes_max} bytes that are due.")
        yield chunk
