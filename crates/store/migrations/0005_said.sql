-- What was said, by its trigrams, so that words are found in all of it at once. Rows have the `seq` of
-- their entries. The text itself is not stored again, nor where in it a trigram stands: a look at the
-- entry tells. Entries up to `said_through` are in it; later ones are taken in when there is time, so
-- that no turn waits for the index.
CREATE VIRTUAL TABLE said USING fts5(
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram');
INSERT INTO meta (name, value) VALUES ('said_through', 0);
