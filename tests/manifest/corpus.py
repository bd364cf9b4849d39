"""The 44 given Compose files of real projects: what lies beside each, which variables are set, what was built.

The files come without their neighbours, so those are made up here: as little as makes each path what it is in its
project, a file, a folder with something in it, or nothing. Variables have the values of the project's own ``.env``
where it has one.
"""

import re

from tests.manifest.texts import DATA, image_of

from skerry.manifest.load import load_manifest
from skerry.manifest.nodes import Place, Scalar
from skerry.manifest.tree import read_documents
from skerry.manifest.values import FileRead, FolderRead, Manifest, Options, Rejected, Unreadable

REAL = DATA / "compose" / "real"
WORDPRESS = "docker-awesome-compose__wordpress-mysql-compose"
#: Where the manifest is said to lie.
ROOT = "/project"

_JITSI = "jitsi-docker-jitsi-meet__docker-compose"
_FRAPPE = "frappe-frappe_docker__compose"

#: Files that their projects lay over another one, with that one before them.
BASES = {
    "jitsi-docker-jitsi-meet__jibri": _JITSI,
    "frappe-frappe_docker__overrides-compose.https": _FRAPPE,
    "edgexfoundry-edgex-compose__compose-builder-add-device-usb-camera": (
        "edgexfoundry-edgex-compose__docker-compose-no-secty"
    ),
    "intel-retail-automated-vending__docker-compose.physical.card-reader": (
        "intel-retail-automated-vending__docker-compose.edgex"
    ),
}

#: Folders that hold data, which a fresh checkout does not have.
MISSING = re.compile(r"/(?:data|db|logs|debug|storage|shared|tmp|jicofo|jvb|jibri|librenms|web|prosody)(?:/|$)")
FILE = re.compile(r"\.[a-z]{2,5}$|\.env$|env[./]|config\.monitoring$|/[A-Za-z]+file$")

#: Variables without a default, by file.
VARIABLES = {
    "FIWARE-tutorials.Getting-Started__NGSI-LD-docker-compose-common": {
        "MONGO_DB_VERSION": "5.0.26",
        "MONGO_DB_PORT": "27017",
        "TUTORIAL_APP_PORT": "3000",
    },
    "FIWARE-tutorials.IoT-Agent__NGSI-v2-docker-compose": {
        "ORION_VERSION": "3.10.1",
        "ORION_PORT": "1026",
        "MONGO_DB_VERSION": "5.0.26",
        "MONGO_DB_PORT": "27017",
        "TUTORIAL_APP_PORT": "3000",
        "TUTORIAL_DUMMY_DEVICE_PORT": "3001",
        "ULTRALIGHT_VERSION": "3.1.0",
        "IOTA_NORTH_PORT": "4041",
        "IOTA_SOUTH_PORT": "7896",
    },
    "deviantony-docker-elk__docker-compose": {"ELASTIC_VERSION": "8.19.4"},
    _FRAPPE: {"ERPNEXT_VERSION": "v15.0.0"},
    "frappe-frappe_docker__overrides-compose.https": {
        "SITES_RULE": "Host(`erp.example`)",
        "LETSENCRYPT_EMAIL": "a@b.example",
    },
    _JITSI: {"CONFIG": "./jitsi-meet-cfg", "HTTP_PORT": "8000", "HTTPS_PORT": "8443"},
    "docker-awesome-compose__wireguard-compose": {"TIMEZONE": "Etc/UTC", "VPN_SERVER_URL": "vpn.example"},
    "docker-awesome-compose__pihole-cloudflared-DoH-compose": {
        "TIMEZONE": "Etc/UTC",
        "PIHOLE_PW": "x",
        "PIHOLE_ROUTER_IP": "192.168.1.1",
        "PIHOLE_NETWORK_DOMAIN": "lan",
        "PIHOLE_REVERSE_DNS": "192.168.1.0/24",
        "PIHOLE_HOST_IP": "192.168.1.2",
        "PIHOLE_HOST_IPV6": "fd00::2",
    },
    "open-telemetry-opentelemetry-demo__compose": {
        "HOST_FILESYSTEM": "/",
        "DOCKER_SOCK": "/var/run/docker.sock",
        "OTEL_COLLECTOR_CONFIG": "./src/otel-collector/otelcol-config.yml",
        "OTEL_COLLECTOR_CONFIG_EXTRAS": "./src/otel-collector/otelcol-config-extras.yml",
    },
    "magma-magma__feg-gateway-docker-docker-compose": {
        "LOG_DRIVER": "journald",
        "CERTS_VOLUME": "/var/opt/magma/certs",
        "CONFIGS_VOLUME": "/var/opt/magma/configs",
        "CONFIGS_OVERRIDE_VOLUME": "/var/opt/magma/configs",
        "CONFIGS_DEFAULT_VOLUME": "/etc/magma",
        "CONFIGS_TEMPLATES_PATH": "/etc/magma/templates",
        "CONTROL_PROXY_PATH": "/etc/magma/control_proxy.yml",
        "SNOWFLAKE_PATH": "/etc/snowflake",
        "ROOTCA_PATH": "/var/opt/magma/certs/rootCA.pem",
    },
    "influxdata-sandbox__docker-compose": {"TYPE": "latest"},
}
#: A value for the variables that no entry above has.
OTHERS = "1.0"

