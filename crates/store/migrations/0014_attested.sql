-- How many statements gates have made about a candidate: one that is taken away is missed.
ALTER TABLE candidates ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
