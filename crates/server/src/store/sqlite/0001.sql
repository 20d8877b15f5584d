-- Ids are 16-byte UUIDv7 blobs, moments unix milliseconds. `seq` is the commit order: lists and cursors follow it.

CREATE TABLE workspaces (
    id          BLOB PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    settings    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE endpoints (
    token_hash  BLOB PRIMARY KEY,
    id          BLOB NOT NULL,
    workspace   BLOB NOT NULL,
    token       BLOB NOT NULL,
    created_at  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE secrets (
    id          BLOB PRIMARY KEY,
    workspace   BLOB NOT NULL,
    direction   TEXT NOT NULL,
    secret      BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER
) WITHOUT ROWID;

CREATE TABLE operators (
    id             BLOB PRIMARY KEY,
    workspace      BLOB NOT NULL,
    email          TEXT NOT NULL,
    password_hash  TEXT NOT NULL,
    role           TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    UNIQUE (workspace, email)
) WITHOUT ROWID;

CREATE TABLE tokens (
    token_hash  BLOB PRIMARY KEY,
    id          BLOB NOT NULL,
    workspace   BLOB NOT NULL,
    operator    BLOB NOT NULL,
    role        TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    workspace   BLOB NOT NULL,
    at          INTEGER NOT NULL,
    operator    BLOB NOT NULL,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL
);
CREATE INDEX audit_newest ON audit (workspace, seq);

CREATE TABLE leads (
    seq             INTEGER PRIMARY KEY,
    id              BLOB NOT NULL UNIQUE,
    workspace       BLOB NOT NULL,
    version         INTEGER NOT NULL,
    state           INTEGER NOT NULL,
    email_identity  TEXT NOT NULL,
    email           TEXT NOT NULL,
    name            TEXT NOT NULL,
    company         TEXT,
    message         TEXT,
    source          TEXT,
    submitted_at    TEXT,
    fields          TEXT NOT NULL,
    previous        BLOB,
    scored          TEXT,
    decision        TEXT,
    received_at     INTEGER NOT NULL,
    scored_at       INTEGER,
    decided_at      INTEGER
);
CREATE INDEX leads_by_email ON leads (workspace, email_identity, seq);
-- At most one open lead (received 0, in review 1) for an email.
CREATE UNIQUE INDEX leads_one_open ON leads (workspace, email_identity) WHERE state IN (0, 1);
CREATE INDEX leads_open ON leads (workspace, state, seq) WHERE state IN (0, 1);

CREATE TABLE submissions (
    seq       INTEGER PRIMARY KEY,
    id        BLOB NOT NULL,
    lead      BLOB NOT NULL,
    endpoint  BLOB NOT NULL,
    at        INTEGER NOT NULL,
    body      BLOB NOT NULL,
    digest    BLOB NOT NULL
);
CREATE INDEX submissions_of_lead ON submissions (lead, seq);

-- The key is a digest of endpoint and body, so a body is unique at its endpoint.
CREATE TABLE bodies (
    digest  BLOB PRIMARY KEY,
    lead    BLOB NOT NULL,
    at      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    workspace  BLOB NOT NULL,
    key        TEXT NOT NULL,
    digest     BLOB NOT NULL,
    lead       BLOB NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (workspace, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

CREATE TABLE inbound_log (
    seq         INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    workspace   BLOB NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    reason      TEXT,
    remote      TEXT NOT NULL,
    body_bytes  INTEGER NOT NULL,
    lead        BLOB
);
CREATE INDEX inbound_log_rejected ON inbound_log (workspace, seq) WHERE status = 2;

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    workspace  BLOB NOT NULL,
    lead       BLOB NOT NULL,
    type       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    body       BLOB NOT NULL,
    UNIQUE (lead, type)
);

CREATE TABLE destinations (
    id               BLOB PRIMARY KEY,
    workspace        BLOB NOT NULL,
    url              TEXT NOT NULL,
    event_types      TEXT NOT NULL,
    enabled          INTEGER NOT NULL,
    disabled_reason  TEXT,
    created_at       INTEGER NOT NULL,
    failing_since    INTEGER
) WITHOUT ROWID;

CREATE TABLE deliveries (
    seq              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE,
    workspace        BLOB NOT NULL,
    event            INTEGER NOT NULL,
    destination      BLOB NOT NULL,
    state            INTEGER NOT NULL,
    next_attempt_at  INTEGER,
    attempts         INTEGER NOT NULL,
    step             INTEGER NOT NULL,
    created_at       INTEGER NOT NULL
);
CREATE INDEX deliveries_of_event ON deliveries (event);
CREATE INDEX deliveries_due ON deliveries (destination, next_attempt_at) WHERE state = 0;
CREATE INDEX deliveries_dead ON deliveries (workspace, seq) WHERE state = 2;

CREATE TABLE attempts (
    delivery       INTEGER NOT NULL,
    number         INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    status         INTEGER,
    duration_ms    INTEGER NOT NULL,
    error          TEXT,
    response_head  TEXT,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;

-- How far upkeep has gone through tables that it walks in commit order.
CREATE TABLE upkeep (
    task  TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL
) WITHOUT ROWID;
