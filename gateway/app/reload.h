/*
 * SIGHUP: what a running gateway reads again.
 *
 * Flags and variables of a process cannot change, but the configuration file can, and so can the
 * files that settings name. reload_settings() reads them, compares each setting with what is in
 * force, and logs what changed: taken at once (OPTION_RELOAD in the table), or in need of a
 * restart, which is said at each SIGHUP as long as it is so. A mistake anywhere leaves all settings
 * as they are. The level and the format of the log are changed here; the caller brings the other
 * new values to where they are used, and reads certificate and keys again whatever has changed,
 * since files may have new contents under old names.
 *
 * Threads: main's.
 */
#ifndef KISEKI_GATEWAY_APP_RELOAD_H
#define KISEKI_GATEWAY_APP_RELOAD_H

#include "gateway/app/config.h"

struct reload {
    const struct config *started; /* what needs a restart is as it was then */
    struct config latest;         /* what was read last, if anything was */
    bool is_reread;
};

void reload_init(struct reload *r, const struct config *started);
void reload_fini(struct reload *r);

/* Where the settings of OPTION_RELOAD are. Valid until the next reload_settings(). */
const struct config *reload_current(const struct reload *r);
/* Likewise of tls-cert and tls-key: https itself is switched on and off by a restart. */
const struct config *reload_current_tls(const struct reload *r);

/* False: nothing was taken, and the log says why. Blocks on the disk. */
bool reload_settings(struct reload *r);

/* The level and the format that the settings name; the options' table has checked both texts. */
void reload_log(const struct config *c);

#endif
