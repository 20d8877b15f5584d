-- Every write compares the newest lead with the same email in its own transaction, and there is one writer; the index only said
-- so once more, at the price of a page in most commits.
DROP INDEX leads_one_open;
