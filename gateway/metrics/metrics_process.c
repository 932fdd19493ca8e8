/*
 * Figures of the process, under the names that Prometheus's own client libraries use. Reading /proc
 * costs microseconds, and a scrape comes every few seconds.
 */
#include "gateway/metrics/metrics.h"
#include "gateway/metrics/metrics_text.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    metrics_head(out, name, type, help);
    buf_printf(out, "%s %.15g\n", name, value);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Pages of the whole address space, and of what is resident. */
static void read_pages(unsigned long long *out_all, unsigned long long *out_resident)
{
    FILE *f = fopen("/proc/self/statm", "re");

    *out_all = *out_resident = 0;
    if (f == NULL)
        return;
    if (fscanf(f, "%llu %llu", out_all, out_resident) != 2)
        *out_all = *out_resident = 0;
    fclose(f);
}

static double open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    double count = 0;

    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count - 3; /* `.`, `..`, and the one that reads */
}

void metrics_process(int64_t started_s, struct buf *out)
{
    double page = (double)sysconf(_SC_PAGESIZE);
    unsigned long long all, resident;
    struct rlimit files = {0, 0};
    struct rusage usage;

    read_pages(&all, &resident);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        one(out, "process_cpu_seconds_total", "counter", "User and system CPU time.",
            seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    one(out, "process_start_time_seconds", "gauge", "When the process started, since 1970.",
        (double)started_s);
    one(out, "process_virtual_memory_bytes", "gauge", "Size of the address space.",
        (double)all * page);
    one(out, "process_resident_memory_bytes", "gauge", "Memory in use.", (double)resident * page);
    one(out, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        one(out, "process_max_fds", "gauge", "The most that may be open.", (double)files.rlim_cur);
}
