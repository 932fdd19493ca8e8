/*
 * The lock of a whole file for a condition on its key, taken only once a statement was refused for
 * want of it: most files are never written at ranges. See meta/names/object_internal.h.
 */
#include "base/clock.h"
#include "meta/names/object_internal.h"

#define TRIES_MAX 4     /* the job that folds may come between, and the file be replaced */
#define LOCK_MS   10000 /* writes under way end sooner, or their gateway is dead */

enum err whole_lock_take(struct meta *m, const struct object_cond *c,
                         const struct object_state *now, struct whole_lock *s, bool *out_again)
{
    bool same = s->held && s->lock.inode == now->inode;
    *out_again = now->ranged && object_state_fits(c, now) && s->tries++ < TRIES_MAX;
    if (!*out_again || same)
        return OK;
    whole_lock_release(m, s);
    int64_t deadline = c->no_wait ? 0 : clock_boot_ms() + LOCK_MS;
    enum err err = lock_take(m, now->inode, 0, LOCK_TO_END, LOCK_EXCLUSIVE, deadline, &s->lock);
    s->held = err == OK;
    *out_again = err == OK;
    if (err == ERR_TIMEOUT && c->no_wait)
        return err_set(ERR_AGAIN, "the file is being written at ranges");
    return err == ERR_TIMEOUT ? err_set(ERR_BUSY, "the file is being written at ranges") : err;
}

void whole_lock_release(struct meta *m, struct whole_lock *s)
{
    if (s->held)
        lock_release(m, &s->lock, false);
    s->held = false;
}

int64_t whole_lock_id(const struct whole_lock *s)
{
    return s->held ? (int64_t)s->lock.id : 0;
}
