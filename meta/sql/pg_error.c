/*
 * PostgreSQL's SQLSTATE and libpq's failures as enum err, with what an operator needs to know in
 * the text, and no value of a parameter.
 */
#include "meta/sql/pg.h"

#include <string.h>

/* The longest match wins: "23505" before "23". */
static const struct {
    const char *state;
    enum err code;
} codes[] = {
    {"08", ERR_BUSY},        /* connection exceptions */
    {"22", ERR_INVALID},     /* data exceptions */
    {"22012", ERR_EXISTS},   /* division by zero: access_require (account.def) */
    {"23505", ERR_EXISTS},   /* unique violation */
    {"23503", ERR_CONFLICT}, /* foreign key violation */
    {"23", ERR_CONDITION},   /* check, not null, exclusion */
    {"25006", ERR_BUSY},     /* read-only transaction: a standby, or being switched over */
    {"28", ERR_DENIED},      /* authorization */
    {"3D", ERR_NOT_FOUND},   /* no such database */
    {"40", ERR_CONFLICT},    /* serialization failure, deadlock */
    {"42501", ERR_DENIED},   /* insufficient privilege */
    {"53100", ERR_FULL},     /* disk full */
    {"53", ERR_BUSY},        /* out of memory, too many connections */
    {"55P03", ERR_BUSY},     /* lock timeout */
    {"57014", ERR_TIMEOUT},  /* statement cancelled */
    {"57", ERR_BUSY},        /* shutting down, starting up */
    {"58", ERR_BUSY},        /* I/O errors of the server */
    {"P0", ERR_CONDITION},   /* RAISE in a trigger */
    {"XX001", ERR_CORRUPT},  {"XX002", ERR_CORRUPT},
};

enum err pg_code(const char *sqlstate)
{
    enum err found = ERR_BUG;
    size_t longest = 0;
    for (size_t i = 0; sqlstate != NULL && i < sizeof(codes) / sizeof(codes[0]); i++) {
        size_t len = strlen(codes[i].state);
        if (len > longest && strncmp(sqlstate, codes[i].state, len) == 0) {
            longest = len;
            found = codes[i].code;
        }
    }
    return found;
}

enum err pg_fail(const PGresult *r, const char *statement)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL)
        return err_set(ERR_BUSY, "PostgreSQL: %s: the connection was lost", statement);
    struct str text = str_of(message != NULL ? message : "no message");
    if (strncmp(state, "22", 2) == 0) /* "invalid input syntax for type bigint: "VALUE"" */
        text = str_sub(text, 0, str_find(text, '"'));
    return err_set(pg_code(state), "PostgreSQL: %s: %s " STR_FMT, statement, state, STR_ARG(text));
}

static const struct {
    const char *says;
    enum err code;
    const char *advice;
} refusals[] = {
    {"password authentication failed", ERR_DENIED,
     "check user and password of the metadata URL, or KISEKI_META_PASSWORD"},
    {"no password supplied", ERR_DENIED, "set KISEKI_META_PASSWORD"},
    {"no pg_hba.conf entry", ERR_DENIED, "allow this host, user and database in pg_hba.conf"},
    {"\" does not exist", ERR_DENIED,
     "create that user or database (createuser, createdb), or check the metadata URL"},
    {"permission denied for", ERR_DENIED, "give the user the right (GRANT)"},
    {"Connection refused", ERR_BUSY, "is PostgreSQL running at that host and port?"},
    {"No such file or directory", ERR_BUSY, "is PostgreSQL running there?"},
    {"could not translate host name", ERR_BUSY, "check the host name of the metadata URL"},
    {"read-only", ERR_BUSY, "no server of the metadata URL accepts writes"},
};

enum err pg_fail_connection(const PGconn *pg)
{
    char text[ERR_TEXT_MAX / 2];
    const char *message = pg != NULL ? PQerrorMessage(pg) : "out of memory";
    size_t len = 0;
    for (const char *p = message; *p != '\0' && len + 1 < sizeof(text); p++)
        if (*p != '\n' || p[1] != '\0') /* several lines become one */
            text[len++] = *p == '\n' || *p == '\t' ? ' ' : *p;
    text[len] = '\0';
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (strstr(text, refusals[i].says) != NULL)
            return err_set(refusals[i].code, "PostgreSQL: %s; %s", text, refusals[i].advice);
    return err_set(ERR_BUSY, "PostgreSQL: %s", len > 0 ? text : "the connection was lost");
}
