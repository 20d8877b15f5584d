-- What is known of an email: its leads, each by its number, and for a while the bodies that came with it, each by its digest, which
-- is of endpoint and body, so a body is unique at its endpoint. Where an email's rows lie has nothing to do with when they came:
-- in one table they are one page of a commit, and were two. Numbers come before blobs.
CREATE TABLE known (
    workspace       BLOB NOT NULL,
    email_identity  TEXT NOT NULL,
    entry           NOT NULL,
    -- Null for a lead itself.
    lead            BLOB,
    at              INTEGER,
    PRIMARY KEY (workspace, email_identity, entry)
) WITHOUT ROWID;

INSERT INTO known (workspace, email_identity, entry) SELECT workspace, email_identity, seq FROM leads ORDER BY 1, 2, 3;
INSERT INTO known (workspace, email_identity, entry, lead, at)
    SELECT leads.workspace, leads.email_identity, bodies.digest, bodies.lead, bodies.at
    FROM bodies JOIN leads ON leads.id = bodies.lead ORDER BY 1, 2, 3;
DROP INDEX leads_by_email;
DROP TABLE bodies;
