-- Bytes of results that tenants have, by the second of 1970 at which they are gone, for quotas.
CREATE TABLE tenant_stored (
    tenant TEXT NOT NULL,
    gone_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, gone_at)
) WITHOUT ROWID;

-- The tenant that is there from the start is as old as the database.
UPDATE tenants SET created_at = (SELECT min(applied_at) FROM migrations)
WHERE name = 'default' AND created_at = 0;
