"""Schema 7: the address from which a site's link comes. Frozen: a store with this number exists somewhere."""

from skerry.store.migrations.step import Step

STEP = Step(
    up="ALTER TABLE site_state ADD COLUMN seen_from VARCHAR DEFAULT '' NOT NULL;",
    down="ALTER TABLE site_state DROP COLUMN seen_from;",
)
