-- What modules keep between attempts.
CREATE TABLE shelf_values (
    module TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    UNIQUE (module, key)
) STRICT;
-- How much each has, so that a write need not count it.
CREATE TABLE shelves (
    module TEXT    NOT NULL PRIMARY KEY,
    keys   INTEGER NOT NULL,
    bytes  INTEGER NOT NULL          -- of keys and values
) STRICT;
