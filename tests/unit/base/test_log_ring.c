#include "tests/unit/base/unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/log_ring.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define MANY 8000 /* lines of 100 bytes: more than the ring and a pipe hold */

/* The log goes into a pipe. Its reader reads when the test says so. */
struct rig {
    int ends[2];
    FILE *reader;
    char line[5000];
};

static void rig_open(struct rig *r)
{
    assert_int_equal(pipe(r->ends), 0);
    r->reader = fdopen(r->ends[0], "r");
    assert_non_null(r->reader);
    log_setup(LOG_INFO, LOG_TEXT, r->ends[1]);
    assert_ok(log_start());
}

static void rig_close(struct rig *r)
{
    log_stop();
    close(r->ends[1]);
    fclose(r->reader);
}

/* The text of the next line after its time and level. */
static const char *next_line(struct rig *r)
{
    if (fgets(r->line, sizeof(r->line), r->reader) == NULL)
        return "(no line)";
    r->line[strcspn(r->line, "\n")] = '\0';
    return strlen(r->line) > 30 ? r->line + 30 : r->line;
}

/* The number that a line of log_numbers() begins with. */
static int number_at(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    return end == text + 6 ? (int)n : -1;
}

static void log_numbers(int first, int count)
{
    for (int i = first; i < first + count; i++)
        log_info("%06d .......................................................", i);
}

static void test_log_ring__nobody_waits_for_a_reader_that_sleeps(void **state)
{
    uint64_t before = log_dropped(), dropped;
    unsigned long long said = 0;
    int64_t begun = clock_mono_us();
    struct rig r;
    int got = 0;

    (void)state;
    rig_open(&r);
    log_numbers(0, MANY);
    assert_in_range(clock_mono_us() - begun, 0, 5000000);
    dropped = log_dropped() - before;
    assert_in_range(dropped, 1, MANY - 1);
    /* What was taken comes whole and in order, then how many are missing, then what comes later. */
    while (said == 0) {
        const char *text = next_line(&r);

        if (strstr(text, " lines of this log were dropped: its reader was too slow") != NULL)
            said = strtoull(text, NULL, 10);
        else
            assert_int_equal(number_at(text), got++);
    }
    assert_int_equal(said, dropped);
    assert_int_equal(said, MANY - got);
    log_info("afterwards");
    assert_string_equal(next_line(&r), "afterwards");
    rig_close(&r);
}

static void test_log_ring__ends_though_nobody_reads(void **state)
{
    int64_t begun;
    struct rig r;

    (void)state;
    rig_open(&r);
    log_numbers(0, MANY);
    begun = clock_mono_us();
    log_stop();
    assert_in_range(clock_mono_us() - begun, 500000, 5000000);
    begun = clock_mono_us();
    log_numbers(0, 100); /* and whoever still speaks waits once, not for each line */
    assert_in_range(clock_mono_us() - begun, 0, 5000000);
    rig_close(&r);
}

static void test_log_ring__writes_what_waits_before_it_ends(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r);
    log_numbers(0, 500);
    log_stop();
    for (int i = 0; i < 500; i++)
        assert_int_equal(number_at(next_line(&r)), i);
    rig_close(&r);
}

static void test_log_ring__a_full_disk_loses_lines_and_says_so(void **state)
{
    uint64_t before = log_dropped();
    struct rig r;
    int full = open("/dev/full", O_WRONLY), out;

    (void)state;
    assert_true(full >= 0);
    rig_open(&r);
    out = dup(r.ends[1]);
    assert_int_equal(dup2(full, r.ends[1]), r.ends[1]);
    log_numbers(0, 3);
    while (log_dropped() - before < 3)
        clock_nap(1);
    assert_int_equal(dup2(out, r.ends[1]), r.ends[1]);
    close(out);
    close(full);
    log_info("room again");
    assert_string_equal(next_line(&r), "3 lines of this log were dropped: No space left on device");
    assert_string_equal(next_line(&r), "room again");
    rig_close(&r);
}

static void test_log_ring__a_closed_descriptor_hurts_nobody(void **state)
{
    uint64_t before = log_dropped();
    struct rig r;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    rig_open(&r);
    fclose(r.reader);
    log_numbers(0, 3);
    while (log_dropped() - before < 3)
        clock_nap(1);
    log_stop();
    close(r.ends[1]);
    assert_ok(log_start());
    log_numbers(0, 2);
    log_stop();
    assert_int_equal(log_dropped() - before, 5);
}

static void test_log_ring__takes_a_descriptor_that_does_not_block(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r);
    assert_int_equal(fcntl(r.ends[1], F_SETFL, O_NONBLOCK), 0);
    log_numbers(0, 2500); /* more than a pipe holds, less than the ring */
    for (int i = 0; i < 2500; i++)
        assert_int_equal(number_at(next_line(&r)), i);
    rig_close(&r);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 400; i++)
        log_info("%s %06d", (const char *)arg, i);
    return NULL;
}

static void test_log_ring__keeps_the_order_of_each_thread(void **state)
{
    static char *const names[] = {"a", "b", "c", "d"};
    int next[LENGTH_OF(names)] = {0};
    pthread_t threads[LENGTH_OF(names)];
    struct rig r;

    (void)state;
    rig_open(&r);
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (size_t i = 0; i < 400 * LENGTH_OF(names); i++) {
        const char *text = next_line(&r);
        size_t who = (size_t)(text[0] - 'a');

        assert_in_range(who, 0, LENGTH_OF(names) - 1);
        assert_int_equal(number_at(text + 2), next[who]++);
    }
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        pthread_join(threads[i], NULL);
    rig_close(&r);
}

static size_t no_notice(uint64_t lines, const char *why, char out[LOG_LINE_MAX])
{
    (void)lines;
    (void)why;
    (void)out;
    return 0;
}

static bool can_be_read(const struct rig *r)
{
    struct pollfd p = {.fd = r->ends[0], .events = POLLIN};

    return poll(&p, 1, 10) > 0;
}

/* As log_fatal() and log_stop() after it do, on a busy machine. */
static void test_log_ring__a_thread_that_is_late_ends_by_itself(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r);
    for (int i = 0; i < 20; i++) {
        int64_t deadline = clock_boot_ms() + 20000;

        log_stop();
        assert_ok(log_ring_start(no_notice));
        log_ring_stop(-10000); /* over before it begins */
        do                     /* as soon as it has ended, callers write their lines */
            log_info("late");
        while (!can_be_read(&r) && clock_boot_ms() < deadline);
        assert_true(clock_boot_ms() < deadline);
        assert_string_equal(next_line(&r), "late");
        log_stop();
    }
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_ring__nobody_waits_for_a_reader_that_sleeps),
        cmocka_unit_test(test_log_ring__ends_though_nobody_reads),
        cmocka_unit_test(test_log_ring__writes_what_waits_before_it_ends),
        cmocka_unit_test(test_log_ring__a_full_disk_loses_lines_and_says_so),
        cmocka_unit_test(test_log_ring__a_closed_descriptor_hurts_nobody),
        cmocka_unit_test(test_log_ring__takes_a_descriptor_that_does_not_block),
        cmocka_unit_test(test_log_ring__keeps_the_order_of_each_thread),
        cmocka_unit_test(test_log_ring__a_thread_that_is_late_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
