-- The embedded bus: what processes of one machine say to each other. A row is
-- gone after a minute.
CREATE TABLE broadcasts (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: listeners count on it
    exchange TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    message  TEXT    NOT NULL,                   -- JSON, kombu's envelope
    at       INTEGER NOT NULL
) STRICT;
-- Who listens to events; without anybody none is written.
CREATE TABLE monitors (
    name  TEXT    NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;
