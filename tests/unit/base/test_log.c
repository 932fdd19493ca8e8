#include "tests/unit/base/unit.h"

#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* The log goes into a pipe; what was written since the last look. */
static int pipe_ends[2];
static char seen[1 << 16];

static int open_pipe(void **state)
{
    (void)state;
    if (pipe(pipe_ends) != 0)
        return -1;
    return fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
}

static const char *take(void)
{
    size_t len = 0;
    ssize_t n;

    while ((n = read(pipe_ends[0], seen + len, sizeof(seen) - 1 - len)) > 0)
        len += (size_t)n;
    seen[len] = '\0';
    return seen;
}

/* After "2026-01-01T00:00:00.000Z ". */
static const char *take_after_time(void)
{
    const char *line = take();

    assert_true(strlen(line) > 25);
    assert_int_equal(line[23], 'Z');
    return line + 25;
}

static json_t *take_json(void)
{
    const char *line = take();
    json_error_t failure;
    size_t len = strlen(line);

    assert_true(len > 0 && strchr(line, '\n') == line + len - 1);
    json_t *object = json_loads(line, 0, &failure);
    if (object == NULL)
        fail_msg("%s in: %s", failure.text, line);
    return object;
}

static const char *member(json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void test_log__writes_text_lines(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, pipe_ends[1]);
    log_info("started \"%s\" on %d", "x", 9000);
    assert_string_equal(take_after_time(), "info started \"x\" on 9000\n");
    log_debug("not shown");
    assert_string_equal(take(), "");
    log_set_level(LOG_ERROR);
    log_warn("not shown");
    assert_string_equal(take(), "");
    assert_false(log_enabled(LOG_WARN));
    log_set_level(LOG_DEBUG);
    log_debug("shown");
    assert_string_equal(take_after_time(), "debug shown\n");
}

