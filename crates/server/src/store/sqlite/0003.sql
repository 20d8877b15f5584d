-- A secret counts from `active_from` on. Uses are counted while it is being replaced.
ALTER TABLE secrets ADD COLUMN active_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE secrets ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE secrets ADD COLUMN last_used_at INTEGER;
UPDATE secrets SET active_from = created_at;

ALTER TABLE tokens ADD COLUMN name TEXT NOT NULL DEFAULT 'first';
ALTER TABLE tokens ADD COLUMN last_used_at INTEGER;

CREATE TABLE invitations (
    operator    BLOB PRIMARY KEY,
    token_hash  BLOB NOT NULL UNIQUE,
    expires_at  INTEGER NOT NULL
) WITHOUT ROWID;

ALTER TABLE destinations ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;

-- Why a delivery is cancelled or superseded; on a pending one, what it becomes unless the attempt that is under way succeeds.
ALTER TABLE deliveries ADD COLUMN state_reason TEXT;

CREATE TABLE operational_log (
    seq          INTEGER PRIMARY KEY,
    id           BLOB NOT NULL,
    workspace    BLOB NOT NULL,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    destination  BLOB NOT NULL,
    message      TEXT NOT NULL
);
CREATE INDEX operational_log_newest ON operational_log (workspace, seq);
