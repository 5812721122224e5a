# killpoint: `make help` lists the targets. One build folder per variant:
# debug (default), release, asan; `make V=1` shows the commands.
VARIANT ?= debug
BUILD := $(if $(filter debug,$(VARIANT)),build,build/$(VARIANT))
OBJ := $(BUILD)/obj
ifeq ($(origin CC),default)
CC := gcc
endif
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=CI,KILLPOINT_LAYOUTS)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
  -Wmissing-prototypes -Wvla -Wundef -Wformat=2 -Wwrite-strings -Wcast-qual -Wpointer-arith \
  -Wimplicit-fallthrough -Wnull-dereference -Wno-missing-field-initializers
XML := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags libxml-2.0 2>/dev/null))
BASE := -std=gnu11 -D_GNU_SOURCE $(XML) $(WARN) -g -fno-common -fstack-protector-strong -fPIE
OPT_debug := -O1
OPT_release := -O2 -D_FORTIFY_SOURCE=3
OPT_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ALL_CFLAGS = $(BASE) $(OPT_$(VARIANT)) $(if $(WERROR),-Werror) -MMD -MP $(CFLAGS)
PIE := -pie
ALL_LDFLAGS = $(PIE) -Wl,-z,relro,-z,now $(filter -fsanitize%,$(OPT_$(VARIANT))) $(LDFLAGS)
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1) $(patsubst $(BUILD)/%,%,$@)")

# A program is its own main file and the modules of its folder and of those below it.
src = $(filter-out %_main.c,$(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(OBJ)/%.o,$(1))
FAULT := $(call objs,$(call src,fault))
FAULT_LIBS := -l:libseccomp.a -l:libxxhash.a
FAKES := $(call objs,$(call src,fakes))
RUNNER := $(call objs,$(call src,scenarios))
RUNNER_LIBS := -lssl -lcrypto -lyaml -ljansson -lxml2 $(FAULT_LIBS)
IMPL := $(call objs,$(call src,impl))

PROGS := $(BUILD)/bin/provision-ca $(BUILD)/bin/killpoint $(BUILD)/bin/faultrun $(BUILD)/fakes/smolvm \
  $(BUILD)/fakes/docker
TEST_LAYOUTS := bookworm bookworm-mini bullseye-mini trixie-mini host
PROVE_LAYOUTS := bullseye bookworm trixie bullseye-mini bookworm-mini trixie-mini \
  bookworm-deselected bookworm-local bookworm-hook host
TESTS := $(patsubst tests/test_%.c,$(BUILD)/tests/test_%,$(wildcard tests/test_*.c))
# Those that TEST_HEAVY=1 makes longer; one of them compares with a release build's faultrun.
HEAVY := test_engine_exact test_engine_install test_engine_memory test_faultrun test_impl_steps \
  test_killpoint_resume test_unprivileged
# Not with a sanitizer's runtime: they play a static faultrun in a guest, weigh its memory, try a
# shell script, or play for minutes what others of them play as well.
ifeq ($(VARIANT),asan)
TESTS := $(filter-out %/test_engine_install %/test_engine_memory %/test_impl_steps %/test_later \
  %/test_broken %/test_killpoint_resume %/test_unprivileged,$(TESTS))
endif

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all programs FORCE

all: programs ## build the programs
programs: $(PROGS)

# --- compiling -------------------------------------------------------------
# The stamp changes when the compiler or its flags do, and everything is made anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
FORCE:

$(OBJ)/%.o: %.c $(BUILD)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

link = $(Q)mkdir -p $(@D); $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(1)
$(BUILD)/bin/provision-ca: $(OBJ)/impl/provision_ca_main.o $(IMPL)
	$(call say,LD)
	$(call link,-lcrypto -ljansson)
$(BUILD)/fakes/smolvm $(BUILD)/fakes/docker: $(BUILD)/fakes/%: $(OBJ)/fakes/%_main.o $(FAKES) $(FAULT)
	$(call say,LD)
	$(call link,-ljansson $(FAULT_LIBS))
# Static: faultrun, so that it can be copied into any guest, and smolvm in a release, so that each call
# starts sooner. The sanitizers cannot be linked so.
$(BUILD)/fakes/smolvm: private PIE = $(if $(filter release,$(VARIANT)),-static-pie,-pie)
$(BUILD)/bin/faultrun: private PIE = $(if $(filter asan,$(VARIANT)),-pie,-static-pie)
$(BUILD)/bin/faultrun: $(OBJ)/fault/faultrun_main.o $(FAULT)
	$(call say,LD)
	$(call link,$(FAULT_LIBS))
$(BUILD)/bin/killpoint: $(OBJ)/scenarios/killpoint_main.o $(RUNNER) $(FAKES) $(FAULT)
	$(call say,LD)
	$(call link,$(RUNNER_LIBS))

# --- tests -----------------------------------------------------------------
# tests/test_impl_*.c stand beside impl/ alone, all others beside everything else.
$(BUILD)/tests/test_impl_%: $(OBJ)/tests/test_impl_%.o $(IMPL)
	$(call say,LD)
	$(call link,-lcmocka -lcrypto -ljansson)
$(BUILD)/tests/bench: $(call objs,$(wildcard tests/bench*.c)) $(RUNNER) $(FAKES) $(FAULT)
	$(call say,LD)
	$(call link,$(RUNNER_LIBS))
$(BUILD)/tests/mutants: $(OBJ)/tests/mutants.o $(RUNNER) $(FAKES) $(FAULT)
	$(call say,LD)
	$(call link,$(RUNNER_LIBS))
$(BUILD)/tests/mutants $(BUILD)/tests/test_broken: $(OBJ)/tests/mutant.o
$(BUILD)/tests/test_tracer: $(OBJ)/tests/tracer_members.o
$(BUILD)/tests/test_%: $(OBJ)/tests/test_%.o $(OBJ)/tests/support.o $(RUNNER) $(FAKES) $(FAULT)
	$(call say,LD)
	$(call link,-lcmocka $(RUNNER_LIBS))

# --- what people call --------------------------------------------------------
.PHONY: run test unit testprograms mutants heavy valgrind asan check repeat prove bench format help clean distclean
run: ## play the suite with both policies, or BACKEND=FILE.yaml, on bookworm (sets everything up)
	$(Q)ci/deps
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)$(SUDO) ci/play $(BUILD) $(BACKEND)
test: ## unit and end-to-end tests (sets everything up)
	$(Q)ci/deps
	$(Q)$(MAKE) --no-print-directory unit
