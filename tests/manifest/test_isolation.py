import pytest
from tests.manifest.texts import accept, read, refuse, service, wrap

from skerry.drivers.podman import spec
from skerry.model.profile import CAPABILITIES


def test_capabilities_are_one_name_each():
    web = service("cap_drop: [all, CAP_NET_RAW]\ncap_add: [net_bind_service, CAP_CHOWN]")
    assert (web.cap_drop, web.cap_add) == (("ALL", "NET_RAW"), ("CHOWN", "NET_BIND_SERVICE"))


def test_what_the_default_profile_grants_is_what_containers_have():
    assert frozenset(spec.DEFAULT_CAPABILITIES) == CAPABILITIES


@pytest.mark.parametrize(
    "fields",
    [
        "security_opt: [no-new-privileges, 'no-new-privileges:true']",
        "ipc: private",
        "ipc: shareable",
        "ipc: none",
        "pid: private",
        "uts: private",
        "security_opt: ['seccomp=builtin', 'apparmor:docker-default']",
        "userns_mode: ''",
        "privileged: 'false'",
    ],
)
def test_what_every_instance_has_anyway_is_honoured(fields):
    service(fields)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("cap_add: [NET_ADMIN]", "E-FIELD-REFUSED cap_add/0"),
        ("cap_add: [ALL]", "E-FIELD-REFUSED cap_add/0"),
        ("cap_add: ['net admin']", "E-TYPE cap_add/0"),
        ("cap_drop: [x]", "E-TYPE cap_drop/0"),
        ("privileged: true", "E-FIELD-REFUSED privileged"),
        ("security_opt: ['no-new-privileges:false']", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: ['seccomp:unconfined']", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: [apparmor=unconfined]", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: ['label:disable']", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: ['seccomp:./strict.json']", "E-NOT-YET security_opt/0"),
        ("security_opt: [apparmor=my-profile]", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: ['label:type:container_t']", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: ['mask=/proc/acpi']", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: [writable-cgroups=true]", "E-FIELD-REFUSED security_opt/0"),
        ("security_opt: [odd=1]", "E-TYPE security_opt/0"),
        ("security_opt: ['systempaths=none']", "E-TYPE security_opt/0"),
        ("security_opt: ['no-new-privileges:perhaps']", "E-TYPE security_opt/0"),
        ("uts: odd", "E-TYPE uts"),
        ("pid: odd", "E-TYPE pid"),
        ("ipc: odd", "E-TYPE ipc"),
        ("ipc: host", "E-FIELD-REFUSED ipc"),
        ("ipc: 'container:x'", "E-FIELD-REFUSED ipc"),
        ("pid: host", "E-FIELD-REFUSED pid"),
        ("pid: 'service:db'", "E-REFERENCE pid"),
        ("uts: host", "E-FIELD-REFUSED uts"),
        ("userns_mode: host", "E-FIELD-REFUSED userns_mode"),
        ("cap_add: [SYS_TIME]", "E-FIELD-REFUSED cap_add/0"),
        ("oom_score_adj: -5", "E-FIELD-REFUSED oom_score_adj"),
    ],
)
def test_what_weakens_the_walls_is_refused(fields, found):
    assert refuse(fields) == [found]


def test_the_reason_names_profile_and_grant():
    (problem,) = read(wrap("cap_add: [CAP_SYS_ADMIN]")).problems
    assert problem.detail == 'profile "default" does not grant "cap_add: SYS_ADMIN"'
    assert "leave it out" in problem.hint


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ("security_opt: ['seccomp:./strict.json']", "is not built yet: it would take the place of the default filter"),
        ("security_opt: [apparmor=mine]", "nodes tell of none"),
        ("uts: odd", "there are private, host"),
        ("networks: {n: {}}", ""),
    ],
)
def test_a_refusal_says_what_stands_in_the_way(fields, why):
    top = "networks: {n: {external: true}}" if not why else ""
    (problem,) = read(wrap(fields, top)).problems
    assert (why or "no other app joins it") in problem.detail


def test_the_strict_profile_takes_all_capabilities_and_the_writable_root_and_says_so():
    manifest = accept(wrap("cap_drop: [CHOWN]", "x-skerry: {profile: strict}"))
    web = manifest.services["web"]
    assert (manifest.profile, web.read_only, web.cap_drop, web.cap_add) == ("strict", True, ("ALL",), ())
    (note,) = [one for one in manifest.report if one.pointer == "/services/web"]
    assert "a writable root" in note.detail
    assert "CHOWN" in note.detail
    assert refuse("cap_add: [CHOWN]", top="x-skerry: {profile: strict}") == ["E-FIELD-REFUSED cap_add/0"]


def test_a_profile_that_no_site_has_is_told_at_its_name():
    top = "x-skerry: {profile: network-functions}"
    assert refuse("", top=top, grants={"network-functions": ()}) == ["E-REFERENCE /x-skerry/profile"]
