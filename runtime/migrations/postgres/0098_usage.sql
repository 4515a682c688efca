-- What tenants used, by the day of UTC (days since 1970) on which runs ended.
CREATE TABLE usage (
    tenant          TEXT NOT NULL,
    day             BIGINT NOT NULL,
    module          TEXT NOT NULL,      -- '*': of those that there were too many of
    task            TEXT NOT NULL,      -- the same
    attempts        BIGINT NOT NULL,
    succeeded       BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    retried         BIGINT NOT NULL,
    revoked         BIGINT NOT NULL,
    cpu_us          BIGINT NOT NULL,    -- microseconds, as the next
    run_us          BIGINT NOT NULL,
    bytes_in        BIGINT NOT NULL,
    bytes_out       BIGINT NOT NULL,
    http_requests   BIGINT NOT NULL,
    http_bytes_in   BIGINT NOT NULL,
    http_bytes_out  BIGINT NOT NULL,
    host_calls      BIGINT NOT NULL,
    PRIMARY KEY (day, tenant, module, task)
);
CREATE INDEX usage_by_tenant ON usage (tenant, day, module, task);

-- The last batch of each worker that was counted: the same one again counts nothing.
CREATE TABLE usage_batches (
    worker      TEXT PRIMARY KEY,
    number      BIGINT NOT NULL,
    counted_at  BIGINT NOT NULL         -- milliseconds since 1970
);
CREATE INDEX usage_batches_by_age ON usage_batches (counted_at);
