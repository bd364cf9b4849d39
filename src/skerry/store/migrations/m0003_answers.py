"""Schema 3: answers to changes that carried an ``Idempotency-Key``. Frozen: a store with this number exists already."""

from skerry.store.migrations.step import Step

STEP = Step(
    up="""
CREATE TABLE answers (
    tenant VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    request VARCHAR NOT NULL,
    answer BLOB NOT NULL,
    recorded_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE INDEX answers_by_time ON answers (recorded_us);
""",
    down="DROP TABLE answers;",
)
