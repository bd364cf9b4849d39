from sqlalchemy import Connection
from tests.store.stores import fresh_db

from skerry.model.ids import TenantName, TokenId
from skerry.store import access, users
from skerry.store.access import TokenRow
from skerry.store.scope import Scope
from skerry.store.users import UserRow

MINE, NOBODYS = TenantName("mine"), TenantName("")


def _user(tenant: TenantName, name: str) -> UserRow:
    return UserRow(tenant=tenant, name=name, tenant_role="deployer", operator_role="", created_us=1)


def _token(connection: Connection, name: str, tenant: TenantName, *, expires_us: int = 0) -> None:
    row = TokenRow(
        token_id=TokenId(name),
        tenant=tenant,
        name=name,
        tenant_role="deployer",
        operator_role="",
        secret_hash=b"",
        created_us=1,
        expires_us=expires_us,
    )
    access.record_token(connection, row)


async def test_a_person_goes_with_all_their_tokens_and_nobody_elses() -> None:
    db = fresh_db()
    scope = Scope(tenant=MINE)

    def job(connection: Connection) -> None:
        for tenant, name in ((MINE, "ada"), (MINE, "bob"), (NOBODYS, "ada")):
            users.record_user(connection, _user(tenant, name))
        for token, tenant, owner in (
            ("a1", MINE, "ada"),
            ("a2", MINE, "ada"),
            ("b", MINE, "bob"),
            ("o", NOBODYS, "ada"),
        ):
            _token(connection, token, tenant, expires_us=5 if token == "a2" else 0)
            users.give_token(connection, TokenId(token), tenant, owner)
        _token(connection, "ci", MINE)

    await db.run(job)
    assert await db.read(lambda connection: users.find_holder(connection, "a1")) == "ada"
    assert await db.read(lambda connection: users.find_holder(connection, "ci")) == ""
    assert await db.read(lambda connection: users.count_tokens(connection, scope, 9)) == {
        (MINE, "ada"): 1,
        (MINE, "bob"): 1,
    }
    names = await db.read(lambda connection: users.list_users(connection, scope, ("", ""), 9))
    assert [(row.tenant, row.name) for row in names] == [(MINE, "ada"), (MINE, "bob")]
    both = Scope(tenant=MINE, platform=True)
    found = await db.read(lambda connection: users.find_user(connection, both, "ada"))
    assert found is not None
    assert found.tenant == MINE
    assert await db.run(lambda connection: users.remove_user(connection, _user(MINE, "ada"))) == 2
    tokens = await db.read(lambda connection: access.list_tokens(connection, both, "", 9))
    assert {row.token_id: row.revoked for row in tokens} == {
        "a1": True,
        "a2": True,
        "b": False,
        "ci": False,
        "o": False,
    }
    holders = await db.read(lambda connection: users.read_holders(connection, scope))
    assert holders == {"a1": "ada", "a2": "ada", "b": "bob"}, "who held a token is not forgotten"
