#include "base/log_ring.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define RING_BYTES ((size_t)256 << 10)
#define DIRECT_MS  1000 /* a caller that writes by itself waits so long for a reader */
#define POLL_MS    50   /* the thread looks whether it should end */

static struct {
    /* immutable while the thread runs */
    int fd;
    log_notice_fn *notice;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* by the monotonic clock */
    /* guarded by lock */
    bool running;     /* lines go to the ring; stays set when the thread could not be ended */
    bool stopping;    /* what waits is written until `until_us`, then the thread ends */
    bool gone;        /* the thread has ended */
    bool detached;    /* it did not end in time, and nobody joins it */
    bool dropping;    /* the ring was full and is not empty yet */
    int64_t until_us; /* by clock_mono_us() */
    size_t head, used;
    uint64_t lost; /* lines dropped and not yet said */

    /* the thread's own */
    bool failed;    /* the last write did */
    bool half_line; /* it left a line without an end */
    int why;        /* errno of the last failure; 0: the ring was full */

    /* atomic */
    _Atomic uint64_t dropped;
    _Atomic bool stuck; /* a caller's own write timed out */

    char bytes[RING_BYTES];
} ring = {.fd = STDERR_FILENO, .lock = PTHREAD_MUTEX_INITIALIZER};

static void lose(uint64_t lines)
{
    ring.lost += lines;
    atomic_fetch_add_explicit(&ring.dropped, lines, memory_order_relaxed);
}

static uint64_t count_lines(const char *data, size_t len)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < len; i++)
        lines += data[i] == '\n';
    return lines;
}

/* --- the ring, under its lock ----------------------------------------------------------------- */

static void copy_in(const char *line, size_t len)
{
    size_t at = (ring.head + ring.used) % RING_BYTES;
    size_t first = len < RING_BYTES - at ? len : RING_BYTES - at;

    memcpy(ring.bytes + at, line, first);
    memcpy(ring.bytes, line + first, len - first);
    ring.used += len;
}

/* Takes whole lines, as many as one write() may carry. */
static size_t copy_out(char out[LOG_LINE_MAX])
{
    size_t len = ring.used < LOG_LINE_MAX ? ring.used : LOG_LINE_MAX;
    size_t first = len < RING_BYTES - ring.head ? len : RING_BYTES - ring.head;

    memcpy(out, ring.bytes + ring.head, first);
    memcpy(out + first, ring.bytes, len - first);
    while (len > 0 && out[len - 1] != '\n')
        len--;
    ring.head = (ring.head + len) % RING_BYTES;
    ring.used -= len;
    return len;
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool is_late(void)
{
    bool late;

    pthread_mutex_lock(&ring.lock);
    late = ring.stopping && clock_mono_us() >= ring.until_us;
    pthread_mutex_unlock(&ring.lock);
    return late;
}

/* Waits for the reader as long as it takes; false: these bytes are lost. */
static bool write_out(const char *data, size_t len)
{
    size_t done = 0, n = 0;
    enum err err = ERR_TIMEOUT;

    if (ring.half_line) {
        err = fd_write_within(ring.fd, "\n", 1, 0, NULL);
        ring.half_line = err != OK;
    }
    do {
        err = fd_write_within(ring.fd, data + done, len - done, POLL_MS, &n);
        done += n;
    } while (err == ERR_TIMEOUT && !is_late());
    ring.why = err == ERR_IO ? errno : 0;
    ring.failed = err != OK;
    if (err == OK)
        return true;
    ring.half_line = ring.half_line || (done > 0 && data[done - 1] != '\n');
    pthread_mutex_lock(&ring.lock);
    lose(count_lines(data + done, len - done));
    pthread_mutex_unlock(&ring.lock);
    return false;
}

/* What was lost stands in the log before what comes after it. */
static void say_lost(uint64_t lines)
{
    const char *why = ring.why != 0 ? strerrordesc_np(ring.why) : NULL;
    char line[LOG_LINE_MAX];

    if (write_out(line, ring.notice(lines, why != NULL ? why : "its reader was too slow", line)))
        return;
    pthread_mutex_lock(&ring.lock);
    ring.lost += lines - 1; /* the line that said so was counted just now */
    atomic_fetch_sub_explicit(&ring.dropped, 1, memory_order_relaxed);
    pthread_mutex_unlock(&ring.lock);
}

/* The next thing to write: lines into `out`, or a number of lost ones. False: it is time to end. */
static bool next(char out[LOG_LINE_MAX], size_t *out_len, uint64_t *out_lost)
{
    bool go_on;

    *out_len = *out_lost = 0;
    pthread_mutex_lock(&ring.lock);
    while (ring.used == 0 && !ring.dropping && !ring.stopping)
        pthread_cond_wait(&ring.changed, &ring.lock);
    go_on = ring.used > 0 || ring.dropping;
    if (ring.stopping && clock_mono_us() >= ring.until_us)
        go_on = false;
    if (go_on && ring.lost > 0 && (ring.used == 0 || ring.failed)) {
        *out_lost = ring.lost;
        ring.lost = 0;
    }
    if (ring.used == 0)
        ring.dropping = false;
    if (go_on)
        *out_len = copy_out(out);
    pthread_mutex_unlock(&ring.lock);
    return go_on;
}

static void *write_lines(void *arg)
{
    char lines[LOG_LINE_MAX];
    uint64_t lost;
    size_t len;

    (void)arg;
    while (next(lines, &len, &lost)) {
        if (lost > 0)
            say_lost(lost);
        if (len > 0)
            write_out(lines, len);
    }
    pthread_mutex_lock(&ring.lock);
    while (ring.used > 0)
        lose(count_lines(lines, copy_out(lines)));
    ring.gone = true;
    if (ring.detached)
        ring.running = false; /* nobody joins it: lines are written by their callers again */
    pthread_cond_broadcast(&ring.changed);
    pthread_mutex_unlock(&ring.lock);
    return NULL;
}

/* --- for base/log.c --------------------------------------------------------------------------- */

void log_ring_use(int fd)
{
    ring.fd = fd;
    ring.half_line = false;
    atomic_store(&ring.stuck, false);
}

enum err log_ring_start(log_notice_fn *notice)
{
    pthread_condattr_t attr;
    int failure;

    if (ring.running)
        return OK;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ring.changed, &attr);
    pthread_condattr_destroy(&attr);
    ring.stopping = ring.gone = ring.detached = ring.failed = ring.dropping = false;
    ring.lost = 0;
    ring.why = 0;
    ring.running = true;
    ring.notice = notice;
    failure = pthread_create(&ring.thread, NULL, write_lines, NULL);
    if (failure == 0) {
        pthread_setname_np(ring.thread, "log");
        return OK;
    }
    ring.running = false;
    return err_set(ERR_NOMEM, "cannot start the thread of the log: %s", strerror(failure));
}

