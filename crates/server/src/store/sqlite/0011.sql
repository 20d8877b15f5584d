-- The event's delivery to one destination, among a hundred.
DROP INDEX deliveries_of_event;
CREATE INDEX deliveries_of_event ON deliveries (event, destination);
