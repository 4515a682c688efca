-- What tenants used, by the day of UTC (days since 1970) on which runs ended.
CREATE TABLE usage (
    tenant          TEXT NOT NULL,
    day             INTEGER NOT NULL,
    module          TEXT NOT NULL,      -- '*': of those that there were too many of
    task            TEXT NOT NULL,      -- the same
    attempts        INTEGER NOT NULL,
    succeeded       INTEGER NOT NULL,
    failed          INTEGER NOT NULL,
    retried         INTEGER NOT NULL,
    revoked         INTEGER NOT NULL,
    cpu_us          INTEGER NOT NULL,   -- microseconds, as the next
    run_us          INTEGER NOT NULL,
    bytes_in        INTEGER NOT NULL,
    bytes_out       INTEGER NOT NULL,
    http_requests   INTEGER NOT NULL,
    http_bytes_in   INTEGER NOT NULL,
    http_bytes_out  INTEGER NOT NULL,
    host_calls      INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, module, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_tenant ON usage (tenant, day, module, task);

-- The last batch of each worker that was counted: the same one again counts nothing.
CREATE TABLE usage_batches (
    worker      TEXT PRIMARY KEY,
    number      INTEGER NOT NULL,
    counted_at  INTEGER NOT NULL        -- milliseconds since 1970
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_batches_by_age ON usage_batches (counted_at);