void log_ring_stop(int64_t ms)
{
    struct timespec until = clock_mono_after(ms + 4 * POLL_MS);
    bool gone, detached;

    pthread_mutex_lock(&ring.lock);
    if (!ring.running) {
        pthread_mutex_unlock(&ring.lock);
        return;
    }
    ring.stopping = true;
    ring.until_us = clock_mono_us() + ms * 1000;
    pthread_cond_broadcast(&ring.changed);
    while (!ring.gone && pthread_cond_timedwait(&ring.changed, &ring.lock, &until) == 0)
        ;
    gone = ring.gone;
    detached = ring.detached; /* by the stop before this one */
    ring.running = !gone;
    ring.detached = !gone;
    pthread_mutex_unlock(&ring.lock);
    if (detached)
        return;
    if (gone) {
        pthread_join(ring.thread, NULL);
        pthread_cond_destroy(&ring.changed);
    } else {
        pthread_detach(ring.thread); /* it sits in write(2), and ends with the process */
    }
}

static void put_directly(const char *line, size_t len)
{
    bool stuck = atomic_load(&ring.stuck);
    enum err err = fd_write_within(ring.fd, line, len, stuck ? 0 : DIRECT_MS, NULL);

    if ((err == ERR_TIMEOUT) != stuck)
        atomic_store(&ring.stuck, err == ERR_TIMEOUT);
    if (err != OK)
        atomic_fetch_add_explicit(&ring.dropped, 1, memory_order_relaxed);
}

void log_ring_put(const char *line, size_t len)
{
    pthread_mutex_lock(&ring.lock);
    if (!ring.running) {
        pthread_mutex_unlock(&ring.lock);
        put_directly(line, len);
        return;
    }
    if (ring.dropping || len > RING_BYTES - ring.used) {
        ring.dropping = true;
        lose(1);
    } else {
        copy_in(line, len);
        if (ring.used == len)
            pthread_cond_broadcast(&ring.changed);
    }
    pthread_mutex_unlock(&ring.lock);
}

uint64_t log_ring_dropped(void)
{
    return atomic_load_explicit(&ring.dropped, memory_order_relaxed);
}
