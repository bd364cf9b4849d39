"""Schema 2: how far rollouts in waves have come. Frozen: a store with this number exists somewhere."""

from skerry.store.migrations.step import Step

STEP = Step(
    up="""
CREATE TABLE rollouts (
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, app)
);
""",
    down="DROP TABLE rollouts;",
)
