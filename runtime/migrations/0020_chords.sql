-- Chords: how many parts each waits for, and those that are over.
CREATE TABLE chords (
    chord      TEXT    NOT NULL UNIQUE,  -- the id of its group
    size       INTEGER,                  -- NULL as long as it is not announced
    structure  TEXT,                     -- JSON
    claim      TEXT,                     -- the part that sends the body
    claimed_until INTEGER,
    done       INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    expires_at INTEGER
) STRICT;
CREATE INDEX chords_expiry ON chords (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE chord_parts (
    chord TEXT    NOT NULL,
    name  TEXT    NOT NULL,              -- the task and its place
    place INTEGER,                       -- NULL comes last
    id    TEXT    NOT NULL,
    state TEXT    NOT NULL,
    value TEXT    NOT NULL,              -- JSON: the result or the exception
    UNIQUE (chord, name)
) STRICT;
