"""Schema 1: everything the spine needs. Frozen: a file with this number exists somewhere."""

from skerry.store.migrations.step import Step

_STATEMENTS = """
CREATE TABLE apps (
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    known_number INTEGER NOT NULL,
    evidence_number INTEGER NOT NULL,
    revision_number INTEGER NOT NULL,
    revision_digest VARCHAR NOT NULL,
    tombstone_digest VARCHAR NOT NULL,
    held BOOLEAN NOT NULL,
    changed_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, app)
);
CREATE TABLE audit (
    chain VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE TABLE blobs (
    tenant VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
);
CREATE TABLE counters (
    name VARCHAR NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE documents (
    site VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    head BLOB NOT NULL,
    digests BLOB NOT NULL,
    objects BLOB NOT NULL,
    PRIMARY KEY (site, epoch, generation)
);
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    site VARCHAR NOT NULL,
    sequence INTEGER NOT NULL,
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    time_us INTEGER NOT NULL,
    type VARCHAR NOT NULL,
    klass VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    cause VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (site, sequence)
);
CREATE INDEX events_by_tenant ON events (tenant, id);
CREATE TABLE facts (
    site VARCHAR NOT NULL,
    "key" VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (site, "key")
);
CREATE INDEX facts_by_app ON facts (tenant, app);
CREATE TABLE image_blobs (
    tenant VARCHAR NOT NULL,
    image VARCHAR NOT NULL,
    blob VARCHAR NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (tenant, image, blob)
);
CREATE INDEX image_blobs_by_blob ON image_blobs (blob);
CREATE TABLE images (
    tenant VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    config VARCHAR NOT NULL,
    size_bytes INTEGER NOT NULL,
    architecture VARCHAR NOT NULL,
    registered_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
);
CREATE TABLE join_requests (
    request VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL,
    site VARCHAR NOT NULL,
    node VARCHAR NOT NULL,
    body BLOB NOT NULL,
    nonce BLOB NOT NULL,
    server_digest BLOB NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    asked_us INTEGER NOT NULL,
    PRIMARY KEY (request)
);
CREATE INDEX join_requests_by_node ON join_requests (site, node);
CREATE TABLE join_tokens (
    token_id VARCHAR NOT NULL,
    site VARCHAR NOT NULL,
    core_key BLOB NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked BOOLEAN NOT NULL,
    device VARCHAR NOT NULL,
    node VARCHAR NOT NULL,
    PRIMARY KEY (token_id)
);
CREATE TABLE link_bytes (
    site VARCHAR NOT NULL,
    purpose VARCHAR NOT NULL,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (site, purpose)
);
CREATE TABLE objects (
    digest VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    envelope BLOB NOT NULL,
    recorded_us INTEGER NOT NULL,
    PRIMARY KEY (digest)
);
CREATE TABLE operations (
    operation VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    cause VARCHAR NOT NULL,
    started_us INTEGER NOT NULL,
    PRIMARY KEY (operation)
);
CREATE INDEX operations_by_tenant ON operations (tenant, operation);
CREATE TABLE plans (
    "plan" VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    number INTEGER NOT NULL,
    payload VARCHAR NOT NULL,
    made_us INTEGER NOT NULL,
    PRIMARY KEY ("plan")
);
CREATE TABLE reports (
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, app)
);
CREATE TABLE restarts (
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    service VARCHAR NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (tenant, app, service)
);
CREATE TABLE revisions (
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    cause VARCHAR NOT NULL,
    recorded_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, app, number)
);
CREATE TABLE roots (
    number INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE secrets (
    tenant VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    removed BOOLEAN NOT NULL,
    recorded_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE TABLE site_state (
    site VARCHAR NOT NULL,
    session_epoch INTEGER NOT NULL,
    link_class VARCHAR NOT NULL,
    agent VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    units_digest VARCHAR NOT NULL,
    wanted_digest VARCHAR NOT NULL,
    held_epoch INTEGER NOT NULL,
    held_generation INTEGER NOT NULL,
    refused_code VARCHAR NOT NULL,
    refused_reason VARCHAR NOT NULL,
    learning BOOLEAN NOT NULL,
    facts_current BOOLEAN NOT NULL,
    facts_digest BLOB NOT NULL,
    event_acknowledged INTEGER NOT NULL,
    events_dropped INTEGER NOT NULL,
    PRIMARY KEY (site)
);
CREATE TABLE site_tenants (
    site VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    PRIMARY KEY (site, tenant)
);
CREATE TABLE sites (
    site VARCHAR NOT NULL,
    enrolment INTEGER NOT NULL,
    number INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    envelope BLOB NOT NULL,
    removed BOOLEAN NOT NULL,
    changed_us INTEGER NOT NULL,
    PRIMARY KEY (site),
    UNIQUE (enrolment)
);
CREATE TABLE tenants (
    tenant VARCHAR NOT NULL,
    deploy_keys BLOB NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (tenant)
);
CREATE TABLE tokens (
    token_id VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    tenant_role VARCHAR NOT NULL,
    operator_role VARCHAR NOT NULL,
    secret_hash BLOB NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked BOOLEAN NOT NULL,
    used BOOLEAN NOT NULL,
    bootstrap BOOLEAN NOT NULL,
    PRIMARY KEY (token_id)
);
CREATE TABLE units (
    site VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (site, unit)
);
CREATE INDEX units_by_app ON units (tenant, app);
"""

#: There is nothing before it to go back to.
STEP = Step(up=_STATEMENTS)
