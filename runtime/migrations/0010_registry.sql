-- Modules, their versions, and the components these name.

-- Grows by one with every change that workers must see.
CREATE TABLE registry (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    generation  INTEGER NOT NULL
) STRICT;
INSERT INTO registry (id, generation) VALUES (1, 0);

-- A component by its content. Its bytes are a file named by the digest.
CREATE TABLE components (
    digest   TEXT PRIMARY KEY,
    bytes    INTEGER NOT NULL,
    tasks    TEXT NOT NULL,     -- JSON: what it said about its tasks
    imports  TEXT NOT NULL      -- JSON: the interfaces it imports
) STRICT, WITHOUT ROWID;

CREATE TABLE modules (
    name     TEXT PRIMARY KEY,
    -- The version that runs; NULL once the module was removed.
    current  INTEGER,
    -- The highest number ever given: a number never means two things.
    newest   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    module     TEXT NOT NULL REFERENCES modules (name),
    version    INTEGER NOT NULL,
    digest     TEXT NOT NULL REFERENCES components (digest),
    pushed_at  INTEGER NOT NULL,    -- milliseconds since 1970
    PRIMARY KEY (module, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_digest ON versions (digest);

-- Components the compiler gave up on, so that it is not asked again at once.
CREATE TABLE refusals (
    digest         TEXT NOT NULL,
    compatibility  TEXT NOT NULL,
    reason         TEXT NOT NULL,
    refused_at     INTEGER NOT NULL,
    PRIMARY KEY (digest, compatibility)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_by_age ON refusals (refused_at);

-- The workers that run, each kept fresh by itself.
CREATE TABLE workers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    generation  INTEGER NOT NULL    -- the newest it has loaded
) STRICT, WITHOUT ROWID;
