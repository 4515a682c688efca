-- Modules, versions, kills and refusals by tenant. What is there belongs to `default`.

DROP INDEX versions_by_digest;
DROP INDEX refusals_by_age;
ALTER TABLE versions RENAME TO versions_of_one;
ALTER TABLE modules RENAME TO modules_of_one;
ALTER TABLE kills RENAME TO kills_of_one;
-- They are only remembered for an hour.
DROP TABLE refusals;

CREATE TABLE modules (
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    -- The version that runs; NULL once the module was removed.
    current  INTEGER,
    -- The highest number ever given: a number never means two things.
    newest   INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
INSERT INTO modules (tenant, name, current, newest)
    SELECT 'default', name, current, newest FROM modules_of_one;

CREATE TABLE versions (
    tenant     TEXT NOT NULL,
    module     TEXT NOT NULL,
    version    INTEGER NOT NULL,
    digest     TEXT NOT NULL REFERENCES components (digest),
    pushed_at  INTEGER NOT NULL,    -- milliseconds since 1970
    PRIMARY KEY (tenant, module, version),
    FOREIGN KEY (tenant, module) REFERENCES modules (tenant, name)
) STRICT, WITHOUT ROWID;
INSERT INTO versions (tenant, module, version, digest, pushed_at)
    SELECT 'default', module, version, digest, pushed_at FROM versions_of_one;
CREATE INDEX versions_by_digest ON versions (digest, tenant);
DROP TABLE versions_of_one;
DROP TABLE modules_of_one;

CREATE TABLE kills (
    -- Empty for a component: what is killed by its digest is killed for all.
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('task', 'module', 'digest', 'tenant')),
    name       TEXT NOT NULL,
    reason     TEXT NOT NULL,       -- empty where none was given
    hold       INTEGER NOT NULL,    -- whether messages wait instead of failing
    killed_at  INTEGER NOT NULL,    -- milliseconds since 1970
    PRIMARY KEY (tenant, kind, name),
    CHECK ((tenant = '') = (kind = 'digest'))
) STRICT, WITHOUT ROWID;
INSERT INTO kills (tenant, kind, name, reason, hold, killed_at)
    SELECT CASE kind WHEN 'digest' THEN '' ELSE 'default' END, kind, name, reason, hold, killed_at
    FROM kills_of_one;
DROP TABLE kills_of_one;

-- Components the compiler gave up on, so that it is not asked again at once: known to whoever
-- pushed them, and to nobody else.
CREATE TABLE refusals (
    tenant         TEXT NOT NULL,
    digest         TEXT NOT NULL,
    compatibility  TEXT NOT NULL,
    reason         TEXT NOT NULL,
    refused_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest, compatibility)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_by_age ON refusals (refused_at);

-- Grows by one whenever files that no row names were removed: a push that stored its bytes
-- before that stores them again.
ALTER TABLE registry ADD COLUMN sweeps INTEGER NOT NULL DEFAULT 0;
