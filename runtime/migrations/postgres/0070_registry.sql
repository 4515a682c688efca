-- Modules of tenants, their versions, the components these name, and what must not run.

-- Numbers that others follow.
CREATE TABLE registry (
    id          BIGINT PRIMARY KEY CHECK (id = 1),
    generation  BIGINT NOT NULL,    -- grows with every change that workers must load
    kills       BIGINT NOT NULL,    -- grows with every kill and every end of one
    sweeps      BIGINT NOT NULL     -- grows when bytes that no row names were removed
);
INSERT INTO registry (id, generation, kills, sweeps) VALUES (1, 0, 0, 0);

-- A component by its content. Its bytes are elsewhere, named by the digest.
CREATE TABLE components (
    digest   TEXT PRIMARY KEY,
    bytes    BIGINT NOT NULL,
    tasks    TEXT NOT NULL,     -- JSON: what it said about its tasks
    imports  TEXT NOT NULL      -- JSON: the interfaces it imports
);

CREATE TABLE modules (
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    current  BIGINT,            -- the version that runs; NULL once the module was removed
    newest   BIGINT NOT NULL,   -- the highest number ever given
    PRIMARY KEY (tenant, name)
);

CREATE TABLE versions (
    tenant     TEXT NOT NULL,
    module     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    digest     TEXT NOT NULL REFERENCES components (digest),
    pushed_at  BIGINT NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (tenant, module, version),
    FOREIGN KEY (tenant, module) REFERENCES modules (tenant, name)
);
CREATE INDEX versions_by_digest ON versions (digest, tenant);

CREATE TABLE refusals (
    tenant         TEXT NOT NULL,
    digest         TEXT NOT NULL,
    compatibility  TEXT NOT NULL,
    reason         TEXT NOT NULL,
    refused_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant, digest, compatibility)
);
CREATE INDEX refusals_by_age ON refusals (refused_at);

CREATE TABLE kills (
    tenant     TEXT NOT NULL,   -- empty for a component: it is killed for all
    kind       TEXT NOT NULL CHECK (kind IN ('task', 'module', 'digest', 'tenant')),
    name       TEXT NOT NULL,
    reason     TEXT NOT NULL,   -- empty where none was given
    hold       BIGINT NOT NULL, -- whether messages wait instead of failing
    killed_at  BIGINT NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (tenant, kind, name),
    CHECK ((tenant = '') = (kind = 'digest'))
);

-- The workers that run, each kept fresh by itself.
CREATE TABLE workers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    pid         BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    generation  BIGINT NOT NULL,    -- the newest it has loaded
    kills       BIGINT NOT NULL     -- how many changes of kills it obeys
);
