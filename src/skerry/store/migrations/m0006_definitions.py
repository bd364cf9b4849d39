"""Schema 6: areas and groups of users. Frozen: a store with this number exists somewhere."""

from skerry.store.migrations.step import Step

STEP = Step(
    up="""
CREATE TABLE definitions (
    tenant VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    removed BOOLEAN NOT NULL,
    recorded_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, name)
);
""",
    down="DROP TABLE definitions;",
)
