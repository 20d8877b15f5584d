-- The authenticators of operators. The secret is sealed; it counts once a code of it was given, in the session that began it and soon.
-- Codes up to `last_step` are used.
CREATE TABLE factors (
    operator    BLOB PRIMARY KEY,
    secret      BLOB NOT NULL,
    begun_in    BLOB NOT NULL,
    begun_at    INTEGER NOT NULL,
    is_active   INTEGER NOT NULL,
    last_step   INTEGER NOT NULL
) WITHOUT ROWID;

-- Hashes of the codes that stand in for a lost authenticator; each goes with its use.
CREATE TABLE recovery_codes (
    operator  BLOB NOT NULL,
    hash      BLOB NOT NULL,
    PRIMARY KEY (operator, hash)
) WITHOUT ROWID;
