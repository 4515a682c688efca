-- Tasks that were revoked, for every worker on this file to hear of.
CREATE TABLE revocations (
    -- Grows with every order, so that a reader knows how far it has read.
    place       INTEGER PRIMARY KEY AUTOINCREMENT,
    stamp       TEXT NOT NULL,      -- the name of a stamp; empty for a task id
    value       TEXT NOT NULL,      -- the task id, or the value of the stamp as JSON
    terminate   INTEGER NOT NULL,   -- whether running tasks are ended, too
    expires_at  INTEGER NOT NULL,   -- milliseconds since 1970
    UNIQUE (stamp, value)
) STRICT;
