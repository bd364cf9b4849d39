"""Tokens, tenants, the first visitor, the root document and the audit chain."""

import base64

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.clock import SeededMint
from skerry.core.auth import ANYBODY, hash_secret, make_token, split_token
from skerry.core.delivery import Delivery
from skerry.core.refusals import Clash, Unproven
from skerry.model.asks import AuditQuery, CreateTenant, CreateToken, PageQuery, RootQuery
from skerry.model.errors import Invalid, NotAllowed, NotFound, Refused, Unavailable
from skerry.model.signed import PublicKey, RoleKeys
from skerry.trust.chain import chain_hash


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


def _tenant(name: str = "third", **words):
    keys = RoleKeys(keys=(key(f"deploy {name}").public,))
    return CreateTenant(**({"tenant": name, "deploy_keys": keys} | words))


def test_a_token_splits_into_an_id_and_a_hash_of_256_random_bits():
    text, identity, hashed = make_token(SeededMint("t"))
    assert split_token(text) == (identity, hashed)
    secret = text.split("_")[2]
    assert len(base64.b32decode(secret.upper() + "====")) == 32
    assert hashed == hash_secret(secret)
    for wrong in (text + "a", text[:-1], text.upper(), "skt_" + secret, ""):
        assert split_token(wrong) is None


async def test_a_token_stands_for_its_roles_and_a_wrong_secret_for_nobody(rig):
    made = await rig.service.create_token(rig.admin, body=CreateToken(name="ci", tenant_role="deployer"))
    caller = await rig.service.authenticate(made.token)
    assert (caller.tenant, caller.tenant_role, caller.operator_role) == ("default", "deployer", "")
    assert await rig.service.authenticate("") is ANYBODY
    last = "a" if made.token[-1] != "a" else "b"
    for wrong in (made.token[:-1] + last, "skt_" + "a" * 10 + "_" + "a" * 52, "garbage"):
        with pytest.raises(Unproven):
            await rig.service.authenticate(wrong)


async def test_the_secret_of_a_token_is_nowhere_in_the_store(rig):
    made = await rig.service.create_token(rig.admin, body=CreateToken(name="ci"))
    secret = made.token.split("_")[2]
    rows = await rig.core.db.read(lambda c: [str(row) for row in c.exec_driver_sql("SELECT * FROM tokens")])
    rows += await rig.core.db.read(lambda c: [str(row) for row in c.exec_driver_sql("SELECT * FROM audit")])
    assert rows
    assert not any(secret in row for row in rows)


async def test_a_tenant_sees_and_ends_its_own_tokens_only(rig):
    made = await rig.service.create_token(rig.admin, body=CreateToken(name="ci"))
    other = rig.caller("other")
    with pytest.raises(NotFound):
        await rig.service.revoke_token(other, token=made.view.token_id)
    names = [view.name for view in (await rig.service.list_tokens(other, query=PageQuery())).items]
    assert "ci" not in names
    await rig.service.revoke_token(rig.admin, token=made.view.token_id)
    with pytest.raises(Unproven):
        await rig.service.authenticate(made.token)


async def test_a_token_without_any_role_is_refused(rig):
    with pytest.raises(Invalid):
        await rig.service.create_token(rig.admin, body=CreateToken(name="x", tenant_role=""))
    with pytest.raises(NotAllowed):
        await rig.service.create_token(rig.admin, body=CreateToken(name="x", operator_role="operator"))


async def test_listings_turn_pages(rig):
    for number in range(5):
        await rig.service.create_token(rig.admin, body=CreateToken(name=f"t{number}"))
    seen, token = [], ""
    while True:
        page = await rig.service.list_tokens(rig.admin, query=PageQuery(page_size=2, page_token=token))
        seen += [view.token_id for view in page.items]
        token = page.next_page_token
        if not token:
            break
        assert len(page.items) == 2
    assert len(seen) == len(set(seen)) == 6
    assert seen == sorted(seen)


# --- tenants ---------------------------------------------------------------------------------------------------------


async def test_a_tenants_first_token_may_be_made_again_until_somebody_used_it(rig):
    first = await rig.service.create_tenant(rig.operator, body=_tenant())
    second = await rig.service.create_tenant(rig.operator, body=_tenant())
    with pytest.raises(Unproven):
        await rig.service.authenticate(first.first.token)
    caller = await rig.service.authenticate(second.first.token)
    assert (caller.tenant, caller.tenant_role, caller.operator_role) == ("third", "admin", "")
    with pytest.raises(Clash):
        await rig.service.create_tenant(rig.operator, body=_tenant())


async def test_another_tenant_of_that_name_is_refused(rig):
    with pytest.raises(Clash):
        await rig.service.create_tenant(
            rig.operator, body=_tenant("default", deploy_keys=RoleKeys(keys=(key("thief").public,)))
        )


