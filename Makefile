# Kiseki: an S3 gateway over a filesystem of its own. `make help` lists what this file can do.

PREFIX  ?= /usr/local
DESTDIR ?=
FLAVOUR ?= release
BUILD   ?= build/$(FLAVOUR)
CC      ?= cc
VERSION := $(shell cat VERSION)

# --- flags ---------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes \
            -Wpointer-arith -Wvla -Werror
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
OPT_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
               -fno-sanitize-recover=undefined
OPT_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
# Threads count together; without optimizing, a line is what was written.
OPT_coverage := -O0 -g --coverage -fprofile-update=atomic
OPT_hooks   := $(OPT_release) -DKISEKI_TEST_HOOKS
# Without the checks that do not see what a struct owns, nor what an out-parameter holds when the
# result is OK: of their 33 reports in the tree, those that were read were false.
OPT_analyze := -O1 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak \
               -Wno-analyzer-null-dereference -Wno-analyzer-possible-null-dereference \
               -Wno-analyzer-null-argument
OPT_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined

PACKAGES := libmicrohttpd libpq sqlite3 libcurl libcrypto jansson expat zlib gnutls
PKG_CONFIG ?= pkg-config
ifneq ($(filter-out help deps clean format run,$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PACKAGES) && echo yes),yes)
$(error Libraries are missing. Run `make deps` (Debian packages), or install: $(PACKAGES))
endif
endif

CPPFLAGS += -I. -D_GNU_SOURCE -DKISEKI_VERSION='"$(VERSION)"' $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
CFLAGS   += -std=gnu11 $(OPT_$(FLAVOUR)) $(WARNINGS) -pthread
LDFLAGS  += $(filter -fsanitize=% --coverage,$(OPT_$(FLAVOUR))) -pthread
LDLIBS   += $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -lm
CMOCKA_LIBS = $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null)

# --- sources: one static library a layer, in link order ---------------------------------------
LAYERS  := gateway fs meta base
sources  = $(sort $(shell find $(1) -name '$(2)'))
$(foreach l,$(LAYERS),$(eval SRC_$(l) := $(filter-out gateway/app/main.c,$(call sources,$(l),*.c))))
LIBS    := $(foreach l,$(LAYERS),$(BUILD)/lib$(l).a)
objects  = $(patsubst %.c,$(BUILD)/%.o,$(1))

# A unit test links only its own layer and those below it.
LIBS_base    := $(BUILD)/libbase.a
LIBS_meta    := $(BUILD)/libmeta.a $(LIBS_base)
LIBS_fs      := $(BUILD)/libfs.a $(LIBS_meta)
LIBS_gateway := $(BUILD)/libgateway.a $(LIBS_fs)
UNIT_SRC := $(call sources,tests/unit tests/contract,test_*.c)
UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))

.PHONY: all help deps deps-check run check check-all unit unit-programs debug tsan hooks fuzz \
        analyze analyzed lint format install uninstall clean torture coverage bench bench-background oom s3-tests
.DEFAULT_GOAL := all
.SECONDARY:

all: build/kiseki ## Build build/kiseki

build/kiseki: $(BUILD)/kiseki
	@cp -f $< $@.tmp && mv -f $@.tmp $@

$(BUILD)/kiseki: $(BUILD)/gateway/app/main.o $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

define layer_library
$(BUILD)/lib$(1).a: $(call objects,$(SRC_$(1)))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_library,$(l))))

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The schema and its migrations as C strings.
$(BUILD)/meta/core/%_sql.h: meta/core/%.sql
	@mkdir -p $(@D)
	sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< >$@
