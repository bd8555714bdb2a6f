-- Which rows name an object: those of entries are found by an index, so that looking for objects that
-- no row names reads few pages however long the transcripts are.
CREATE INDEX entries_objects ON entries (seq) WHERE instr(body, '"object":"') > 0;
