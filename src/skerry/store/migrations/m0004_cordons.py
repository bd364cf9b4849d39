"""Schema 4: sites that operators keep new instances away from. Frozen: a store with this number exists somewhere."""

from skerry.store.migrations.step import Step

STEP = Step(
    up="""
CREATE TABLE cordons (
    site VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    since_us INTEGER NOT NULL,
    PRIMARY KEY (site)
);
""",
    down="DROP TABLE cordons;",
)