static void test_log__reads_names_of_levels(void **state)
{
    enum log_level level = LOG_DEBUG;

    (void)state;
    assert_ok(log_level_parse(STR("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_ok(log_level_parse(STR("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_parse(STR("WARN"), &level), ERR_INVALID);
    assert_int_equal(log_level_parse(STR(""), &level), ERR_INVALID);
}

static void test_log__a_client_can_not_forge_a_line(void **state)
{
    const struct log_field fields[] = {
        {.name = "key", .text = STR("a\nb\x1b[31m\xff\xc2\x85\xe2\x80\xa8 \"\\\0=\xc3\xa4")},
        {.name = "plain", .text = STR("/b/k\xc3\xa4y")},
        {.name = "empty", .text = STR_NONE},
        {.name = "status", .number = -200, .is_number = true},
    };

    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, pipe_ends[1]);
    log_warn("bad %s", "x\r\n2026 fake\\n\x7f\x01");
    assert_string_equal(take_after_time(), "warn bad x\\r\\n2026 fake\\\\n\\x7f\\x01\n");
    log_fields(LOG_INFO, "access", fields, LENGTH_OF(fields));
    assert_string_equal(
        take_after_time(),
        "info access key=\"a\\nb\\x1b[31m\\xff\\x85\\u2028 \\\"\\\\\\x00=\xc3\xa4\" "
        "plain=/b/k\xc3\xa4y empty=\"\" status=-200\n");
}

static void test_log__json_gives_the_bytes_back(void **state)
{
    const struct log_field fields[] = {
        {.name = "key", .text = STR("a\nb\x1b\xff\"\\/\xc3\xa4\xe2\x80\xa8")},
        {.name = "status", .number = INT64_MIN, .is_number = true},
    };

    (void)state;
    log_setup(LOG_INFO, LOG_JSON, pipe_ends[1]);
    log_fields(LOG_ERROR, "access", fields, LENGTH_OF(fields));
    json_t *object = take_json();
    assert_string_equal(member(object, "level"), "error");
    assert_string_equal(member(object, "event"), "access");
    assert_string_equal(member(object, "key"), "a\nb\x1b\\xff\"\\/\xc3\xa4\xe2\x80\xa8");
    assert_true(json_integer_value(json_object_get(object, "status")) == INT64_MIN);
    json_decref(object);
    log_info("it is \"%s\"", "x\n");
    object = take_json();
    assert_string_equal(member(object, "msg"), "it is \"x\n\"");
    assert_null(json_object_get(object, "request_id"));
    json_decref(object);
}

static void *log_in_another_thread(void *arg)
{
    (void)arg;
    log_info("other");
    return NULL;
}

static void test_log__carries_the_threads_request_id(void **state)
{
    pthread_t thread;

    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, pipe_ends[1]);
    log_set_request_id("4F3A");
    log_info("mine");
    assert_string_equal(take_after_time(), "info request_id=4F3A mine\n");
    assert_int_equal(pthread_create(&thread, NULL, log_in_another_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(take_after_time(), "info other\n");
    log_set_request_id("0123456789012345678901234567890123456789");
    log_info("cut");
    assert_string_equal(take_after_time(),
                        "info request_id=012345678901234567890123456789012345678 cut\n");
    log_setup(LOG_INFO, LOG_JSON, pipe_ends[1]);
    log_info("json");
    json_t *object = take_json();
    assert_string_equal(member(object, "request_id"), "012345678901234567890123456789012345678");
    json_decref(object);
    log_set_request_id("");
}

static void test_log__cuts_long_lines_and_keeps_their_form(void **state)
{
    static char bytes[6000], names[100][8];
    static struct log_field fields[100];

    (void)state;
    for (size_t round = 0; round < 3; round++) {
        memset(bytes, round == 0 ? 'x' : round == 1 ? '\n' : 0xff, sizeof(bytes) - 1);
        for (size_t i = 0; i < LENGTH_OF(fields); i++) {
            snprintf(names[i], sizeof(names[i]), "f%zu", i);
            fields[i] = (struct log_field){.name = names[i], .text = {bytes, i * 20}};
        }
        for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
            log_setup(LOG_INFO, (enum log_format)format, pipe_ends[1]);
            log_info("%s", bytes);
            size_t len = strlen(take());
            assert_in_range(len, 4000, 4096);
            assert_non_null(strstr(seen, "..."));
            assert_ptr_equal(strchr(seen, '\n'), seen + len - 1);
            fields[0].text.len = sizeof(bytes);
            for (size_t count = 0; count <= LENGTH_OF(fields); count++) {
                log_fields(LOG_INFO, "access", fields, count);
                if (format == LOG_JSON)
                    json_decref(take_json());
                else
                    take();
                assert_in_range(strlen(seen), 1, 4096);
            }
        }
    }
}

static void test_log__shows_a_whole_key_of_plain_bytes(void **state)
{
    static char key[1025];
    struct log_field fields[2] = {{.name = "key", .text = {key, 1024}},
                                  {.name = "status", .number = 200, .is_number = true}};

    (void)state;
    memset(key, 'k', 1024);
    log_setup(LOG_INFO, LOG_TEXT, pipe_ends[1]);
    log_fields(LOG_INFO, "access", fields, 2);
    assert_non_null(strstr(take(), key));
    assert_non_null(strstr(seen, "k status=200\n"));
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 300; i++)
        log_info("%s %s", (const char *)arg, "................................................");
    return NULL;
}

static void test_log__lines_of_threads_do_not_mix(void **state)
{
    static char *const names[] = {"aaaaaaaa", "bbbbbbbb", "cccccccc"};
    pthread_t threads[LENGTH_OF(names)];
    FILE *f = tmpfile();
    int lines = 0;

    (void)state;
    assert_non_null(f);
    int fd = fileno(f);
    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    log_setup(LOG_INFO, LOG_TEXT, fd);
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        pthread_join(threads[i], NULL);
    log_setup(LOG_INFO, LOG_TEXT, pipe_ends[1]);
    rewind(f);
    char line[200];
    while (fgets(line, sizeof(line), f) != NULL) {
        assert_int_equal(strlen(line), 25 + 5 + 8 + 1 + 48 + 1);
        assert_memory_equal(line + 30,
                            line[30] == 'a'   ? names[0]
                            : line[30] == 'b' ? names[1]
                                              : names[2],
                            8);
        lines++;
    }
    fclose(f);
    assert_int_equal(lines, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__writes_text_lines),
        cmocka_unit_test(test_log__reads_names_of_levels),
        cmocka_unit_test(test_log__a_client_can_not_forge_a_line),
        cmocka_unit_test(test_log__json_gives_the_bytes_back),
        cmocka_unit_test(test_log__carries_the_threads_request_id),
        cmocka_unit_test(test_log__cuts_long_lines_and_keeps_their_form),
        cmocka_unit_test(test_log__shows_a_whole_key_of_plain_bytes),
        cmocka_unit_test(test_log__lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, open_pipe, NULL);
}
