-- Functions and triggers of the newest schema: made with it, and made again by each migration.
-- They do two things: a version that is displaced or deleted is taken from OLD, under the row's lock,
-- to `versions` or `dead`; and usage is written, new minus old of both tables together. Policy stands
-- in the statements (meta/README.md, "Versions").
{PG:
-- What a job takes next, in the order of an index, and by that index whatever the statistics say:
-- they are always old for a queue, and a plan that sorts reads all of a backlog for a few rows.
CREATE OR REPLACE FUNCTION kiseki_dead_ripe(which bigint, since bigint, since_id bigint, below bigint, most bigint)
    RETURNS TABLE (stamp bigint, id bigint, at_ms bigint) LANGUAGE sql STABLE
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_sort = off SET enable_incremental_sort = off
    AS $body$
    SELECT d.stamp, d.id, d.at_ms FROM dead d
    WHERE d.kind = which AND (d.stamp, d.id) >= (since, since_id) AND d.stamp < below
    ORDER BY d.stamp, d.id LIMIT most
$body$;
CREATE OR REPLACE FUNCTION kiseki_dead_unstamped(since bigint, most bigint)
    RETURNS TABLE (at_ms bigint, kind bigint, id bigint) LANGUAGE sql STABLE
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_sort = off SET enable_incremental_sort = off
    AS $body$
    SELECT d.at_ms, d.kind, d.id FROM dead d WHERE d.stamp IS NULL AND d.at_ms >= since
    ORDER BY d.at_ms, d.kind, d.id LIMIT most
$body$;
CREATE OR REPLACE FUNCTION kiseki_doomed_due(since bigint, until bigint, most bigint)
    RETURNS TABLE (due_ms bigint, slice bigint, tag bigint) LANGUAGE sql STABLE
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_sort = off SET enable_incremental_sort = off
    AS $body$
    SELECT d.due_ms, d.slice, d.tag FROM doomed d WHERE d.due_ms >= since AND d.due_ms <= until
    ORDER BY d.due_ms, d.slice, d.tag LIMIT most
$body$;

CREATE OR REPLACE FUNCTION kiseki_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.marker = 0 THEN
            INSERT INTO usage_deltas VALUES (NEW.bucket, 1, NEW.size);
        END IF;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.inode IS NOT DISTINCT FROM NEW.inode AND OLD.seq = NEW.seq THEN
            IF OLD.size <> NEW.size THEN
                INSERT INTO usage_deltas VALUES (NEW.bucket, 0, NEW.size - OLD.size);
            END IF;
            RETURN NULL;
        END IF;
        IF NEW.keep_displaced = NEW.seq THEN
            INSERT INTO versions ({KEY_COLUMNS}, noncurrent_ms)
                VALUES ({OLD_KEY_COLUMNS}, {NOW_MS});
            IF NEW.marker = 0 THEN
                INSERT INTO usage_deltas VALUES (NEW.bucket, 1, NEW.size);
            END IF;
            RETURN NULL;
        END IF;
        IF NEW.keep_displaced <> -NEW.seq THEN
            RAISE EXCEPTION 'a key was written by a statement that does not say what it displaces';
        END IF;
        IF OLD.marker <> NEW.marker OR OLD.size <> NEW.size THEN
            INSERT INTO usage_deltas
                VALUES (NEW.bucket, OLD.marker - NEW.marker, NEW.size - OLD.size);
        END IF;
    ELSE
        INSERT INTO usage_deltas VALUES (OLD.bucket, OLD.marker - 1, -OLD.size);
    END IF;
    IF OLD.inode IS NOT NULL THEN
        INSERT INTO dead VALUES (1, OLD.inode, NULL, {NOW_MS});
    END IF;
    RETURN NULL;
END $body$;
DROP TRIGGER IF EXISTS keys_changed ON keys;
CREATE TRIGGER keys_changed AFTER INSERT OR UPDATE OR DELETE ON keys
    FOR EACH ROW EXECUTE FUNCTION kiseki_keys_changed();

-- A promotion makes the key's row first, which names the inode of the version that is deleted then.
CREATE OR REPLACE FUNCTION kiseki_versions_changed() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.size <> NEW.size THEN
            INSERT INTO usage_deltas VALUES (NEW.bucket, 0, NEW.size - OLD.size);
        END IF;
        RETURN NULL;
    END IF;
    INSERT INTO usage_deltas VALUES (OLD.bucket, OLD.marker - 1, -OLD.size);
    IF OLD.inode IS NOT NULL AND NOT EXISTS (SELECT 1 FROM keys k WHERE k.bucket = OLD.bucket
        AND k.key = OLD.key AND k.inode = OLD.inode) THEN
        INSERT INTO dead VALUES (1, OLD.inode, NULL, {NOW_MS});
    END IF;
    RETURN NULL;
END $body$;
DROP TRIGGER IF EXISTS versions_changed ON versions;
CREATE TRIGGER versions_changed AFTER UPDATE OR DELETE ON versions
    FOR EACH ROW EXECUTE FUNCTION kiseki_versions_changed();

CREATE OR REPLACE FUNCTION kiseki_part_displaced() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.inode <> NEW.inode THEN
        INSERT INTO dead VALUES (1, OLD.inode, NULL, {NOW_MS});
    END IF;
    RETURN NULL;
END $body$;
DROP TRIGGER IF EXISTS part_displaced ON parts;
CREATE TRIGGER part_displaced AFTER UPDATE OR DELETE ON parts
    FOR EACH ROW EXECUTE FUNCTION kiseki_part_displaced();
}
{LITE:
DROP TRIGGER IF EXISTS keys_inserted;
CREATE TRIGGER keys_inserted AFTER INSERT ON keys WHEN NEW.marker = 0
BEGIN
    INSERT INTO usage_deltas VALUES (NEW.bucket, 1, NEW.size);
END;
DROP TRIGGER IF EXISTS keys_resized;
CREATE TRIGGER keys_resized AFTER UPDATE ON keys
    WHEN OLD.inode IS NEW.inode AND OLD.seq = NEW.seq AND OLD.size <> NEW.size
BEGIN
    INSERT INTO usage_deltas VALUES (NEW.bucket, 0, NEW.size - OLD.size);
END;
DROP TRIGGER IF EXISTS keys_kept;
CREATE TRIGGER keys_kept AFTER UPDATE ON keys
    WHEN NOT (OLD.inode IS NEW.inode AND OLD.seq = NEW.seq) AND NEW.keep_displaced = NEW.seq
BEGIN
    INSERT INTO versions ({KEY_COLUMNS}, noncurrent_ms) SELECT {OLD_KEY_COLUMNS}, {NOW_MS};
    INSERT INTO usage_deltas SELECT NEW.bucket, 1, NEW.size WHERE NEW.marker = 0;
END;
DROP TRIGGER IF EXISTS keys_displaced;
CREATE TRIGGER keys_displaced AFTER UPDATE ON keys
    WHEN NOT (OLD.inode IS NEW.inode AND OLD.seq = NEW.seq) AND NEW.keep_displaced <> NEW.seq
BEGIN
    SELECT RAISE(ABORT, 'a key was written by a statement that does not say what it displaces')
        WHERE NEW.keep_displaced <> -NEW.seq;
    INSERT INTO usage_deltas SELECT NEW.bucket, OLD.marker - NEW.marker, NEW.size - OLD.size
        WHERE OLD.marker <> NEW.marker OR OLD.size <> NEW.size;
    INSERT INTO dead SELECT 1, OLD.inode, c.next, {NOW_MS} FROM counters c
        WHERE c.name = 'epoch' AND OLD.inode IS NOT NULL;
END;
DROP TRIGGER IF EXISTS keys_deleted;
CREATE TRIGGER keys_deleted AFTER DELETE ON keys
BEGIN
    INSERT INTO usage_deltas VALUES (OLD.bucket, OLD.marker - 1, -OLD.size);
    INSERT INTO dead SELECT 1, OLD.inode, c.next, {NOW_MS} FROM counters c
        WHERE c.name = 'epoch' AND OLD.inode IS NOT NULL;
END;
DROP TRIGGER IF EXISTS versions_resized;
CREATE TRIGGER versions_resized AFTER UPDATE ON versions WHEN OLD.size <> NEW.size
BEGIN
    INSERT INTO usage_deltas VALUES (NEW.bucket, 0, NEW.size - OLD.size);
END;
DROP TRIGGER IF EXISTS versions_deleted;
CREATE TRIGGER versions_deleted AFTER DELETE ON versions
BEGIN
    INSERT INTO usage_deltas VALUES (OLD.bucket, OLD.marker - 1, -OLD.size);
    INSERT INTO dead SELECT 1, OLD.inode, c.next, {NOW_MS} FROM counters c
        WHERE c.name = 'epoch' AND OLD.inode IS NOT NULL AND NOT EXISTS (SELECT 1 FROM keys k
            WHERE k.bucket = OLD.bucket AND k.key = OLD.key AND k.inode = OLD.inode);
END;
DROP TRIGGER IF EXISTS part_replaced;
CREATE TRIGGER part_replaced AFTER UPDATE ON parts WHEN OLD.inode <> NEW.inode
BEGIN
    INSERT INTO dead SELECT 1, OLD.inode, c.next, {NOW_MS} FROM counters c WHERE c.name = 'epoch';
END;
DROP TRIGGER IF EXISTS part_deleted;
CREATE TRIGGER part_deleted AFTER DELETE ON parts
BEGIN
    INSERT INTO dead SELECT 1, OLD.inode, c.next, {NOW_MS} FROM counters c WHERE c.name = 'epoch';
END;
}
