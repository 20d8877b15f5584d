-- How attempts went on the wire. Null for those from before, and where an attempt did not get so far.
-- What requests of many attempts have in common: the URL, and the sender's name and version.
CREATE TABLE attempt_targets (
    id     INTEGER PRIMARY KEY,
    url    TEXT NOT NULL,
    agent  TEXT NOT NULL,
    UNIQUE (url, agent)
);
ALTER TABLE attempts ADD COLUMN target INTEGER;
-- The timestamp that was signed, in seconds after `at`, and the first four bytes of the signature.
ALTER TABLE attempts ADD COLUMN signed_after INTEGER;
ALTER TABLE attempts ADD COLUMN signed_mark INTEGER;
-- Four or sixteen bytes.
ALTER TABLE attempts ADD COLUMN remote BLOB;
ALTER TABLE attempts ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN resolve_ms INTEGER;
ALTER TABLE attempts ADD COLUMN connect_ms INTEGER;
ALTER TABLE attempts ADD COLUMN tls_ms INTEGER;
ALTER TABLE attempts ADD COLUMN first_byte_ms INTEGER;
ALTER TABLE attempts ADD COLUMN response_headers TEXT;
