-- The conversation that a sub-agent's works for.
ALTER TABLE sessions ADD COLUMN parent TEXT;
