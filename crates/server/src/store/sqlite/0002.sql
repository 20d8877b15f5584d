-- What a signature's refusal was put down to: {"code", "message"}. Null for other rows, and for those from before.
ALTER TABLE inbound_log ADD COLUMN finding TEXT;