$(BUILD)/meta/core/schema.o: CPPFLAGS += -I$(BUILD)
$(BUILD)/meta/core/schema.o: $(patsubst %.sql,$(BUILD)/%_sql.h,$(wildcard meta/core/*.sql))

define unit_test
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/tests/unit/$(1)/%.o $(LIBS_$(1))
	$(CC) $(LDFLAGS) -o $$@ $$^ $(LDLIBS) $(CMOCKA_LIBS)
endef
$(foreach l,$(LAYERS),$(eval $(call unit_test,$(l))))
$(BUILD)/tests/contract/%: $(BUILD)/tests/contract/%.o $(LIBS_gateway)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(CMOCKA_LIBS)

unit-programs: $(UNIT_BIN)

unit: $(UNIT_BIN) ## Build and run the unit tests
	@tests/run-unit $(UNIT_BIN)

# --- other builds ------------------------------------------------------------------------------
define sanitized
tests/install-packages test
tests/harness/install-needs
$(MAKE) --no-print-directory -j2 FLAVOUR=$(1) BUILD=build/$(1) build/$(1)/kiseki unit-programs
tests/check all $(1)
endef

debug: ## Build and test with AddressSanitizer and UndefinedBehaviorSanitizer: all tests
	@$(call sanitized,asan)

tsan: ## Build and test with ThreadSanitizer: all tests
	@$(call sanitized,tsan)

coverage: ## Print how much of the code unit and contract tests run; COVERAGE=all: all tests
	@tests/install-packages test
	@tests/install-packages coverage
	@tests/harness/install-needs
	@$(MAKE) --no-print-directory -j2 CC=gcc FLAVOUR=coverage BUILD=build/coverage \
	    build/coverage/kiseki unit-programs
	@tests/coverage $(COVERAGE)

build/oom.so: tests/oom/oom.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g $(WARNINGS) -shared -fPIC -o $@ $<

oom: all build/oom.so $(UNIT_BIN) ## Let every allocation fail in turn: no crash, nothing lost (minutes)
	@tests/install-packages test
	@tests/harness/install-needs
	@tests/oom/run

analyze: ## Let gcc's static analyzer look at all sources that changed (part of lint)
	@$(MAKE) --no-print-directory FLAVOUR=analyze BUILD=build/analyze CC=gcc analyzed

analyzed: $(foreach l,$(LAYERS),$(call objects,$(SRC_$(l))))

hooks: ## Build with switches that break safety, for tests that must notice (build/hooks)
	@$(MAKE) --no-print-directory FLAVOUR=hooks BUILD=build/hooks build/hooks/kiseki

FUZZ_SECONDS ?= 60
fuzz: ## Run each fuzzer for FUZZ_SECONDS (default 60), with its seeds
	tests/run-fuzz $(FUZZ_SECONDS)

# --- what users type ---------------------------------------------------------------------------
deps: ## Install the Debian packages that building needs (root or sudo)
	@tests/install-packages build

run: ## Install what is missing, build, and serve S3 at 127.0.0.1:9000 from ./data
	@tests/install-packages build
	@$(MAKE) --no-print-directory -j2 all
	@exec build/kiseki serve

check: ## Install what tests need and run the tests of every change, on both ways to run
	@tests/install-packages test
	@tests/harness/install-needs
	@$(MAKE) --no-print-directory -j2 all unit-programs
	@tests/check check

check-all: ## Run all tests; AFTER=check: but for those that `make check` has just run
	@tests/install-packages test
	@tests/harness/install-needs
	@$(MAKE) --no-print-directory -j2 all unit-programs hooks build/oom.so
	@tests/check $(if $(filter check,$(AFTER)),rest,all)

torture: all hooks build/oom.so $(UNIT_BIN) ## Ten minutes (TORTURE_SECONDS) of long fault tests, each reproducible by its seed
	@tests/install-packages test
	@tests/harness/install-needs
	@tests/torture

bench: all ## Measure Kiseki beside MinIO and other peers on PATH
	@tests/harness/install-needs
	@tests/bench/run $(BENCH_ARGS)

bench-background: hooks ## Measure what background work costs writers, and that it keeps up
	@tests/harness/install-needs
	@tests/bench/background $(BENCH_ARGS)

s3-tests: all ## Run the public suite: make s3-tests S3TESTS=DIR (a checkout of ceph/s3-tests)
	@test -n "$(S3TESTS)" || { echo "give S3TESTS=DIR, a checkout of ceph/s3-tests" >&2; exit 2; }
	@tests/harness/install-needs
	@tests/s3tests/run "$(S3TESTS)" $(S3TESTS_ARGS)

lint: ## Check layers, sizes, complexity, banned functions, headers, formatting, shell; analyze
	@tests/lint

format: ## Format all C files with clang-format
	@clang-format -i $$(git ls-files '*.c' '*.h')

install: all ## Install the program, its man page and a systemd unit (DESTDIR, PREFIX)
	install -D -m 755 build/kiseki $(DESTDIR)$(PREFIX)/bin/kiseki
	build/kiseki man >$(BUILD)/kiseki.1
	install -D -m 644 $(BUILD)/kiseki.1 $(DESTDIR)$(PREFIX)/share/man/man1/kiseki.1
	sed 's#@PREFIX@#$(PREFIX)#' docs/kiseki.service.in >$(BUILD)/kiseki.service
	install -D -m 644 $(BUILD)/kiseki.service $(DESTDIR)$(PREFIX)/lib/systemd/system/kiseki.service

uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/kiseki $(DESTDIR)$(PREFIX)/share/man/man1/kiseki.1 \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/kiseki.service

clean: ## Remove build/
	rm -rf build

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
