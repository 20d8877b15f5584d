-- Wrong codes in a row, over any number of days.
ALTER TABLE factors ADD COLUMN wrong_codes INTEGER NOT NULL DEFAULT 0;
