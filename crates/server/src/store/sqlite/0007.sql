-- Every write of a lead compares the newest one with the same email in its own transaction, and writes no other while that is open;
-- there is one writer. The index said so once more, at the price of a page in most commits.
DROP INDEX leads_one_open;