testprograms: $(TESTS) $(BUILD)/tests/mutants
unit: programs testprograms
	$(Q)$(SUDO) ci/test $(BUILD) $(TEST_LAYOUTS)
mutants: programs $(BUILD)/tests/mutants ## wrong backends, and the check that catches each
	$(Q)$(SUDO) ci/layouts bookworm-mini
	$(Q)$(SUDO) $(BUILD)/tests/mutants
heavy: programs testprograms ## the tests that can be longer, at full size: an hour
	$(Q)$(MAKE) --no-print-directory VARIANT=release programs
	$(Q)$(SUDO) ci/layouts $(TEST_LAYOUTS)
	$(Q)$(SUDO) env TEST_HEAVY=1 ci/test $(BUILD) -- $(HEAVY)
valgrind: programs testprograms ## memcheck over unit tests, provision-ca, fakes and runner
	$(Q)$(SUDO) ci/layouts $(TEST_LAYOUTS)
	$(Q)$(SUDO) ci/valgrind $(BUILD)
asan: ## the tests with address and undefined behaviour sanitizers
	$(Q)$(MAKE) --no-print-directory VARIANT=asan unit
check: ## format, headers, arrows between folders, clang, clang-tidy
	$(Q)ci/check
repeat: programs ## the suite again and again, shuffled, under load: does a verdict differ?
	$(Q)$(SUDO) ci/layouts bookworm
	$(Q)$(SUDO) ci/repeat $(BUILD) $(or $(N),50) bookworm
prove: programs ## every crash point of both policies on every layout (about an hour)
	$(Q)$(SUDO) ci/layouts $(PROVE_LAYOUTS)
	$(Q)$(SUDO) ci/prove $(BUILD) $(BUILD)/prove
bench: ## paired timings
	$(Q)$(MAKE) --no-print-directory VARIANT=release programs build/release/tests/bench
	$(Q)$(SUDO) ci/layouts bookworm bookworm-mini bookworm-20 bookworm-80
	$(Q)$(SUDO) build/release/tests/bench
format: ## put every source file into the house format
	clang-format -i $(wildcard */*.[ch])
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1 \2/p' Makefile | while read -r target text; do \
	  printf '  %-9s %s\n' "$$target" "$$text"; done
clean: ## remove what was built, but not the layouts
	rm -rf $(filter-out build/layouts,$(wildcard build/*))
distclean: ## remove everything that was built
	rm -rf build

-include $(wildcard $(OBJ)/*/*.d)
