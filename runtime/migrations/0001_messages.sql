-- The embedded broker: messages that wait or run, and dead letters.

-- The next message id. Ids grow and are never used twice, so that an old
-- receipt cannot meet a new message.
CREATE TABLE message_ids (next INTEGER NOT NULL) STRICT;
INSERT INTO message_ids VALUES (1);

-- What changes while a message lives, small on purpose: taking a message must
-- not rewrite its body.
CREATE TABLE messages (
    id         INTEGER PRIMARY KEY,
    queue      TEXT    NOT NULL,
    state      INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)), -- ready, parked, leased, dead
    priority   INTEGER NOT NULL,            -- 0 to 9, 9 first
    due        INTEGER NOT NULL,            -- parked until, leased until; else 0
    lease      INTEGER NOT NULL DEFAULT 0,  -- grows with every take and settlement
    deliveries INTEGER NOT NULL DEFAULT 0,
    ready_at   INTEGER NOT NULL,            -- published at or, if delayed, due
    bytes      INTEGER NOT NULL,            -- of envelope and body
    key        TEXT                         -- of a message that is not dead
) STRICT;
CREATE INDEX messages_ready ON messages (queue, priority DESC, id) WHERE state = 0;
CREATE INDEX messages_waiting ON messages (queue, state, due) WHERE state IN (1, 2);
CREATE UNIQUE INDEX messages_key ON messages (key) WHERE key IS NOT NULL;

-- What never changes. It goes with its message, dead or alive.
CREATE TABLE payloads (
    id       INTEGER PRIMARY KEY,
    envelope TEXT    NOT NULL,              -- JSON: types, headers, properties
    body     BLOB    NOT NULL
) STRICT;
CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    DELETE FROM payloads WHERE id = old.id;
END;

CREATE TABLE dead_letters (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL UNIQUE,
    queue   TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    died_at INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_queue ON dead_letters (queue, number);
