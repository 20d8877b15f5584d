-- Sums by the hour since 1970, so that no view of them walks what they sum up. Triggers keep them: whatever writes a lead, an
-- event or a delivery counts it in its own transaction. What the retention deletes stays counted.
CREATE TABLE lead_hours (
    workspace  BLOB NOT NULL,
    hour       INTEGER NOT NULL,
    arrived    INTEGER NOT NULL DEFAULT 0,
    approved   INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, hour)
) WITHOUT ROWID;

-- By the hour in which they were made: what became of them since.
CREATE TABLE delivery_hours (
    workspace    BLOB NOT NULL,
    hour         INTEGER NOT NULL,
    destination  BLOB NOT NULL,
    pending      INTEGER NOT NULL DEFAULT 0,
    delivered    INTEGER NOT NULL DEFAULT 0,
    dead         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, hour, destination)
) WITHOUT ROWID;

INSERT INTO lead_hours (workspace, hour, arrived)
    SELECT workspace, received_at / 3600000, count(*) FROM leads GROUP BY 1, 2;
INSERT INTO lead_hours (workspace, hour, approved, rejected)
    SELECT workspace, at / 3600000, sum(type = 'lead.qualified'), sum(type = 'lead.rejected') FROM events
    WHERE type <> 'lead.review_requested' GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET approved = excluded.approved, rejected = excluded.rejected;
INSERT INTO delivery_hours (workspace, hour, destination, pending, delivered, dead)
    SELECT workspace, created_at / 3600000, destination, sum(state = 0), sum(state = 1), sum(state = 2) FROM deliveries
    GROUP BY 1, 2, 3;

CREATE TRIGGER leads_counted AFTER INSERT ON leads BEGIN
    INSERT INTO lead_hours (workspace, hour, arrived) VALUES (new.workspace, new.received_at / 3600000, 1)
        ON CONFLICT DO UPDATE SET arrived = arrived + 1;
END;
CREATE TRIGGER decisions_counted AFTER INSERT ON events WHEN new.type <> 'lead.review_requested' BEGIN
    INSERT INTO lead_hours (workspace, hour, approved, rejected)
        VALUES (new.workspace, new.at / 3600000, new.type = 'lead.qualified', new.type = 'lead.rejected')
        ON CONFLICT DO UPDATE SET approved = approved + excluded.approved, rejected = rejected + excluded.rejected;
END;
CREATE TRIGGER deliveries_counted AFTER INSERT ON deliveries BEGIN
    INSERT INTO delivery_hours (workspace, hour, destination, pending, delivered, dead)
        VALUES (new.workspace, new.created_at / 3600000, new.destination, new.state = 0, new.state = 1, new.state = 2)
        ON CONFLICT DO UPDATE SET pending = pending + excluded.pending, delivered = delivered + excluded.delivered,
            dead = dead + excluded.dead;
END;
CREATE TRIGGER deliveries_counted_anew AFTER UPDATE OF state ON deliveries WHEN old.state <> new.state BEGIN
    UPDATE delivery_hours SET pending = pending + (new.state = 0) - (old.state = 0),
            delivered = delivered + (new.state = 1) - (old.state = 1), dead = dead + (new.state = 2) - (old.state = 2)
        WHERE workspace = new.workspace AND hour = new.created_at / 3600000 AND destination = new.destination;
END;

-- What waits, in its order: counted, and listed, without a look at what was delivered meanwhile.
CREATE INDEX deliveries_pending ON deliveries (workspace, seq) WHERE state = 0;
