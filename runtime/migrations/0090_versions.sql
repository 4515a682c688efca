-- What authors call their versions, what a version broke, and canaries.

ALTER TABLE versions ADD COLUMN release TEXT;    -- as in 1.4.0; NULL where it has no name
ALTER TABLE versions ADD COLUMN breaks TEXT;     -- JSON: what callers lost, where that was allowed
CREATE UNIQUE INDEX versions_by_release ON versions (tenant, module, release);

-- Whether the current version stays it, whatever is pushed.
ALTER TABLE modules ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;

-- The last canary of each module: a version that gets a share of the tasks.
CREATE TABLE canaries (
    tenant          TEXT NOT NULL,
    module          TEXT NOT NULL,
    version         INTEGER NOT NULL,
    share           INTEGER NOT NULL,    -- hundredths of a percent
    runs            INTEGER NOT NULL,    -- ends of the canary before it is judged
    points          INTEGER NOT NULL,    -- how much worse it may be, hundredths of a percent
    state           TEXT NOT NULL CHECK (state IN ('runs', 'promoted', 'aborted')),
    reason          TEXT NOT NULL,       -- why it was aborted, or empty
    began_at        INTEGER NOT NULL,    -- milliseconds since 1970
    -- Runs that ended since then, of the canary and of the current version beside it.
    ended           INTEGER NOT NULL DEFAULT 0,
    failed          INTEGER NOT NULL DEFAULT 0,
    current_ended   INTEGER NOT NULL DEFAULT 0,
    current_failed  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, module)
) STRICT, WITHOUT ROWID;
