-- Workers that follow a control plane over HTTP.

-- Names this installation to those who follow it: numbers of another mean nothing here.
ALTER TABLE registry ADD COLUMN installation TEXT NOT NULL DEFAULT '';
UPDATE registry SET installation = md5(random()::text || clock_timestamp()::text);
