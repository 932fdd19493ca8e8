/*
 * Makes allocations fail, on demand: LD_PRELOAD this into a program (tests/oom/README.md).
 *
 * malloc, calloc, realloc, strdup, strndup and pthread_create are replaced. A call counts if its
 * caller's code lies in one of the modules of OOM_MODULES ("self": the program; else words of
 * libraries' names, by commas), so that libraries that abort by themselves can be left alone.
 * OOM_SKIP takes ranges of the program out ("1a0-2b4,...", offsets): a test's own functions.
 *
 * What fails is in a page that others may map and change while the program runs (OOM_CONTROL names
 * its file), or, without one, in OOM_AT, OOM_SPAN, OOM_EVERY and OOM_SEED.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGES_MAX  64
#define CALLERS_MAX 32

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

enum mode { OFF, AT, EVERY };

/* tests/oom/oom.py knows this layout. */
struct control {
    _Atomic uint64_t mode, n; /* AT: the n-th fails; EVERY: one in n */
    _Atomic uint64_t span;    /* AT: how many from there on; 0: all */
    _Atomic uint64_t seed;
    _Atomic uint64_t count; /* calls that counted since it was set to 0 */
    _Atomic uint64_t failed;
    /* of those that failed, the last ones: an offset, and in the highest byte which module's */
    _Atomic uint64_t callers[CALLERS_MAX];
};

struct range {
    uintptr_t from, to, base;
    uint64_t module; /* its place in OOM_MODULES */
};

static struct control own, *control = &own;
static struct range wanted[RANGES_MAX], skipped[RANGES_MAX];
static size_t wanted_count, skipped_count;
static uintptr_t program_base;
static _Atomic bool ready;

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* The place in `modules` of the word that names this file, from 0; -1: none does. */
static int place_of(const char *path, const char *modules)
{
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

    if (path[0] == '\0')
        name = "self";
    for (int place = 0; *modules != '\0'; place++) {
        size_t len = strcspn(modules, ",");

        if (len > 0 && strncmp(name, modules, len) == 0)
            return place;
        modules += len + (modules[len] == ',');
    }
    return -1;
}

static int look_at_module(struct dl_phdr_info *info, size_t size, void *modules)
{
    int place = place_of(info->dlpi_name, modules);

    (void)size;
    if (info->dlpi_name[0] == '\0')
        program_base = info->dlpi_addr;
    for (int i = 0; place >= 0 && i < info->dlpi_phnum && wanted_count < RANGES_MAX; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0)
            wanted[wanted_count++] =
                (struct range){from, from + p->p_memsz, info->dlpi_addr, (uint64_t)place};
    }
    return 0;
}

static void read_skipped(const char *text)
{
    while (*text != '\0' && skipped_count < RANGES_MAX) {
        char *end;
        uintptr_t from = strtoull(text, &end, 16), to = strtoull(end + (*end == '-'), &end, 16);

        skipped[skipped_count++] = (struct range){program_base + from, program_base + to, 0, 0};
        text = end + (*end == ',');
    }
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = setting("OOM_CONTROL"), *modules = getenv("OOM_MODULES");
    int fd = *path != '\0' ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd >= 0) {
        void *at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (at != MAP_FAILED)
            control = at;
        close(fd);
    } else if (*setting("OOM_AT") != '\0') {
        own.mode = AT;
        own.n = strtoull(setting("OOM_AT"), NULL, 10);
        own.span = *setting("OOM_SPAN") != '\0' ? strtoull(setting("OOM_SPAN"), NULL, 10) : 1;
    } else if (*setting("OOM_EVERY") != '\0') {
        own.mode = EVERY;
        own.n = strtoull(setting("OOM_EVERY"), NULL, 10);
        own.seed = strtoull(setting("OOM_SEED"), NULL, 10);
    }
    dl_iterate_phdr(look_at_module, (void *)(modules != NULL ? modules : "self"));
    read_skipped(setting("OOM_SKIP"));
    ready = true;
}

/* Tells tests/oom/units that there was an n-th allocation. */
__attribute__((destructor)) static void end(void)
{
    static const char text[] = "oom: an allocation failed\n";

    if (getenv("OOM_REPORT") != NULL && control->failed > 0 &&
        write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        return;
}

static uint64_t mix(uint64_t x) /* splitmix64 */
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static const struct range *range_of(const struct range *list, size_t count, uintptr_t at)
{
    for (size_t i = 0; i < count; i++)
        if (at >= list[i].from && at < list[i].to)
            return &list[i];
    return NULL;
}

static bool fails(void *caller)
{
    uintptr_t at = (uintptr_t)caller - 1;
    const struct range *module;
    uint64_t i, n;
    bool fail;

    if (!ready || control->mode == OFF)
        return false;
    module = range_of(wanted, wanted_count, at);
    if (module == NULL || range_of(skipped, skipped_count, at) != NULL)
        return false;
    i = ++control->count;
    n = control->n;
    if (control->mode == AT)
        fail = i >= n && (control->span == 0 || i < n + control->span);
    else
        fail = n > 0 && mix(control->seed + i) % n == 0;
    if (fail)
        control->callers[control->failed++ % CALLERS_MAX] = (at - module->base) | module->module
                                                                                      << 56;
    return fail;
}

#define FAIL_IF_WANTED                                                                             \
    do {                                                                                           \
        if (fails(__builtin_return_address(0))) {                                                  \
            errno = ENOMEM;                                                                        \
            return NULL;                                                                           \
        }                                                                                          \
    } while (0)

void *malloc(size_t size)
{
    FAIL_IF_WANTED;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    FAIL_IF_WANTED;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    FAIL_IF_WANTED;
    return __libc_realloc(old, size);
}

static char *copy(const char *text, size_t len)
{
    char *to = __libc_malloc(len + 1);

    if (to != NULL) {
        memcpy(to, text, len);
        to[len] = '\0';
    }
    return to;
}

char *strdup(const char *text)
{
    FAIL_IF_WANTED;
    return copy(text, strlen(text));
}

char *strndup(const char *text, size_t max)
{
    FAIL_IF_WANTED;
    return copy(text, strnlen(text, max));
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (fails(__builtin_return_address(0)))
        return EAGAIN;
    if (real == NULL)
        real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(
            RTLD_NEXT, "pthread_create");
    return real(thread, attr, run, arg);
}