@pytest.mark.parametrize(
    "keys",
    [
        RoleKeys(keys=()),
        RoleKeys(keys=(key("a").public, key("a").public)),
        RoleKeys(keys=(key("a").public,), threshold=2),
        RoleKeys(keys=(key("a").public,), threshold=0),
        RoleKeys(keys=(PublicKey(type="x25519", key=b"k" * 32),)),
        RoleKeys(keys=(PublicKey(type="ed25519", key=b"k" * 31),)),
    ],
)
async def test_deploy_keys_that_make_no_sense_are_refused(rig, keys):
    with pytest.raises(Invalid):
        await rig.service.create_tenant(rig.operator, body=_tenant(deploy_keys=keys))


# --- the first visitor -----------------------------------------------------------------------------------------------


async def test_the_first_visitors_token_lives_until_an_operator_has_one_of_their_own(rig):
    old = await rig.service.make_bootstrap()
    token = await rig.service.make_bootstrap()
    with pytest.raises(Unproven):
        await rig.service.authenticate(old)
    visitor = await rig.service.authenticate(token)
    assert (visitor.operator_role, visitor.tenant) == ("operator", None)
    made = await rig.service.create_tenant(visitor, body=_tenant(with_operator_role=True))
    assert (await rig.service.authenticate(token)).bootstrap, "the answer may have been lost"
    person = await rig.service.authenticate(made.first.token)
    assert (person.tenant_role, person.operator_role) == ("admin", "operator")
    with pytest.raises(Unproven):
        await rig.service.authenticate(token)
    assert await rig.service.make_bootstrap() is None


# --- the root --------------------------------------------------------------------------------------------------------


async def test_the_root_document_is_taken_once_and_may_be_sent_again():
    rig = Rig()
    body = sign("root", rig.root(), key("root"))
    for _ in range(2):
        assert (await rig.service.put_root(rig.operator, body=body)).number == 1
    other = sign("root", msgspec.structs.replace(rig.root(), endpoints=("evil:1",)), key("root"))
    with pytest.raises(Clash):
        await rig.service.put_root(rig.operator, body=other)
    assert await rig.service.read_roots(ANYBODY, query=RootQuery()) == (body,)
    assert await rig.service.read_roots(ANYBODY, query=RootQuery(after=1)) == ()
    await rig.close()


async def test_a_root_that_is_not_for_this_core_is_refused():
    rig = Rig()
    root = rig.root()
    stranger = RoleKeys(keys=(key("other core").public,))
    for made, by, error in (
        (msgspec.structs.replace(root, delivery=stranger), key("root"), Invalid),
        (msgspec.structs.replace(root, delivery_ca=b"other"), key("root"), Invalid),
        (root, key("thief"), Invalid),
        (msgspec.structs.replace(root, number=2), key("root"), Refused),
    ):
        with pytest.raises(error):
            await rig.service.put_root(rig.operator, body=sign("root", made, by))
    with pytest.raises(Clash) as refused:
        await rig.add_site("oslo")
    assert refused.value.code == "E-NO-ROOT"
    await rig.close()


async def test_a_core_with_another_delivery_key_than_the_root_names_does_not_start(rig):
    rig.core.delivery = Delivery(b"x" * 32)
    with pytest.raises(Unavailable) as refused:
        await rig.core.load()
    assert refused.value.code == "E-KEY-DAMAGED"


# --- audit -----------------------------------------------------------------------------------------------------------


async def test_every_change_is_in_its_chain_and_the_chain_holds(rig):
    await rig.add_site("oslo")
    await rig.apply("shop", 1)
    await rig.service.pause_app(rig.admin, app="shop")
    await rig.service.create_token(rig.admin, body=CreateToken(name="x"))
    page = await rig.service.list_audit(rig.admin, query=AuditQuery())
    operations = [entry.operation for entry in page.items]
    assert operations[-3:] == ["apply_app", "pause_app", "create_token"]
    previous = bytes(32)
    for entry in page.items:
        assert entry.previous == previous
        assert entry.hash == chain_hash(previous, entry.payload)
        previous = entry.hash
    operators = await rig.service.list_audit(rig.operator, query=AuditQuery())
    assert {entry.operation for entry in operators.items} == {"put_root", "create_tenant", "put_site"}
    with pytest.raises(NotAllowed):
        await rig.service.list_audit(rig.admin, query=AuditQuery(chain="operator"))
    with pytest.raises(NotAllowed):
        await rig.service.list_audit(rig.operator, query=AuditQuery(chain="tenant"))


async def test_an_audit_record_and_what_it_records_are_there_together_or_not_at_all(rig):
    trigger = "CREATE TEMP TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END"
    await rig.core.db.run(lambda c: c.exec_driver_sql(trigger) and None)
    with pytest.raises(Exception, match="no room"):
        await rig.service.create_token(rig.admin, body=CreateToken(name="lost"))
    await rig.core.db.run(lambda c: c.exec_driver_sql("DROP TRIGGER full") and None)
    names = [view.name for view in (await rig.service.list_tokens(rig.admin, query=PageQuery())).items]
    assert "lost" not in names
