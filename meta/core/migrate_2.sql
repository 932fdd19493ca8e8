-- From schema version 1 to 2: files that are written at ranges.
ALTER TABLE keys ADD COLUMN ranged TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN writes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inode_pieces ADD COLUMN died BIGINT;
CREATE INDEX inode_pieces_died ON inode_pieces (died) WHERE died IS NOT NULL;
DROP TABLE range_locks;
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
    inode   {PG: BIGINT}{LITE: INTEGER} PRIMARY KEY,
    bucket  BIGINT NOT NULL,
    key     BYTEA NOT NULL,
    token   BIGINT NOT NULL                 -- of the last write that was folded
);

DELETE FROM counters WHERE name = 'token';
