/* How store.c opens the backends: the rest of a URL behind its scheme, checked by the backend. */
#ifndef KISEKI_FS_STORE_BACKENDS_H
#define KISEKI_FS_STORE_BACKENDS_H

#include "fs/store/store.h"

/*
 * `path` is created when missing; fails when it cannot be written. must_have as in store_options.
 */
MUST_USE enum err store_dir_open(const char *path, const char *must_have, struct store **out);
/* `spec` is what follows "s3://"; defaults of `opts` are filled in already. */
MUST_USE enum err store_s3_open(const char *spec, const struct store_options *opts,
                                struct store **out);

#endif
