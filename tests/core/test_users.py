"""People: what they may do, whose tokens are whose, and that all of it ends at once."""

import msgspec
import pytest
from tests.core.cores import Rig

from skerry.core.auth import Caller
from skerry.core.refusals import Clash, Unproven
from skerry.model.asks import AuditQuery, CreateToken, CreateUser, PageQuery
from skerry.model.errors import Invalid, NotAllowed, NotFound
from skerry.operations import OPERATIONS, TENANT_ROLES, find_operation, is_allowed

PAGE = PageQuery()


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def test_a_person_has_a_first_token_and_the_audit_chain_names_both(rig):
    made = await rig.service.create_user(rig.admin, body=CreateUser(name="ada", tenant_role="admin", lifetime_s=60))
    assert (made.user.name, made.user.tenant, made.user.tokens) == ("ada", "default", 1)
    assert (made.first.view.user, made.first.view.tenant_role) == ("ada", "admin")
    assert made.first.view.expires_us - made.first.view.created_us == 60_000_000
    ada = await rig.service.authenticate(made.first.token)
    assert (await rig.service.show_session(ada)).user == "ada"
    await rig.service.create_token(ada, body=CreateToken(name="laptop", user="ada"))
    audited = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items
    assert audited[-1].actor == f"ada (token {made.first.view.token_id})"
    assert audited[-2].actor == "token default-admin", "a token of no person is named by its id"
    detail = await rig.service.show_user(rig.admin, user="ada")
    assert sorted(token.name for token in detail.tokens) == ["ada", "laptop"]
    assert detail.summary.tokens == 2
    shown = {token.token_id: token.user for token in (await rig.service.list_tokens(rig.admin, query=PAGE)).items}
    assert shown[made.first.view.token_id] == "ada"
    assert (await rig.service.show_token(rig.admin, token=made.first.view.token_id)).user == "ada"


async def test_removing_a_person_ends_every_token_of_theirs_and_nobody_elses(rig):
    made = await rig.service.create_user(rig.admin, body=CreateUser(name="ada", tenant_role="deployer"))
    second = await rig.service.create_token(rig.admin, body=CreateToken(name="phone", user="ada"))
    other = await rig.service.create_user(rig.admin, body=CreateUser(name="bob"))
    ada = await rig.service.authenticate(made.first.token)
    removed = await rig.service.remove_user(rig.admin, user="ada")
    assert (removed.name, removed.ended) == ("ada", 2)
    for token in (made.first.token, second.token):
        with pytest.raises(Unproven):
            await rig.service.authenticate(token)
    with pytest.raises(Unproven):
        await rig.service.recheck(ada)
    await rig.service.authenticate(other.first.token)
    for gone in (rig.service.show_user, rig.service.remove_user):
        with pytest.raises(NotFound):
            await gone(rig.admin, user="ada")
    again = await rig.service.create_user(rig.admin, body=CreateUser(name="ada"))
    await rig.service.authenticate(again.first.token)
    with pytest.raises(Unproven):
        await rig.service.authenticate(second.token)


async def test_roles_never_grow_beyond_the_asker_nor_tokens_beyond_the_person(rig):
    with pytest.raises(NotAllowed):
        await rig.service.create_user(rig.admin, body=CreateUser(name="eve", operator_role="operator"))
    with pytest.raises(Invalid):
        await rig.service.create_user(rig.admin, body=CreateUser(name="eve", tenant_role=""))
    await rig.service.create_user(rig.admin, body=CreateUser(name="ada", tenant_role="viewer"))
    with pytest.raises(Invalid) as more:
        await rig.service.create_token(rig.admin, body=CreateToken(name="t", tenant_role="deployer", user="ada"))
    assert more.value.code == "E-ROLE"
    with pytest.raises(NotFound):
        await rig.service.create_token(rig.admin, body=CreateToken(name="t", user="nobody"))
    with pytest.raises(Clash):
        await rig.service.create_user(rig.admin, body=CreateUser(name="ada"))


async def test_each_tenant_and_the_operator_have_people_of_their_own(rig):
    other = rig.caller("other")
    for caller in (rig.admin, other):
        await rig.service.create_user(caller, body=CreateUser(name="ada"))
    await rig.service.create_user(rig.operator, body=CreateUser(name="ada", tenant_role="", operator_role="viewer"))
    both = Caller(**(msgspec.structs.asdict(rig.admin) | {"operator_role": "operator"}))
    people = (await rig.service.list_users(both, query=PageQuery(page_size=1)),)
    people += (await rig.service.list_users(both, query=PageQuery(page_token=people[0].next_page_token)),)
    assert [(user.name, user.tenant) for page in people for user in page.items] == [("ada", ""), ("ada", "default")]
    assert (await rig.service.remove_user(both, user="ada")).ended == 1
    assert [user.tenant for user in (await rig.service.list_users(other, query=PAGE)).items] == ["other"]
    with pytest.raises(NotFound):
        await rig.service.show_user(rig.admin, user="ada")
    with pytest.raises(NotFound):
        await rig.service.show_token(rig.admin, token="aaaaaaaaaa")


@pytest.mark.parametrize("name", ["list_users", "show_user", "create_user", "remove_user", "show_token"])
@pytest.mark.parametrize(
    ("tenant", "operator", "may"),
    [
        ("viewer", "", False),
        ("deployer", "", False),
        ("admin", "", True),
        ("", "viewer", False),
        ("", "operator", True),
    ],
)
def test_people_are_the_business_of_administrators(name, tenant, operator, may):
    assert is_allowed(find_operation(name), tenant, operator) == may


async def test_roles_are_listed_with_all_that_they_may_do_and_no_more(rig):
    roles = {(role.of, role.role): role for role in await rig.service.list_roles(rig.caller("default", "viewer"))}
    assert sorted(roles) == [
        ("operator", "operator"),
        ("operator", "viewer"),
        ("tenant", "admin"),
        ("tenant", "deployer"),
        ("tenant", "viewer"),
    ]
    assert set(roles["tenant", "deployer"].permissions) == TENANT_ROLES["deployer"]
    for (of, name), role in roles.items():
        names = (name, "") if of == "tenant" else ("", name)
        allowed = {each.name for each in OPERATIONS if each.built and is_allowed(each, *names)}
        assert set(role.operations) == allowed
    assert "remove_user" not in roles["tenant", "deployer"].operations
