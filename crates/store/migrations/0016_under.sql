-- Which conversations work for another is asked while a candidate is watched.
CREATE INDEX sessions_under ON sessions (parent) WHERE parent IS NOT NULL;
