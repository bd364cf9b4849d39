import pytest
from tests.manifest.texts import refuse, service

from skerry.model.app import Hook
from skerry.model.grants import Profile
from skerry.model.ids import TenantName


def test_commands_are_read_in_their_order_with_all_that_they_say():
    web = service(
        """
        post_start:
          - command: ./prepare.sh --all
            user: root
          - command: [sh, -c, 'echo $$HOME ${SKERRY_SITE}']
            working_dir: /srv
            environment: {A: b, COLOUR: }
        pre_stop: [{command: drain, environment: [A=c]}]
        """,
        {"COLOUR": "re$d"},
    )
    assert web.further.post_start == (
        Hook(command=("./prepare.sh", "--all"), user="root"),
        Hook(
            command=("sh", "-c", "echo $$HOME ${SKERRY_SITE}"),
            working_dir="/srv",
            environment={"A": "b", "COLOUR": "re$$d"},
        ),
    )
    assert web.further.pre_stop == (Hook(command=("drain",), environment={"A": "c"}),)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("post_start: [{user: root}]", "E-TYPE post_start/0/command"),
        ("post_start: [{command: ''}]", "E-TYPE post_start/0/command"),
        ("pre_stop: [{command: x, user: 'a b'}]", "E-TYPE pre_stop/0/user"),
        ('pre_stop: [{command: "a \'b"}]', "E-TYPE pre_stop/0/command"),
        ("post_start: [{command: x, privileged: true}]", "E-FIELD-REFUSED post_start/0/privileged"),
        ("post_start: [" + ", ".join(["{command: x}"] * 17) + "]", "E-LIMIT post_start/16"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields)[0].startswith(found.rpartition("/command")[0] or found)
    assert len(refuse(fields)) == 1


def test_a_profile_grants_that_a_command_is_privileged():
    granting = Profile(tenants=(TenantName("default"),), privileged=True)
    fields = "post_start: [{command: x, privileged: true}]"
    top = "x-skerry: {profile: own}"
    assert service(fields, top=top, grants={"own": (granting,)}).further.post_start[0].privileged
    plain = Profile(tenants=(TenantName("default"),))
    assert refuse(fields, top=top, grants={"own": (plain,)}) == ["E-FIELD-REFUSED post_start/0/privileged"]
