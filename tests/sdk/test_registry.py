import contextlib
import json

import httpx2
import pytest
from tests.sdk.image_bytes import OCI, Image, digest

from skerry.model.errors import Invalid, NotFound, Refused, Unavailable
from skerry.model.image import Platform
from skerry.model.reference import Reference, parse_reference
from skerry.sdk.registry import Registry

AMD64 = Platform("amd64")
SHOP = Reference("127.0.0.1:5000", "team/shop", "1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx", Reference("docker.io", "library/nginx", "latest")),
        ("mariadb:10-focal", Reference("docker.io", "library/mariadb", "10-focal")),
        ("team/shop", Reference("docker.io", "team/shop", "latest")),
        ("ghcr.io/a/b/c:v1.2_3", Reference("ghcr.io", "a/b/c", "v1.2_3")),
        ("localhost:5000/x", Reference("localhost:5000", "x", "latest")),
        ("localhost/x", Reference("localhost", "x", "latest")),
        ("registry:5000/x:1", Reference("registry:5000", "x", "1")),
        ("x@sha256:" + "a" * 64, Reference("docker.io", "library/x", "sha256:" + "a" * 64)),
        ("x:1@sha256:" + "a" * 64, Reference("docker.io", "library/x", "sha256:" + "a" * 64)),
    ],
)
def test_names_are_read_as_engines_do(text, expected):
    assert parse_reference(text) == expected


@pytest.mark.parametrize("text", ["", "UPPER", "a//b", "../x", "x:", "x@sha256:1", "http://x/y", "x y", "a" * 600])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(Invalid):
        parse_reference(text)


class FakeRegistry:
    """Serves an index with two platforms, or whatever ``answers`` says for a path."""

    def __init__(self, image, *, password=None, challenge="", answers=()):
        self.image = image
        self.arm = Image("arm64")
        self.index = json.dumps({"manifests": [image.entry(), self.arm.entry()]}).encode()
        self.wanted = password
        self.challenge = challenge
        self.answers = dict(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        path = request.url.path
        if path == "/token":
            return httpx2.Response(200, json={"token": "T"})
        if self.wanted and request.headers.get("Authorization") != self.wanted:
            return httpx2.Response(401, headers={"WWW-Authenticate": self.challenge})
        name = path.rpartition("/")[2]
        if name in self.answers:
            return self.answers[name](request)
        if path == "/v2/team/shop/manifests/1":
            return httpx2.Response(200, content=self.index, headers={"Content-Type": f"{OCI}index.v1+json"})
        blobs = self.image.blobs | self.arm.blobs
        if name not in blobs:
            return httpx2.Response(404)
        return httpx2.Response(200, content=blobs[name], headers={"Content-Type": f"{OCI}manifest.v1+json"})


def ask(fake, **more):
    return Registry("127.0.0.1:5000", transport=httpx2.MockTransport(fake), **more)


def test_the_platform_is_chosen_and_layers_are_fetched_as_they_are_opened():
    image = Image()
    fake = FakeRegistry(image)
    told = []
    with ask(fake) as registry:
        found = registry.find_image(SHOP, AMD64, lambda *what: told.append(what))
        assert found.config == image.config
        assert not any(digest(image.stored[1]) in str(request.url) for request in fake.asked)
        with contextlib.closing(found.open_layer(found.layers[1])) as layer:
            assert layer.read(10**6) == image.stored[1]
    assert told[-1][1:] == (len(image.stored[1]), len(image.stored[1]))


def test_another_manifest_than_the_index_names_is_refused():
    image, evil = Image(), Image(salt=b"evil")
    name = digest(image.manifest)
    headers = {"Content-Type": f"{OCI}manifest.v1+json"}
    fake = FakeRegistry(image, answers={name: lambda _: httpx2.Response(200, content=evil.manifest, headers=headers)})
    with ask(fake) as registry, pytest.raises(Invalid, match="another manifest"):
        registry.find_image(SHOP, AMD64)


def test_a_blob_that_does_not_end_is_cut():
    image = Image()
    name = digest(image.stored[1])
    fake = FakeRegistry(image, answers={name: lambda _: httpx2.Response(200, content=image.stored[1] + b"more")})
    with ask(fake) as registry:
        found = registry.find_image(SHOP, AMD64)
        with pytest.raises(Invalid, match="more than"):
            found.open_layer(found.layers[1])


def test_a_download_that_is_cut_is_tried_again():
    image = Image()
    tries = []

    def cut_once(_):
        tries.append(1)
        if len(tries) == 1:
            raise httpx2.ReadError("cut")
        return httpx2.Response(200, content=image.stored[1])

    fake = FakeRegistry(image, answers={digest(image.stored[1]): cut_once})
    with ask(fake) as registry:
        found = registry.find_image(SHOP, AMD64)
        with contextlib.closing(found.open_layer(found.layers[1])) as layer:
            assert layer.read(10**6) == image.stored[1]


def test_what_is_not_there_or_does_not_answer_is_said():
    with ask(FakeRegistry(Image())) as registry, pytest.raises(NotFound):
        registry.find_image(Reference("127.0.0.1:5000", "team/gone", "1"), AMD64)

    def down(_):
        raise httpx2.ConnectError("refused")

    with ask(down) as registry, pytest.raises(Unavailable, match="does not answer: refused"):
        registry.find_image(SHOP, AMD64)


def test_a_password_is_sent_when_asked_for():
    fake = FakeRegistry(Image(), password="Basic bWU6cHc=", challenge='Basic realm="x"')
    with ask(fake, username="me", password="pw") as registry:
        registry.find_image(SHOP, AMD64)
    assert "Authorization" not in fake.asked[0].headers
    fake = FakeRegistry(Image(), password="x", challenge='Basic realm="x"')
    with ask(fake) as registry, pytest.raises(Refused, match="wants a name"):
        registry.find_image(SHOP, AMD64)


def test_anonymous_tokens_are_fetched_where_the_registry_says():
    challenge = 'Bearer realm="http://127.0.0.1:5000/token",service="s",scope="repository:team/shop:pull"'
    fake = FakeRegistry(Image(), password="Bearer T", challenge=challenge)
    with ask(fake) as registry:
        registry.find_image(SHOP, AMD64)
    assert fake.asked[1].url.params["scope"] == "repository:team/shop:pull"


def test_a_token_service_without_tls_is_not_told_anything():
    challenge = 'Bearer realm="http://elsewhere.example/token",service="s"'
    fake = FakeRegistry(Image(), password="Bearer T", challenge=challenge)
    with ask(fake, username="me", password="pw") as registry, pytest.raises(Refused, match="no TLS"):
        registry.find_image(SHOP, AMD64)
    assert len(fake.asked) == 1


def test_plain_http_is_for_this_machine():
    assert Registry("docker.io").url == "https://registry-1.docker.io"
    assert Registry("10.0.0.1:5000").url == "https://10.0.0.1:5000"
    assert Registry("10.0.0.1:5000", insecure=True).url == "http://10.0.0.1:5000"
    assert Registry("127.0.0.1:5000").url == "http://127.0.0.1:5000"


def test_a_redirect_to_plain_http_is_not_read():
    image = Image()

    def lead_away(request):
        if request.url.host == "cdn.example":
            return httpx2.Response(200, content=image.config)
        return httpx2.Response(307, headers={"Location": "http://cdn.example/blob"})

    fake = FakeRegistry(image, answers={digest(image.config): lead_away, "blob": lead_away})
    with ask(fake) as registry, pytest.raises(Refused, match="without TLS"):
        registry.find_image(SHOP, AMD64)
