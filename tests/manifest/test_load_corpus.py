"""The 44 given Compose files of real projects: which the default profile accepts, and why it refuses the others.

``tests/data/compose/refusals.txt`` has every reason of every refused file; each of them was read beside its file by a
person. A change of what is refused changes that file, so somebody looks at it again.
"""

import hashlib
import json
import re

import pytest
from tests.manifest import corpus
from tests.manifest.texts import DATA

from skerry.manifest.canonical import build_revision
from skerry.manifest.load import load_manifest
from skerry.manifest.report import format_problems, format_report
from skerry.manifest.values import Manifest, Options, Rejected
from skerry.model.app import AppRevision, HealthCheck
from skerry.model.granted import grants_unmet
from skerry.model.grants import BindGrant, Profile, find_profile_flaw
from skerry.model.ids import SiteName, TenantName
from skerry.model.signed import SiteRecord
from skerry.trust.envelope import encode_payload
from skerry.trust.parse import parse_payload
from skerry.trust.wellformed import find_flaw

#: Accepted as they are, with their files beside them.
ACCEPTED = {
    "FIWARE-tutorials.Getting-Started__NGSI-LD-docker-compose-common",
    "chirpstack-chirpstack-docker__docker-compose",
    "docker-awesome-compose__nextcloud-redis-mariadb-compose",
    "docker-awesome-compose__prometheus-grafana-compose",
    "docker-awesome-compose__wordpress-mysql-compose",
    "dockersamples-example-voting-app__docker-compose.images",
    "edgexfoundry-edgex-compose__docker-compose-no-secty",
    "frappe-frappe_docker__compose",
    "grafana-alloy-scenarios__syslog-docker-compose",
    "intel-retail-automated-self-checkout__src-docker-compose-sensors",
    "intel-retail-automated-vending__docker-compose.edgex",
    "jitsi-docker-jitsi-meet__docker-compose",
    "jitsi-docker-jitsi-meet__jibri",
    "lf-edge-ekuiper__docs-en_US-integrations-neuron-docker-compose",
    "n8n-io-self-hosted-ai-starter-kit__docker-compose",
    "open-edge-platform-edge-ai-libraries__sample-applications-chat-question-and-answer-core-docker-compose",
}
#: Accepted once what they build has been built and pushed, as the reason of their refusal says.
ACCEPTED_WHEN_PUSHED = {
    "blakeblackshear-frigate__docker-compose",
    "deviantony-docker-elk__docker-compose",
    "docker-awesome-compose__nginx-golang-mysql-compose",
    "dockersamples-example-voting-app__docker-compose",
}


#: Accepted with an image that has a check of health, as the file takes for granted: it only says how often.
ACCEPTED_WITH_A_CHECK = {"FIWARE-tutorials.IoT-Agent__NGSI-v2-docker-compose"}
#: The configuration of such an image.
CHECKED = json.dumps({"config": {"Healthcheck": {"Test": ["CMD", "/bin/well"], "Interval": 30_000_000_000}}}).encode()


TENANT = TenantName("default")
#: Refused under ``default`` for what they ask of the node alone, and the profile under which they are accepted.
GRANTED = {
    "docker-awesome-compose__pihole-cloudflared-DoH-compose": Profile(
        tenants=(TENANT,),
        capabilities=("NET_ADMIN",),
        binds=(BindGrant(path="/etc/pihole", writable=True), BindGrant(path="/etc/dnsmasq.d", writable=True)),
    ),
    "edgexfoundry-edgex-compose__compose-builder-add-device-usb-camera": Profile(
        tenants=(TENANT,),
        device_rules=("c 81:* rw",),
        binds=(BindGrant(path="/dev", writable=True), BindGrant(path="/run/udev")),
    ),
    "free5gc-free5gc-compose__docker-compose": Profile(
        tenants=(TENANT,), capabilities=("NET_ADMIN",), devices=("/dev/net/tun",), host=("network",)
    ),
    "herlesupreeth-docker_open5gs__sa-deploy": Profile(tenants=(TENANT,), capabilities=("NET_ADMIN",), privileged=True),
    "librenms-docker__examples-compose-compose": Profile(tenants=(TENANT,), capabilities=("NET_ADMIN",)),
}


def read_refusals():
    """Return the reviewed reasons by file."""
    found = {}
    lines = []
    for line in (DATA / "compose" / "refusals.txt").read_text().splitlines():
        if line.startswith("# ") or not line:
            continue
        if line.startswith("  "):
            lines.append(line.strip())
        else:
            found[line.removesuffix(":")] = lines = []
    return found


REFUSALS = read_refusals()


def test_all_44_are_here_as_they_were_given_and_each_is_either_accepted_or_refused():
    sums = dict(
        re.findall(
            r"^\| `([^`]+\.yaml)` .*\| ([0-9a-f]{16}) \|$", (corpus.REAL / "README.md").read_text(), re.MULTILINE
        )
    )
    found = {f"{stem}.yaml": hashlib.sha256(corpus.read_bytes(stem)).hexdigest()[:16] for stem in corpus.list_files()}
    assert found == sums
    assert len(found) == 44
    accepted = ACCEPTED | ACCEPTED_WHEN_PUSHED | ACCEPTED_WITH_A_CHECK
    assert sorted([*accepted, *REFUSALS]) == corpus.list_files()
    assert len(accepted) == 21


