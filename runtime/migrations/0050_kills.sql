-- What must not run, for every worker on this file, until somebody allows it again.
CREATE TABLE kills (
    kind       TEXT NOT NULL CHECK (kind IN ('task', 'module', 'digest')),
    name       TEXT NOT NULL,
    reason     TEXT NOT NULL,       -- empty where none was given
    hold       INTEGER NOT NULL,    -- whether messages wait instead of failing
    killed_at  INTEGER NOT NULL,    -- milliseconds since 1970
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
-- Grows by one with every kill and every end of one. It is not the generation: that moves
-- only once new code is loaded, and nobody may wait for that who must stop something.
ALTER TABLE registry ADD COLUMN kills INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN kills INTEGER NOT NULL DEFAULT 0;  -- the newest it obeys
