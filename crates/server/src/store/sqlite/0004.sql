-- Sign-ins to the dashboard, found by the hash of the cookie's token.
CREATE TABLE sessions (
    token_hash  BLOB PRIMARY KEY,
    id          BLOB NOT NULL,
    workspace   BLOB NOT NULL,
    operator    BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    remote      TEXT NOT NULL,
    agent       TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_of_operator ON sessions (operator, created_at);