@pytest.mark.parametrize("stem", sorted(ACCEPTED | ACCEPTED_WHEN_PUSHED), ids=lambda stem: stem[:40])
def test_accepted_under_the_default_profile(stem):
    manifest = corpus.load(stem)
    assert corpus.tell(manifest) == []
    assert manifest.profile == "default"
    assert format_report(manifest.report)
    images = {use.name: corpus.make_image(use.name) for use in manifest.images}
    revision = build_revision(manifest, tenant="default", number=1, images=images)
    assert isinstance(revision, AppRevision)
    assert find_flaw(revision) == ""
    assert parse_payload(encode_payload(revision), AppRevision) == revision


@pytest.mark.parametrize("stem", sorted(ACCEPTED_WITH_A_CHECK))
def test_what_changes_the_check_of_an_image_is_accepted_where_that_has_one(stem):
    manifest = corpus.load(stem)
    assert corpus.tell(manifest) == []
    images = {use.name: corpus.make_image(use.name) for use in manifest.images}
    configs = {image.config: CHECKED for image in images.values()}
    revision = build_revision(manifest, tenant="default", number=1, images=images, configs=configs)
    assert isinstance(revision, AppRevision)
    assert find_flaw(revision) == ""
    assert revision.services["iot-agent"].healthcheck == HealthCheck(test=("CMD", "/bin/well"), interval_us=5_000_000)
    rejected = build_revision(manifest, tenant="default", number=1, images=images)
    assert [(one.code, one.pointer, one.line) for one in rejected.problems] == [
        ("E-REFERENCE", "/services/iot-agent/healthcheck", 76)
    ]


@pytest.mark.parametrize("stem", sorted(ACCEPTED_WHEN_PUSHED), ids=lambda stem: stem[:40])
def test_what_is_only_built_is_refused_until_it_was_pushed(stem):
    rejected = corpus.load(stem, pushed=False)
    assert isinstance(rejected, Rejected)
    assert {(one.code, one.detail) for one in rejected.problems} == {
        ("E-FIELD-REFUSED", "images are not built at apply, and no image is named")
    }
    assert all("skerry image push" in one.hint for one in rejected.problems)


@pytest.mark.parametrize("stem", sorted(REFUSALS), ids=lambda stem: stem[:40])
def test_refused_for_exactly_the_reasons_that_a_person_has_read(stem):
    rejected = corpus.load(stem)
    assert corpus.tell(rejected) == REFUSALS[stem]
    assert format_problems(rejected.problems)


@pytest.mark.parametrize("stem", sorted(GRANTED), ids=lambda stem: stem[:40])
def test_accepted_under_a_fitting_profile_and_at_a_site_that_has_it(stem):
    profile = GRANTED[stem]
    assert find_profile_flaw(profile) == ""
    manifest = corpus.load(stem, profile=profile)
    assert corpus.tell(manifest) == []
    images = {use.name: corpus.make_image(use.name) for use in manifest.images}
    revision = build_revision(manifest, tenant=TENANT, number=1, images=images)
    assert isinstance(revision, AppRevision)
    assert find_flaw(revision) == ""
    with_it = SiteRecord(site=SiteName("oslo"), number=1, profiles={"fitting": profile})
    without = SiteRecord(site=SiteName("oslo"), number=1)
    for service in revision.services:
        assert grants_unmet(revision, service, with_it) == ""
        assert grants_unmet(revision, service, without)


def test_those_that_a_profile_makes_acceptable_are_all_that_ask_for_nothing_else():
    alone = {stem for stem, reasons in REFUSALS.items() if all("does not grant" in reason for reason in reasons)}
    assert alone == set(GRANTED)


@pytest.mark.parametrize("stem", corpus.list_files(), ids=lambda stem: stem[:40])
def test_every_field_is_in_the_report(stem):
    """Nothing is dropped in silence: each field of each service that is on has a verdict or a problem."""
    result = corpus.load(stem)
    told = {note.pointer for note in result.report}
    told |= {one.pointer for one in (result.problems if isinstance(result, Rejected) else ())}
    off = {note.pointer for note in result.report if "none of its profiles is switched on" in note.detail}
    for pointer in corpus.list_fields(stem):
        home = "/".join(pointer.split("/")[:3])
        assert home in off or any(each == pointer or each.startswith(f"{pointer}/") for each in told), pointer


@pytest.mark.parametrize("stem", corpus.list_files(), ids=lambda stem: stem[:40])
def test_none_crashes_with_nothing_beside_it(stem):
    result = load_manifest([(f"{stem}.yaml", corpus.read_bytes(stem))], {}, options=Options(project="app"))
    assert isinstance(result, Manifest) or result.problems
