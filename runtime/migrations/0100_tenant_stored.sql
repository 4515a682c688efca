-- Bytes of results that tenants have, by the second of 1970 at which they are gone, for quotas.
CREATE TABLE tenant_stored (
    tenant TEXT NOT NULL,
    gone_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, gone_at)
) WITHOUT ROWID;
