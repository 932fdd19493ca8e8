#include "meta/sql/sqlite_parts.h"

#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>

enum err sqlite_code_of(int rc, bool preparing)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return ERR_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return ERR_CONFLICT;
    default:
        break;
    }
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_CONSTRAINT:
        return ERR_CONDITION;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_TOOBIG:
        return ERR_TOO_LARGE;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_ERROR:
        return preparing ? ERR_BUG : ERR_INVALID;
    case SQLITE_MISMATCH:
        return ERR_INVALID;
    default:
        return ERR_BUG;
    }
}

bool sqlite_finds_no_room(struct sqlite3 *db, int rc)
{
    if ((rc & 0xff) == SQLITE_FULL || rc == SQLITE_IOERR_SHMSIZE)
        return true;
    if ((rc & 0xff) != SQLITE_IOERR || db == NULL)
        return false;
    int number = sqlite3_system_errno(db);
    return number == ENOSPC || number == EDQUOT;
}

bool sqlite_concerns_all(enum err err)
{
    return err == ERR_BUSY || err == ERR_FULL || err == ERR_NOMEM || err == ERR_CORRUPT;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* kiseki_unhex(text), for {BLOBS}; SQLite has one of its own only from 3.41 on. */
static void unhex(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    (void)argc;
    const unsigned char *text = sqlite3_value_text(argv[0]);
    int len = sqlite3_value_bytes(argv[0]);
    if (text == NULL || len % 2 != 0) {
        sqlite3_result_error(ctx, "not hex digits", -1);
        return;
    }
    unsigned char *out = sqlite3_malloc(len / 2 + 1);
    if (out == NULL) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    for (int i = 0; i < len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            sqlite3_free(out);
            sqlite3_result_error(ctx, "not hex digits", -1);
            return;
        }
        out[i / 2] = (unsigned char)(high << 4 | low);
    }
    sqlite3_result_blob(ctx, out, len / 2, sqlite3_free);
}

void sqlite_add_functions(struct sqlite3 *db)
{
    (void)sqlite3_create_function_v2(db, "kiseki_unhex", 1,
                                     SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                                     unhex, NULL, NULL, NULL);
}
