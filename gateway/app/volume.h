/*
 * From settings to a volume: where its parts are, and whose keys open it.
 *
 * The embedded default keeps everything in one folder (--data): meta.db, store/, and two files of
 * mode 0600 made at random on the first start: `credentials` (the root user) and `master.key`.
 */
#ifndef KISEKI_GATEWAY_APP_VOLUME_H
#define KISEKI_GATEWAY_APP_VOLUME_H

#include "fs/fs.h"
#include "gateway/app/config.h"

/* Texts and the keys that fs_options points into. */
struct volume {
    char meta_url[4096];
    char store_url[4096];
    char host[256];
    char access_key[129];
    char secret_key[129];
    uint8_t master_key[32];
    bool has_master_key;
    bool made_credentials; /* on this start */
    bool embedded;         /* credentials live in --data */
    char credentials_path[4096];
    struct fs_options options;
};

/*
 * Fills *out; makes the data folder and its files when `create`. ERR_INVALID or ERR_DENIED with a
 * line that says what to do.
 */
MUST_USE enum err volume_prepare(const struct config *c, bool create, struct volume *out);
/*
 * The root user's key as `c`, or of the embedded default its file, has it now: of *out only
 * access_key and secret_key are filled. Errors as volume_prepare() has them; ERR_NOT_FOUND: the
 * file is gone.
 */
MUST_USE enum err volume_root_key(const struct config *c, const struct volume *v,
                                  struct volume *out);
/* Forgets the keys. */
void volume_forget(struct volume *v);

#endif
