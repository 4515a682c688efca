-- The tenant that is there from the start is as old as the database.
UPDATE tenants SET created_at = (SELECT min(applied_at) FROM celeriac_migrations)
WHERE name = 'default' AND created_at = 0;
