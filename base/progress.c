#include "base/progress.h"

#include "base/clock.h"
#include "base/fd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_US 100000
#define LINE_US   5000000
#define WAIT_US   30000000 /* lines of a wait that may take many minutes */
#define BAR_WIDTH 24
#define END_MS    200
#define LINE_MAX  256

void progress_size(char *out, size_t size, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, size, unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void append_time(char *out, size_t size, double seconds)
{
    unsigned s = seconds < 1e9 ? (unsigned)seconds : 1000000000;

    if (s >= 3600)
        snprintf(out, size, "%uh%02um", s / 3600, s / 60 % 60);
    else
        snprintf(out, size, "%um%02us", s / 60, s % 60);
}

void progress_text(const struct progress *p, int64_t elapsed_us, char *out, size_t size)
{
    double seconds = elapsed_us > 0 ? (double)elapsed_us / 1e6 : 1e-6;
    double rate = (double)p->items / seconds;
    char bytes[80] = "", left[40] = "";
    int n;

    if (p->bytes > 0) {
        char amount[32], speed[32];

        progress_size(amount, sizeof(amount), (double)p->bytes);
        progress_size(speed, sizeof(speed), (double)p->bytes / seconds);
        snprintf(bytes, sizeof(bytes), ", %s, %s/s", amount, speed);
    }
    if (p->total > p->items && p->items > 0) {
        char time[24]; /* of a number of at most 20 digits and its units */

        append_time(time, sizeof(time), (double)(p->total - p->items) / rate);
        snprintf(left, sizeof(left), ", %s left", time);
    }
    /* The total was counted before; more may have come since, and a wrong one does not help. */
    if (p->total >= p->items && p->total > 0)
        n = snprintf(out, size, "%s: %llu of %llu (%llu %%)", p->what, (unsigned long long)p->items,
                     (unsigned long long)p->total, (unsigned long long)(p->items * 100 / p->total));
    else
        n = snprintf(out, size, "%s: %llu", p->what, (unsigned long long)p->items);
    if (n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ", %.0f/s%s%s%s%s", rate, bytes, left,
                 p->waits_for[0] != '\0' ? "; " : "", p->waits_for);
}

/* A terminal that is stopped, a pipe that is full: the work goes on, only its end is waited for. */
static void draw(struct progress *p, bool last, const char *end)
{
    char line[LINE_MAX + BAR_WIDTH + 32], text[LINE_MAX], bar[BAR_WIDTH + 1];
    uint64_t full = p->total > 0 ? p->items * BAR_WIDTH / p->total : 0;
    bool has_bar = p->total > 0 && p->items <= p->total;

    progress_text(p, clock_mono_us() - p->begun_us, text, sizeof(text));
    for (uint64_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '=' : ' ';
    bar[BAR_WIDTH] = '\0';
    if (!p->terminal)
        snprintf(line, sizeof(line), "%s%s\n", text, end);
    else if (has_bar)
        snprintf(line, sizeof(line), "\r\033[K[%s] %s%s%s", bar, text, end, last ? "\n" : "");
    else
        snprintf(line, sizeof(line), "\r\033[K%s%s%s", text, end, last ? "\n" : "");
    if (fd_write_within(STDERR_FILENO, line, strlen(line), last ? END_MS : 0, NULL) != OK)
        return; /* nobody looks */
}

void progress_begin(struct progress *p, const char *what, uint64_t total, bool quiet)
{
    *p = (struct progress){.what = what,
                           .total = total,
                           .quiet = quiet,
                           .terminal = isatty(STDERR_FILENO) == 1,
                           .begun_us = clock_mono_us()};
    p->shown_us = p->begun_us;
}

static void show(struct progress *p, int64_t every_us)
{
    int64_t now = clock_mono_us();

    if (p->quiet || now - p->shown_us < (p->terminal ? REDRAW_US : every_us))
        return;
    p->shown_us = now;
    draw(p, false, "");
}

void progress_add(struct progress *p, uint64_t items, uint64_t bytes)
{
    p->items += items;
    p->bytes += bytes;
    if (items > 0)
        p->waits_for[0] = '\0';
    show(p, LINE_US);
}

void progress_wait(struct progress *p, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (vsnprintf(p->waits_for, sizeof(p->waits_for), fmt, args) < 0)
        p->waits_for[0] = '\0';
    va_end(args);
    show(p, p->was_waiting ? WAIT_US : 0);
    p->was_waiting = true;
}

void progress_end(struct progress *p, enum err how)
{
    p->waits_for[0] = '\0';
    if (!p->quiet && (how == OK || p->items > 0))
        draw(p, true, how != OK ? ", broken off" : p->terminal ? "" : ", done");
}
