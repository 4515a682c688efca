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
    state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- ready, parked, leased
    priority   INTEGER NOT NULL,            -- 0 to 9, 9 first
    due        INTEGER NOT NULL,            -- parked until, leased until; 0 when ready
    lease      INTEGER NOT NULL DEFAULT 0,  -- grows with every take and give-back
    deliveries INTEGER NOT NULL DEFAULT 0,
    ready_at   INTEGER NOT NULL,            -- published at or, if delayed, due
    bytes      INTEGER NOT NULL,            -- of headers and body
    key        TEXT
) STRICT;
CREATE INDEX messages_ready ON messages (queue, priority DESC, id) WHERE state = 0;
CREATE INDEX messages_waiting ON messages (queue, state, due) WHERE state <> 0;
CREATE UNIQUE INDEX messages_key ON messages (key) WHERE key IS NOT NULL;

-- What never changes. A dead letter keeps its row.
CREATE TABLE payloads (
    id               INTEGER PRIMARY KEY,
    content_type     TEXT    NOT NULL,
    content_encoding TEXT    NOT NULL,
    headers          TEXT    NOT NULL,
    correlation_id   TEXT,
    reply_to         TEXT,
    priority         INTEGER NOT NULL,
    expiration       TEXT,
    body             BLOB    NOT NULL
) STRICT;

CREATE TABLE dead_letters (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL UNIQUE,
    queue   TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    died_at INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_queue ON dead_letters (queue, number);
