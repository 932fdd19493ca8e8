#include "meta/sql/driver.h"

static enum err pg_open(const char *url, const struct sql_options *o, struct sql_driver **out)
{
    (void)url, (void)o, (void)out;
    return err_set(ERR_UNSUPPORTED, "PostgreSQL is not built yet");
}

const struct sql_driver_ops sql_postgres_ops = {.name = "PostgreSQL", .open = pg_open};
