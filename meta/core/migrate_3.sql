-- From schema version 2 to 3, which is not released yet: until it is, each change of the schema goes
-- into this script and into schema.sql (meta/README.md, "Migrations").

-- step: queue of the dead
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
-- step: links that died
DROP INDEX inode_pieces_died;
CREATE INDEX inode_pieces_died ON inode_pieces (died, inode, start, token)
    WHERE died IS NOT NULL;

-- step: doomed slices, uploads, buckets
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

-- step: keys and versions
-- Versions have the columns of a key's row, and both what is decided by (meta/sql/key_columns.h).
ALTER TABLE keys ADD COLUMN rev BIGINT NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN lock_mode BIGINT DEFAULT NULL;
ALTER TABLE keys ADD COLUMN retain_until_ms BIGINT DEFAULT NULL;
ALTER TABLE keys ADD COLUMN hold BIGINT NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN acl BYTEA DEFAULT NULL;
ALTER TABLE keys ADD COLUMN last_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN ranged TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN writes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN rev BIGINT NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN lock_mode BIGINT DEFAULT NULL;
ALTER TABLE versions ADD COLUMN retain_until_ms BIGINT DEFAULT NULL;
ALTER TABLE versions ADD COLUMN hold BIGINT NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN acl BYTEA DEFAULT NULL;
ALTER TABLE versions ADD COLUMN noncurrent_ms BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX versions_null ON versions (bucket, key) WHERE version = 'null';
ALTER TABLE uploads ADD COLUMN data_key BYTEA;
ALTER TABLE uploads ADD COLUMN acl BYTEA;
ALTER TABLE uploads ADD COLUMN lock_mode BIGINT;
ALTER TABLE uploads ADD COLUMN retain_until_ms BIGINT;
ALTER TABLE uploads ADD COLUMN hold BIGINT NOT NULL DEFAULT 0;

-- step: buckets and accounts
-- What buckets and accounts say, and the numbers by which it is proven.
ALTER TABLE volume ADD COLUMN readable_from BIGINT NOT NULL DEFAULT 3;
ALTER TABLE buckets ADD COLUMN lock_mode BIGINT DEFAULT NULL;
ALTER TABLE buckets ADD COLUMN lock_days BIGINT DEFAULT NULL;
ALTER TABLE bucket_config ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN number TEXT;
ALTER TABLE accounts ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX accounts_number ON accounts (number);
ALTER TABLE access_keys ADD COLUMN user_id TEXT;
CREATE INDEX access_keys_of ON access_keys (user_id) WHERE user_id IS NOT NULL;

-- step: identity and events
-- Unique ids are a prefix and 96 random bits, as AWS writes them: never used again, unlike names.

CREATE TABLE users (
    id           TEXT PRIMARY KEY,          -- AIDA...
    account      BIGINT NOT NULL,
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    boundary     TEXT,                      -- a policy's id
    generation   BIGINT NOT NULL,           -- random, drawn at each change of what it may do
    created_ms   BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_named ON users (account, name);

CREATE TABLE user_groups (
    id           TEXT PRIMARY KEY,          -- AGPA...
    account      BIGINT NOT NULL,
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    generation   BIGINT NOT NULL,
    created_ms   BIGINT NOT NULL
);
CREATE UNIQUE INDEX user_groups_named ON user_groups (account, name);

CREATE TABLE group_members (
    user_id   TEXT NOT NULL,
    group_id  TEXT NOT NULL,
    PRIMARY KEY (user_id, group_id)
){LITE: WITHOUT ROWID};
CREATE INDEX group_members_of ON group_members (group_id, user_id);

CREATE TABLE roles (
    id           TEXT PRIMARY KEY,          -- AROA...
    account      BIGINT NOT NULL,
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    trust        BYTEA NOT NULL,            -- the document that says who may take it
    session_s    BIGINT NOT NULL,           -- the longest session
    boundary     TEXT,
    generation   BIGINT NOT NULL,
    created_ms   BIGINT NOT NULL
);
CREATE UNIQUE INDEX roles_named ON roles (account, name);

CREATE TABLE policies (
    id           TEXT PRIMARY KEY,          -- ANPA...
    account      BIGINT NOT NULL,
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    version      BIGINT NOT NULL,           -- the one that counts
    last_version BIGINT NOT NULL,           -- numbers of versions are not used again
    generation   BIGINT NOT NULL,
    created_ms   BIGINT NOT NULL
);
CREATE UNIQUE INDEX policies_named ON policies (account, name);

CREATE TABLE policy_versions (
    policy      TEXT NOT NULL,
    version     BIGINT NOT NULL,
    body        BYTEA NOT NULL,
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (policy, version)
){LITE: WITHOUT ROWID};

-- Policies of a user, group or role: managed ones, and those that are its own.
CREATE TABLE policy_attachments (
    holder  TEXT NOT NULL,
    policy  TEXT NOT NULL,
    PRIMARY KEY (holder, policy)
){LITE: WITHOUT ROWID};
CREATE INDEX policy_attachments_of ON policy_attachments (policy, holder);

CREATE TABLE inline_policies (
    holder  TEXT NOT NULL,
    name    TEXT NOT NULL,
    body    BYTEA NOT NULL,
    PRIMARY KEY (holder, name)
){LITE: WITHOUT ROWID};

-- When a key was used last: apart from its row, which decisions rest on.
CREATE TABLE key_use (
    access_key  TEXT PRIMARY KEY,
    used_ms     BIGINT NOT NULL,
    service     TEXT NOT NULL,
    region      TEXT NOT NULL
);


CREATE TABLE token_keys (                   -- for the tokens of temporary credentials
    id          {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    sealed      BYTEA NOT NULL,
    created_ms  BIGINT NOT NULL,
    until_ms    BIGINT                      -- of one that was replaced
);

CREATE TABLE keks (                         -- keys that wrap data keys
    id          {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    sealed      BYTEA NOT NULL,
    created_ms  BIGINT NOT NULL
);


-- An event for a target, until it is delivered. Its number is drawn by the database under the lock
-- of the key's row, so that the numbers of one key are in the order of its changes, and never used
-- again.
CREATE TABLE events (
    id          {PG: BIGINT GENERATED BY DEFAULT AS IDENTITY}{LITE: INTEGER} PRIMARY KEY
                {LITE: AUTOINCREMENT},
    bucket      BIGINT NOT NULL,
    key         BYTEA NOT NULL,
    seq         BIGINT NOT NULL,
    version     TEXT NOT NULL,
    size        BIGINT NOT NULL,
    etag        TEXT NOT NULL,
    name        TEXT NOT NULL,              -- s3:ObjectCreated:Put ...
    target      TEXT NOT NULL,              -- as the bucket's configuration names it
    request     BYTEA NOT NULL,             -- opaque: principal, address, request id ...
    at_ms       BIGINT NOT NULL,
    failures    BIGINT NOT NULL DEFAULT 0,  -- in a row; above 0: set aside until retry_ms
    retry_ms    BIGINT NOT NULL DEFAULT 0,
    xact        BIGINT NOT NULL DEFAULT {PG: txid_current()}{LITE: 0} -- whose commit shows it
);
CREATE INDEX events_next ON events (target, id);

CREATE TABLE events_lost (                  -- for want of room
    bucket   BIGINT NOT NULL,
    target   TEXT NOT NULL,
    count    BIGINT NOT NULL,
    last_ms  BIGINT NOT NULL,
    PRIMARY KEY (bucket, target)
){LITE: WITHOUT ROWID};
