-- Kiseki's schema, version 3 (meta/core/migrate_2.sql and migrate_3.sql make it from versions 1 and 2).
-- One text for PostgreSQL and SQLite: {PG: ...} and {LITE: ...} mark what only one engine gets. meta/README.md says what each table is for and which race it answers.

CREATE TABLE volume (
    one              {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY CHECK (one = 1),
    uuid             TEXT NOT NULL,
    schema_version   BIGINT NOT NULL,
    generation       BIGINT NOT NULL,       -- of the marker object; load increments it
    auth_generation  BIGINT NOT NULL,       -- not used: keys are proven one by one (meta/access/access.h)
    created_ms       BIGINT NOT NULL,
    key_check        BYTEA,                 -- proves the master key; NULL while none was given
    readable_from    BIGINT NOT NULL DEFAULT 3 -- the oldest schema whose programs may use it
);

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    next  BIGINT NOT NULL
);

CREATE TABLE sessions (
    id              {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    tag             BIGINT NOT NULL,
    state           TEXT NOT NULL,          -- 'live' | 'joining' | 'tool'
    host            TEXT NOT NULL,
    pid             BIGINT NOT NULL,
    version         TEXT NOT NULL,
    started_ms      BIGINT NOT NULL,
    lease_until_ms  BIGINT NOT NULL,
    published       BIGINT NOT NULL         -- smallest epoch tag of its running reads
);

CREATE TABLE txns (
    session    BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id         BIGINT NOT NULL,
    tombstone  BIGINT NOT NULL DEFAULT 0,   -- 1: resolved as never committed (meta/sql/sql.h)
    PRIMARY KEY (session, id)
){LITE: WITHOUT ROWID};

CREATE TABLE slice_ranges (
    first    {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    last     BIGINT NOT NULL,               -- inclusive
    session  BIGINT NOT NULL,               -- no reference: the range outlives its session
    tag      BIGINT NOT NULL
);
CREATE INDEX slice_ranges_session ON slice_ranges (session);

CREATE TABLE accounts (
    id            {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    canonical_id  TEXT NOT NULL,            -- 64 hex digits, what S3 prints as owner ID
    created_ms    BIGINT NOT NULL,
    number        TEXT,                     -- 12 digits, in ARNs; NULL: not drawn yet
    generation    BIGINT NOT NULL DEFAULT 0 -- random, drawn at each change of its policies, groups, roles
);
CREATE UNIQUE INDEX accounts_number ON accounts (number);

CREATE TABLE access_keys (
    access_key  TEXT PRIMARY KEY,
    account     BIGINT NOT NULL REFERENCES accounts (id),
    secret      BYTEA NOT NULL,             -- sealed (meta/access/account.h)
    enabled     BIGINT NOT NULL,            -- 0 no, 1 yes, 2 yes and given by the configuration
    created_ms  BIGINT NOT NULL,
    user_id     TEXT                        -- NULL: the account's root
);
CREATE INDEX access_keys_of ON access_keys (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE buckets (
    id           {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    name         BYTEA NOT NULL UNIQUE,
    owner        BIGINT NOT NULL,
    region       TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    generation   BIGINT NOT NULL,           -- random, drawn at each change of its configuration
    versioning   BIGINT NOT NULL DEFAULT 0, -- 0 never, 1 enabled, 2 suspended
    object_lock  BIGINT NOT NULL DEFAULT 0,
    lock_mode    BIGINT DEFAULT NULL,       -- default retention: as in keys, for so many days
    lock_days    BIGINT DEFAULT NULL
);
CREATE UNIQUE INDEX buckets_owner ON buckets (owner, name);

CREATE TABLE bucket_config (
    bucket  BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    body    BYTEA NOT NULL,
    generation BIGINT NOT NULL DEFAULT 0,   -- random, drawn at each change
    PRIMARY KEY (bucket, kind)
){LITE: WITHOUT ROWID};

-- The latest version of each key, with what LIST prints. The columns stand in meta/sql/key_columns.h.
-- Of them: seq orders the versions of a key; version is opaque, 'null' outside versioning; marker 1
-- is a delete marker, whose inode is NULL; etag has no quotes; checksum is algorithm and type, as
-- LIST prints them, 0 none; ranged is 32 hex digits once its inode was written at a range, writes
-- the range writes folded into this row; rev is a random number, drawn when tags, ACL, retention or
-- hold change; lock_mode NULL none, 1 governance, 2 compliance, until retain_until_ms; hold 1: legal
-- hold; acl NULL: the owner's.
CREATE TABLE keys (
    {DEFINE_KEY_COLUMNS},
    -- What the writing statement says of the version that it displaces: the new seq, it is kept; that
    -- negated, it goes. Anything else is refused: a statement that says nothing has the last one's.
    keep_displaced  BIGINT NOT NULL DEFAULT 0,
    last_seq        BIGINT NOT NULL DEFAULT 0, -- or seq: the greatest seq that this key ever had
    PRIMARY KEY (bucket, key)
){LITE: WITHOUT ROWID};
-- SQLite lists from the clustered table itself; PostgreSQL skips delete markers by this index.
{PG: CREATE INDEX keys_listed ON keys (bucket, key) WHERE marker = 0;}

-- Noncurrent versions. A key has a row in keys as long as it has any version.
CREATE TABLE versions (
    {DEFINE_KEY_COLUMNS},
    noncurrent_ms   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, key, seq)
){LITE: WITHOUT ROWID};
CREATE UNIQUE INDEX versions_null ON versions (bucket, key) WHERE version = 'null';

CREATE TABLE inodes (
    id        {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    size      BIGINT NOT NULL,
    mtime_ms  BIGINT NOT NULL,
    mode      BIGINT NOT NULL DEFAULT 420,  -- POSIX attributes, for another door
    uid       BIGINT NOT NULL DEFAULT 0,
    gid       BIGINT NOT NULL DEFAULT 0,
    etag      TEXT NOT NULL,
    headers   BYTEA NOT NULL,               -- meta/names/pairs.h
    checksum  BYTEA,                        -- opaque to meta
    parts     BYTEA,                        -- opaque to meta: sizes and checksums of parts
    tags      BYTEA,                        -- meta/names/pairs.h
    data_key  BYTEA,                        -- data keys, wrapped: a packed list; NULL: plain
    data      BYTEA                         -- the bytes of a small file; NULL: see inode_pieces
);
-- What is stored is mostly compressed or random: no time is spent on compressing it again.
{PG: ALTER TABLE inodes ALTER COLUMN data SET STORAGE EXTERNAL;}

CREATE TABLE inode_pieces (
    inode      BIGINT NOT NULL,
    start      BIGINT NOT NULL,
    token      BIGINT NOT NULL,             -- order of overlapping writes; 0 for a file written whole
    len        BIGINT NOT NULL,
    piece      BIGINT NOT NULL,             -- 0: a hole
    piece_off  BIGINT NOT NULL,
    born       BIGINT NOT NULL DEFAULT 0,   -- the token that made this row: views compare it
    dead       BIGINT,                      -- the token that merged or cut it away
    died       BIGINT,                      -- then: its entry of kind 3 in dead
    PRIMARY KEY (inode, start, token)
){LITE: WITHOUT ROWID};
CREATE INDEX inode_pieces_died ON inode_pieces (died, inode, start, token)
    WHERE died IS NOT NULL;

CREATE TABLE pieces (
    id       {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    refs     BIGINT NOT NULL,
    len      BIGINT NOT NULL,
    records  BYTEA NOT NULL                 -- meta/files/record.h
);
{PG: ALTER TABLE pieces ALTER COLUMN records SET STORAGE EXTERNAL;}

CREATE TABLE slices (
    id    {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    tag   BIGINT NOT NULL,
    refs  BIGINT NOT NULL
);

CREATE TABLE uploads (
    id             {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    upload         TEXT NOT NULL UNIQUE,    -- what clients see
    bucket         BIGINT NOT NULL,
    key            BYTEA NOT NULL,
    owner          BIGINT NOT NULL,
    initiated_ms   BIGINT NOT NULL,
    class          TEXT NOT NULL,
    headers        BYTEA NOT NULL,
    tags           BYTEA,
    checksum       BIGINT NOT NULL,         -- algorithm and type asked for; 0 none
    completed_ms   BIGINT,                  -- NULL: in progress
    result         BYTEA,                   -- of Complete, opaque to meta: a replay answers it again
    data_key       BYTEA,                   -- of all its parts, wrapped
    acl            BYTEA,                   -- as in keys: what the object will have
    lock_mode      BIGINT,
    retain_until_ms BIGINT,
    hold           BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX uploads_listed ON uploads (bucket, key, id) WHERE completed_ms IS NULL;
CREATE INDEX uploads_completed ON uploads (completed_ms, id) WHERE completed_ms IS NOT NULL;

CREATE TABLE parts (
    upload    BIGINT NOT NULL,
    number    BIGINT NOT NULL,
    inode     BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    etag      TEXT NOT NULL,
    mtime_ms  BIGINT NOT NULL,
    checksum  BYTEA,
    PRIMARY KEY (upload, number)
){LITE: WITHOUT ROWID};

-- On PostgreSQL rows are queued without a stamp, which the job gives them; on SQLite, which has one
-- writer, they are queued with it (meta/README.md, "Epochs").
CREATE TABLE dead (
    kind   BIGINT NOT NULL,                 -- 1 inode, 2 piece, 3 links that died together, 4 bucket
    id     BIGINT NOT NULL,
    stamp  BIGINT,                          -- NULL until the stamping job; 2^63-1: set aside
    at_ms  BIGINT NOT NULL,                 -- for --keep-deleted, and to stamp the oldest first
    PRIMARY KEY (id, kind)                  -- in this order: see meta/README.md, "Queues"
){LITE: WITHOUT ROWID};
CREATE INDEX dead_ripe ON dead (kind, stamp, id, at_ms) WHERE stamp IS NOT NULL;
CREATE INDEX dead_unstamped ON dead (at_ms, kind, id) WHERE stamp IS NULL;

CREATE TABLE doomed (
    slice     BIGINT NOT NULL,
    tag       BIGINT NOT NULL,
    due_ms    BIGINT NOT NULL,
    passes    BIGINT NOT NULL,              -- deletions done so far
    failures  BIGINT NOT NULL DEFAULT 0,    -- in a row; above 0: set aside until due_ms
    why       TEXT NOT NULL DEFAULT '',     -- of the last failure
    PRIMARY KEY (slice, tag)
){LITE: WITHOUT ROWID};
CREATE INDEX doomed_due ON doomed (due_ms, slice, tag);
CREATE INDEX doomed_failed ON doomed (slice, tag) WHERE failures > 0;

CREATE TABLE usage_deltas (
    bucket   BIGINT NOT NULL,
    objects  BIGINT NOT NULL,
    bytes    BIGINT NOT NULL
);

CREATE TABLE usage (
    bucket   {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    objects  BIGINT NOT NULL,
    bytes    BIGINT NOT NULL
);

-- Of an inode that is written at ranges: the last token drawn. Its row's lock orders the grants.
CREATE TABLE range_tokens (
    inode  {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    token  BIGINT NOT NULL
);

CREATE TABLE range_locks (
    inode      BIGINT NOT NULL,
    id         BIGINT NOT NULL,
    lo         BIGINT NOT NULL,             -- [lo, hi)
    hi         BIGINT NOT NULL,
    exclusive  BIGINT NOT NULL,
    granted    BIGINT NOT NULL,             -- 0: a waiter, in order of place
    place      BIGINT NOT NULL,             -- the token drawn when it was asked for
    token      BIGINT,                      -- the token drawn when it was granted
    session    BIGINT NOT NULL,
    asked_ms   BIGINT NOT NULL,
    PRIMARY KEY (inode, id)
){LITE: WITHOUT ROWID};

-- Range writes that are not folded into the key's row yet: insert-only.
CREATE TABLE inode_writes (
    inode     BIGINT NOT NULL,
    token     BIGINT NOT NULL,
    bucket    BIGINT NOT NULL,
    key       BYTEA NOT NULL,
    hi        BIGINT NOT NULL,              -- the write's end: the file is as long at least
    mtime_ms  BIGINT NOT NULL,
    PRIMARY KEY (inode, token)
){LITE: WITHOUT ROWID};

-- Files with range writes since they were last merged.
CREATE TABLE fragmented (
    inode     {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    bucket    BIGINT NOT NULL,
    key       BYTEA NOT NULL,
    token     BIGINT NOT NULL,              -- of the last write that was folded
    failures  BIGINT NOT NULL DEFAULT 0,    -- in a row; above 0: set aside until retry_ms
    retry_ms  BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE jobs (
    name            TEXT PRIMARY KEY,
    session         BIGINT NOT NULL,
    lease_until_ms  BIGINT NOT NULL,
    state           BYTEA,                  -- of the job; written under its token only
    token           BIGINT NOT NULL DEFAULT 0 -- random, drawn when the job is taken
);

-- --- who may do what: rows of identity and permissions (meta/README.md, "Access") ---------------
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

-- --- secrets that the master key seals ----------------------------------------------------------

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

-- --- events -------------------------------------------------------------------------------------

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


-- Functions and triggers: meta/core/triggers.sql.

INSERT INTO counters VALUES ('id', 1000);
INSERT INTO counters VALUES ('slice', 1);
INSERT INTO counters VALUES ('epoch', 1);
