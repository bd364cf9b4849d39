"""Schema 5: people who hold tokens, images wanted at sites ahead of need, and nodes that are kept free.

Frozen: a store with this number exists somewhere. Whose a token is stands beside the tokens: their table stays.
"""

from skerry.store.migrations.step import Step

STEP = Step(
    up="""
CREATE TABLE node_cordons (
    site VARCHAR NOT NULL,
    node VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    since_us INTEGER NOT NULL,
    PRIMARY KEY (site, node)
);
CREATE TABLE seeds (
    tenant VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    sites BLOB NOT NULL,
    since_us INTEGER NOT NULL,
    ends_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
);
CREATE TABLE token_users (
    token_id VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    PRIMARY KEY (token_id)
);
CREATE INDEX token_users_by_name ON token_users (tenant, name);
CREATE TABLE users (
    tenant VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    tenant_role VARCHAR NOT NULL,
    operator_role VARCHAR NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
);
""",
    down="""
DROP TABLE users;
DROP TABLE token_users;
DROP TABLE seeds;
DROP TABLE node_cordons;
""",
)
