/* Figures of background jobs (fs/jobs.h) for /metrics. */
#include "gateway/metrics/metrics.h"

#include "fs/fs.h"
#include "gateway/metrics/metrics_text.h"

struct job_figure {
    const char *name, *type, *help;
    unsigned long long (*of)(const struct job_stats *j);
};

static unsigned long long job_last(const struct job_stats *j)
{
    return (unsigned long long)(j->last_success_ms / 1000);
}

static unsigned long long job_rounds(const struct job_stats *j)
{
    return j->rounds;
}

static unsigned long long job_failures(const struct job_stats *j)
{
    return j->failures;
}

static unsigned long long job_items(const struct job_stats *j)
{
    return j->items;
}

static unsigned long long job_set_aside(const struct job_stats *j)
{
    return j->set_aside;
}

void metrics_jobs(const struct fs_stats *fs, struct buf *out)
{
    static const struct job_figure figures[] = {
        {"kiseki_job_last_success_timestamp_seconds", "gauge",
         "When a background job last had a round without an error; 0: never since the start.",
         job_last},
        {"kiseki_job_rounds_total", "counter", "Rounds of a background job that succeeded.",
         job_rounds},
        {"kiseki_job_failures_total", "counter", "Rounds of a background job that failed.",
         job_failures},
        {"kiseki_job_items_total", "counter", "What a background job has seen to.", job_items},
        {"kiseki_job_set_aside_total", "counter",
         "Items that failed and are tried again later, by themselves.", job_set_aside},
    };

    for (size_t f = 0; f < sizeof(figures) / sizeof(figures[0]); f++) {
        metrics_head(out, figures[f].name, figures[f].type, figures[f].help);
        for (size_t i = 0; i < fs->job_count; i++)
            buf_printf(out, "%s{job=\"%s\"} %llu\n", figures[f].name, fs->jobs[i].name,
                       figures[f].of(&fs->jobs[i]));
    }
}
