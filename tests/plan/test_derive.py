import msgspec
import pytest
from tests.plan import scenery
from tests.plan.scenery import assign, revision, service

from skerry.model.app import (
    Config,
    FileMount,
    FolderFile,
    FolderMount,
    Further,
    HealthCheck,
    Mount,
    Port,
    SecretUse,
    Sites,
)
from skerry.model.geography import Region
from skerry.model.ids import digest_of
from skerry.model.instance import spec_digest
from skerry.model.placing import PlacementRules, Residency
from skerry.plan.derive import Derived, Underivable, derive_instance


def derive(app, assignment=None, record=None, secrets=None):
    return derive_instance(
        app, assignment or assign(app, "web"), record or scenery.record(currency="NOK"), secrets or {}
    )


def test_per_instance_variables_are_expanded_only_where_they_may_stand():
    app = revision(
        web=service(
            environment={"STORE": "${SKERRY_SITE}", "CURRENCY": "${SKERRY_LABEL_CURRENCY:-EUR}", "PRICE": "5$$"},
            command=("serve", "--index=$SKERRY_INDEX"),
            working_dir="/${SKERRY_SITE}",
            healthcheck=HealthCheck(test=("CMD", "ask", "${SKERRY_SERVICE}")),
        )
    )
    derived = derive(app)
    assert isinstance(derived, Derived)
    assert derived.spec.environment == {"STORE": "oslo", "CURRENCY": "NOK", "PRICE": "5$"}
    assert derived.spec.command == ("serve", "--index=0")
    assert derived.spec.working_dir == "/${SKERRY_SITE}"
    assert derived.spec.healthcheck is not None
    assert derived.spec.healthcheck.test == ("CMD", "ask", "web")


def test_the_digest_ignores_the_number_of_the_revision_and_hears_of_the_restart_counter():
    one, two = revision(1, web=service()), revision(2, web=service())
    assert derive(one).digest == derive(two).digest
    assert derive(one, assign(one, "web", restart=1)).digest != derive(one).digest


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"ordinal": 2}, "E-ASSIGNMENT"),
        ({"ordinal": -1}, "E-ASSIGNMENT"),
        ({"service": "db"}, "E-ASSIGNMENT"),
        ({"app": "other"}, "E-ASSIGNMENT"),
        ({"tenant": "other"}, "E-ASSIGNMENT"),
        ({"node": "n9"}, "E-ASSIGNMENT"),
    ],
)
def test_an_assignment_chooses_only_inside_what_was_signed(words, code):
    app = revision(web=service())
    refused = derive(app, assign(app, "web", **words))
    assert isinstance(refused, Underivable)
    assert refused.code == code


def test_the_signed_selector_holds_against_signed_labels():
    placement = msgspec.structs.replace(service().placement, sites=Sites(match=("tier=store", "currency=NOK")))
    app = revision(web=service(placement=placement))
    assert isinstance(derive(app), Derived)
    refused = derive(app, record=scenery.record(currency="SEK"))
    assert isinstance(refused, Underivable)
    assert refused.code == "E-PLACEMENT"
    for sites in (Sites(names=("bergen",)), Sites(exclude=("oslo",))):
        app = revision(web=service(placement=msgspec.structs.replace(placement, sites=sites)))
        assert isinstance(derive(app), Underivable)


def test_a_tenant_the_site_does_not_admit_runs_nothing():
    app = msgspec.structs.replace(revision(web=service()), tenant="rival")
    refused = derive(app, assign(app, "web"))
    assert isinstance(refused, Underivable)
    assert refused.code == "E-TENANT"


def test_files_and_secrets_come_from_the_revision_by_name():
    app = msgspec.structs.replace(
        revision(
            web=service(
                configs=(FileMount(source="motd", target="/etc/motd"),),
                secrets=(FileMount(source="key", target="/run/secrets/key"),),
            )
        ),
        configs={"motd": Config(content=b"hello ${SKERRY_SITE}", expand=True)},
        secrets={"key": SecretUse(name="till-key")},
    )
    waiting = derive(app)
    assert isinstance(waiting, Underivable)
    assert waiting.code == "E-SECRET"
    derived = derive(app, secrets={"till-key": digest_of(b"sealed")})
    assert isinstance(derived, Derived)
    assert derived.spec.files[0].content == b"hello oslo"
    assert derived.spec.secrets[0].version == digest_of(b"sealed")


def test_two_labels_that_give_one_variable_give_none():
    record = msgspec.structs.replace(scenery.record(), labels={"a.b": "1", "a-b": "2"})
    app = revision(web=service(environment={"X": "${SKERRY_LABEL_A_B}"}))
    refused = derive(app, record=record)
    assert isinstance(refused, Underivable)
    assert refused.code == "E-INTERPOLATION"


def test_what_a_revision_derives_to_is_frozen():
    app = revision(web=service(environment={"A": "1"}))
    assert spec_digest(derive(app).spec) == "sha256:548c9c9f0b2baee862a9221e57b6a057f1e1392d343599e407c8b2cd4d0dfbee"


def test_a_folder_of_configs_comes_with_its_bytes_and_nothing_outside_of_it():
    def wish(path):
        files = {path: FolderFile(source="c", executable=True)}
        folder = FolderMount(target="/etc/conf", files=files)
        app = revision(web=service(further=Further(folders=(folder,))))
        return msgspec.structs.replace(app, configs={"c": Config(content=b"${SKERRY_SITE}", expand=True)})

    derived = derive(wish("sub/a"))
    assert isinstance(derived, Derived)
    (folder,) = derived.spec.folders
    assert folder.target == "/etc/conf"
    assert (folder.files["sub/a"].content, folder.files["sub/a"].mount.mode) == (b"oslo", 0o555)
    refused = derive(wish("../a"))
    assert isinstance(refused, Underivable)
    assert refused.code == "E-REFERENCE"


def test_who_asks_for_nothing_more_keeps_the_digest_that_it_had():
    """A new field of the specification must not make every running container another one."""
    derived = derive(revision(web=service()))
    assert isinstance(derived, Derived)
    assert b"further" not in msgspec.json.encode(derived.spec)
    assert b"folders" not in msgspec.json.encode(derived.spec)
    assert b"among" not in msgspec.json.encode(derive(revision(web=service(ports=(Port(target=80),)))).spec)


@pytest.mark.parametrize(
    ("country", "volume", "covers", "reason"),
    [
        ("NO", True, (), ""),
        ("DE", True, (), "needs a country in NO, SE, the site is in DE"),
        ("DE", False, ("volumes",), ""),
        ("DE", True, ("volumes",), "data of it would be there: needs a country in NO, SE, the site is in DE"),
        ("", False, ("logs",), "data of it would be there: needs a country in NO, SE, the site's record names none"),
    ],
)
def test_a_site_runs_nothing_where_its_own_record_says_that_it_is_forbidden(country, volume, covers, reason):
    nordic = Region(countries=("NO", "SE"))
    data = PlacementRules(residency=(Residency(region=nordic, covers=covers),))
    wish = service(mounts=(Mount(kind="volume", source="data", target="/data"),) if volume else ())
    placement = msgspec.structs.replace(wish.placement, rules=data if covers else PlacementRules(geofence=(nordic,)))
    app = revision(web=msgspec.structs.replace(wish, placement=placement))
    derived = derive(app, record=msgspec.structs.replace(scenery.record(), country=country))
    if not reason:
        assert isinstance(derived, Derived)
    else:
        assert isinstance(derived, Underivable)
        assert (derived.code, derived.reason) == ("E-PLACEMENT", reason)
