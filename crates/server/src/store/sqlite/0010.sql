-- What a change made of what: [{"field", "before", "after"}]. Null where it has no such words, and for rows from before.
ALTER TABLE audit ADD COLUMN changes TEXT;
