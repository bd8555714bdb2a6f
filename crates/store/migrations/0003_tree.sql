-- Transcripts are trees: what hangs under an entry, or, for a root, in a session. Entries are stored
-- in the order of their ids, so that new ones touch the last page alone.
CREATE INDEX entries_under ON entries (coalesce(parent, session));
