-- Workers that follow a control plane over HTTP.

-- Names this installation to those who follow it: numbers of another mean nothing here.
ALTER TABLE registry ADD COLUMN installation TEXT NOT NULL DEFAULT '';
UPDATE registry SET installation = lower(hex(randomblob(16)));

-- How far this file is the replica of a control plane. Without rows it is nobody's.
CREATE TABLE replica (
    part          TEXT PRIMARY KEY CHECK (part IN ('modules', 'kills', 'tenants')),
    server        TEXT NOT NULL,       -- the address it was read from
    installation  TEXT NOT NULL,       -- whose it is
    number        INTEGER NOT NULL,    -- how far, as counted there; 0: not all of it is here
    own           INTEGER NOT NULL,    -- what that was written as here
    body          TEXT                 -- JSON: the tenants
) STRICT, WITHOUT ROWID;
