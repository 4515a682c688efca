-- What runs carried in and out, and which grants they used.
ALTER TABLE results ADD COLUMN bytes_in   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN bytes_out  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN host_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN uses       TEXT;  -- JSON; NULL where no grant was asked for
