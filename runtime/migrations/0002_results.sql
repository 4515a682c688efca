-- The embedded result backend: the state and result of each task, and the
-- record of its runs.
CREATE TABLE results (
    id                TEXT    NOT NULL UNIQUE,
    task              TEXT    NOT NULL,
    retries           INTEGER NOT NULL,  -- the fence: retries, then deliveries
    deliveries        INTEGER NOT NULL,
    state             TEXT    NOT NULL,
    final             INTEGER NOT NULL DEFAULT 0 CHECK (final IN (0, 1)),
    result            BLOB,
    exception         TEXT,              -- JSON
    due               INTEGER,
    worker            TEXT    NOT NULL,
    queue_wait_ms     INTEGER NOT NULL DEFAULT 0,
    run_us            INTEGER NOT NULL DEFAULT 0,
    cpu_us            INTEGER NOT NULL DEFAULT 0,
    memory_peak_bytes INTEGER NOT NULL DEFAULT 0,
    log               TEXT,              -- JSON
    written_at        INTEGER NOT NULL,
    lease_until       INTEGER,           -- of a run that took the fence
    expires_at        INTEGER            -- kept until; NULL is for ever
) STRICT;
CREATE INDEX results_expiry ON results (expires_at) WHERE expires_at IS NOT NULL;