#: Images that Compose would build for these, pushed under the names that Compose gives to them.
BUILT = {
    "blakeblackshear-frigate__docker-compose": ("devcontainer",),
    "deviantony-docker-elk__docker-compose": ("setup", "elasticsearch", "logstash", "kibana", "kibana-genkeys"),
    "docker-awesome-compose__nginx-golang-mysql-compose": ("backend",),
    "dockersamples-example-voting-app__docker-compose": ("vote", "result", "worker"),
}


def list_files():
    """Return the stem of every given file."""
    return sorted([*(path.stem for path in REAL.glob("*.yaml")), WORDPRESS])


def load(stem, *, pushed=True, profile=None):
    """Load a given file as its project uses it: over its base, with its variables, beside stand-ins of its files.

    With an operator's ``profile`` an overlay of the file names it, and nothing else is changed.
    """
    stems = [*([BASES[stem]] if stem in BASES else []), stem]
    files = [(f"{name}.yaml", read_bytes(name)) for name in stems]
    variables = {"PWD": ROOT}
    for name in stems:
        variables |= VARIABLES.get(name, {})
    text = b"\n".join(content for _, content in files).decode()
    variables |= {name: value for name, value in _make_up(text).items() if name not in variables}
    built = frozenset(f"app-{name}" for name in BUILT.get(stem, ())) if pushed else frozenset()
    grants = {}
    if profile is not None:
        files.append(("overlay.yaml", b"app: app\nprofile: fitting\n"))
        grants = {"fitting": (profile,)}
    options = Options(project="app", root=ROOT, pushed=built, grants=grants)
    return load_manifest(files, variables, options=options, read_file=read_beside)


def read_bytes(stem):
    folder = REAL.parent if stem == WORDPRESS else REAL
    return (folder / f"{stem}.yaml").read_bytes()


def read_beside(path):
    plain = path.rstrip("/")
    if FILE.search(plain):
        return FileRead(b"A=1\n")
    if MISSING.search(plain):
        return Unreadable("does not exist", is_missing=True)
    return FolderRead({"some.conf": FileRead(b"x")})


def _make_up(text):
    """Return a value for each variable that has no default in the text."""
    found = re.findall(r"\$(?:\{([A-Za-z_]\w*)(?::?\?[^}]*)?\}|([A-Za-z_]\w*))", text)
    names = sorted({braced or plain for braced, plain in found})
    return {name: _value(name, index) for index, name in enumerate(names)}


def _value(name, index):
    if name.endswith("_IP"):
        return f"172.22.0.{index % 200 + 10}"
    if "SUBNET" in name or name.endswith("_NETWORK"):
        return "172.22.0.0/24"
    return str(8100 + index) if "PORT" in name else OTHERS


def tell(result):
    """Return each problem in a line: where, which code, and why."""
    assert isinstance(result, Manifest | Rejected)
    if isinstance(result, Manifest):
        return []
    return [f"{one.line} {one.code} {one.pointer}: {one.detail}" for one in result.problems]


def make_image(name):
    """Return a made-up resolved image."""
    return image_of(name)


def list_fields(stem):
    """Return the pointer of every field of every service of a file, extension fields apart."""
    (top,), _ = read_documents(read_bytes(stem), stem)
    services = Place(top).find("services")
    return [
        place.pointer
        for _, service in (services.entries() if services is not None else ())
        for name, place in service.entries()
        if not name.startswith("x-") and not _is_empty(place)
    ]


def _is_empty(place):
    return not isinstance(place.node, Scalar) and not any(place.entries()) and not any(place.elements())
