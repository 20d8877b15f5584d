-- What a destination can bear: attempts in flight and attempts a second, at most. Null: no bound of its own.
ALTER TABLE destinations ADD COLUMN max_in_flight INTEGER;
ALTER TABLE destinations ADD COLUMN per_second INTEGER;
