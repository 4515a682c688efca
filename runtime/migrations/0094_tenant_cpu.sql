-- CPU time of tenants by the hour of UTC (hours since 1970), for quotas.
CREATE TABLE tenant_cpu (
    tenant TEXT NOT NULL,
    hour INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour)
) WITHOUT ROWID;
