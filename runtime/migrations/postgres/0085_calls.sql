-- Calls over HTTP.

-- Idempotency keys of a day: the task that each stands for.
CREATE TABLE call_keys (
    tenant      TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    key         TEXT NOT NULL,
    body        BYTEA NOT NULL,      -- SHA-256 of the request that brought it first
    task        TEXT NOT NULL,      -- the id of the task
    created_at  BIGINT  NOT NULL,   -- milliseconds since 1970, as the next one
    claimed_at  BIGINT  NOT NULL,   -- since when somebody sends the task; 0: nobody does
    sent        BIGINT  NOT NULL,   -- whether it was sent
    PRIMARY KEY (tenant, key)
);
CREATE INDEX call_keys_by_age ON call_keys (created_at);

-- What tells ids of tasks that were called here from others.
CREATE TABLE call_secret (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    secret  BYTEA NOT NULL
);
