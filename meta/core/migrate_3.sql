-- From schema version 2 to 3, which is not released yet: until it is, each change of the schema goes
-- into this script and into schema.sql (meta/README.md, "Migrations").

-- What was taken from a queue's index must cost the same with a million waiting.
DROP INDEX dead_stamp;
{PG: ALTER TABLE dead DROP CONSTRAINT dead_pkey; ALTER TABLE dead ADD PRIMARY KEY (id, kind);}
{LITE:
DROP TRIGGER keys_displaced; DROP TRIGGER keys_deleted;
DROP TRIGGER part_replaced; DROP TRIGGER part_deleted;
CREATE TABLE dead_3 (
    kind   BIGINT NOT NULL,
    id     BIGINT NOT NULL,
    stamp  BIGINT,
    at_ms  BIGINT NOT NULL,
    PRIMARY KEY (id, kind)
) WITHOUT ROWID;
INSERT INTO dead_3 SELECT kind, id, stamp, at_ms FROM dead;
DROP TABLE dead;
ALTER TABLE dead_3 RENAME TO dead;
}
CREATE INDEX dead_ripe ON dead (kind, stamp, id, at_ms) WHERE stamp IS NOT NULL;
CREATE INDEX dead_unstamped ON dead (at_ms, kind, id) WHERE stamp IS NULL;
{LITE:
-- Nobody runs who could still see them: they died in this epoch, and the next begins.
UPDATE dead SET stamp = (SELECT next FROM counters WHERE name = 'epoch') WHERE stamp IS NULL;
UPDATE counters SET next = next + 1 WHERE name = 'epoch';
}
DROP INDEX inode_pieces_died;
CREATE INDEX inode_pieces_died ON inode_pieces (died, inode, start, token)
    WHERE died IS NOT NULL;

-- What fails is set aside, in nobody's way.
ALTER TABLE fragmented ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE fragmented ADD COLUMN retry_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE doomed ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE doomed ADD COLUMN why TEXT NOT NULL DEFAULT '';
DROP INDEX doomed_due;
CREATE INDEX doomed_due ON doomed (due_ms, slice, tag);
CREATE INDEX doomed_failed ON doomed (slice, tag) WHERE failures > 0;
CREATE INDEX uploads_completed ON uploads (completed_ms, id) WHERE completed_ms IS NOT NULL;
CREATE INDEX slice_ranges_session ON slice_ranges (session);
CREATE UNIQUE INDEX buckets_owner ON buckets (owner, name);

-- A job is held under a token: who was paused and replaced writes nothing.
ALTER TABLE jobs ADD COLUMN token BIGINT NOT NULL DEFAULT 0;
DELETE FROM jobs;
