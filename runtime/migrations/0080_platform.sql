-- Tenants, tokens, and what was changed by whom.

-- Grows by one with every change of a tenant, which workers follow.
CREATE TABLE platform (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    generation  INTEGER NOT NULL
) STRICT;
INSERT INTO platform (id, generation) VALUES (1, 0);

CREATE TABLE tenants (
    name            TEXT PRIMARY KEY,
    created_at      INTEGER NOT NULL,   -- milliseconds since 1970
    suspended       INTEGER NOT NULL,   -- whether its tasks wait
    weight          INTEGER NOT NULL,
    quota           TEXT NOT NULL,      -- JSON: how much it may use
    ceiling         TEXT NOT NULL,      -- JSON: the most that an attempt may have
    may             TEXT NOT NULL,      -- JSON: what its modules may reach at most
    broker          TEXT,               -- an address with its password; NULL: the configuration's
    result_backend  TEXT                -- the same
) STRICT, WITHOUT ROWID;
-- The tenant of whatever belongs to nobody else: the operator's own configuration says
-- what it may reach.
INSERT INTO tenants (name, created_at, suspended, weight, quota, ceiling, may)
VALUES ('default', 0, 0, 100, '{}', '{}', '["everything"]');

CREATE TABLE tokens (
    id          TEXT PRIMARY KEY,
    tenant      TEXT REFERENCES tenants (name),  -- NULL: of operators and workers
    name        TEXT NOT NULL,
    scope       TEXT NOT NULL,
    secret      TEXT NOT NULL,          -- a hash of it
    created_at  INTEGER NOT NULL,       -- milliseconds since 1970, as the next two
    expires_at  INTEGER,
    used_at     INTEGER                 -- nearly
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_tenant ON tokens (tenant);

-- What was changed. Rows are added and, once they are old, removed.
CREATE TABLE audit (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    happened_at  INTEGER NOT NULL,      -- milliseconds since 1970
    who          TEXT NOT NULL,
    request      TEXT,                  -- the id of the request over HTTP
    action       TEXT NOT NULL,
    tenant       TEXT,                  -- whose it was; NULL: the operator's
    subject      TEXT NOT NULL,         -- what was changed
    was          TEXT,                  -- JSON: before, without secrets
    became       TEXT                   -- JSON: after, without secrets
) STRICT;
CREATE INDEX audit_by_age ON audit (happened_at);
CREATE INDEX audit_by_tenant ON audit (tenant, number);
