# SPDX-License-Identifier: GPL-2.0-or-later
# Twintrack.  `make` builds, `make check` tests without root, `make test` tests all, `make demo` shows the main job.
# Overridable: CC, CFLAGS, BUILD, PREFIX, DESTDIR, SYSCONFDIR; V=1 shows the commands, SAN=1 builds with ASan and UBSan.
# FUZZ=1 CC=clang builds with what libFuzzer needs besides (see scripts/fuzz).

CC         ?= cc
PKG_CONFIG ?= pkg-config
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
RUNSTATEDIR ?= /run
BUILD      ?= build$(if $(FUZZ),-fuzz,$(if $(SAN),-san))
VERSION    := 0.1.0
, := ,

ifneq ($(V),1)
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
else
say = @:
endif

LIBS_PROTO  := libcrypto libxxhash
LIBS_KERNEL := libmnl libnftnl
LIBS_CONF   := inih
LIBS_DAEMON := jansson libnfnetlink libcap-ng libseccomp
LIBS_CLI    := jansson libmicrohttpd ncursesw
LIBS_OPT    := $(shell $(PKG_CONFIG) --exists libsystemd && echo libsystemd)
LIBS_ALL    := $(LIBS_PROTO) $(LIBS_KERNEL) $(LIBS_CONF) $(LIBS_DAEMON) $(LIBS_CLI) $(LIBS_OPT)

CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wconversion $(if $(WERROR),-Werror)

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. $(WARN) $(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer) \
	$(if $(FUZZ),-fsanitize=fuzzer-no-link) \
	-DTWINTRACK_VERSION='"$(VERSION)"' -DTWINTRACK_SYSCONFDIR='"$(SYSCONFDIR)"' -DTWINTRACK_RUNSTATEDIR='"$(RUNSTATEDIR)"' \
	$(if $(LIBS_OPT),-DHAVE_LIBSYSTEMD) $(LIB_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -Wl,--as-needed $(if $(SAN),-fsanitize=address$(,)undefined) $(LDFLAGS)
LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(LIBS_ALL) 2>/dev/null)
LIB_LIBS   := $(shell $(PKG_CONFIG) --libs $(LIBS_ALL) 2>/dev/null)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PROTO   := $(wildcard proto/*.c)
KERNEL  := $(wildcard syncd/kernel/*.c)
MESSAGES := $(wildcard syncd/control/*.c)
DAEMON  := $(wildcard syncd/daemon/*.c)
CLI     := $(wildcard syncd/cli/*.c syncd/cli/conntrack/*.c)
CONF    := $(wildcard conf/*.c)
UNIT    := $(wildcard tests/unit/*_test.c)
TOOLS   := $(wildcard tests/tools/*.c)
LIBRARY := $(PROTO) $(KERNEL) $(MESSAGES) $(CONF)

.PHONY: all
all: $(BUILD)/twintrackd $(BUILD)/twintrack

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# one archive: each program takes from it what it calls
$(BUILD)/libtwintrack.a: $(call objects,$(LIBRARY))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/twintrackd: $(call objects,$(DAEMON)) $(BUILD)/libtwintrack.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

$(BUILD)/twintrack: $(call objects,$(CLI)) $(BUILD)/libtwintrack.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

# test programs: tests/unit/NAME_test.c -> build/unit/NAME_test; tests/tools/NAME.c -> build/tools/NAME
.PHONY: unit tools
unit: $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT))
tools: $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(TOOLS)) $(BUILD)/tools/wallclock.so

# what unit tests share (tests/unit/*.c that are no test); the daemon's modules but its main() are linked in too
UNIT_SHARED := $(filter-out $(UNIT),$(wildcard tests/unit/*.c))
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(call objects,$(UNIT_SHARED)) $(BUILD)/libcli.a $(BUILD)/libdaemon.a $(BUILD)/libtwintrack.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS) -lcmocka

# tests/unit/allocation_test.c: proto/ with allocators that the test makes fail, behind a door that it sees opened
OBJCOPY ?= objcopy
$(BUILD)/obj/failing/%.o: $(BUILD)/obj/%.o
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-sym malloc=failing_malloc --redefine-sym calloc=failing_calloc \
		--redefine-sym realloc=failing_realloc --redefine-sym free=failing_free $< $@
$(BUILD)/obj/stepping/%.o: $(BUILD)/obj/%.o
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-sym node_step=stepping_node_step --redefine-sym node_create=stepping_node_create $< $@
$(BUILD)/unit/allocation_test: $(BUILD)/obj/tests/unit/allocation_test.o $(BUILD)/obj/stepping/tests/unit/cluster.o \
	$(call objects,$(addprefix tests/unit/,cluster_network.c cluster_role.c cluster_setup.c cluster_warm.c)) $(patsubst %.c,$(BUILD)/obj/failing/%.o,$(PROTO))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS) -lcmocka

$(BUILD)/libdaemon.a: $(call objects,$(filter-out syncd/daemon/main.c,$(DAEMON)))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# the deterministic simulator: the protocol alone, in simulated worlds
SIM := $(wildcard tests/sim/*.c)
$(BUILD)/sim: $(call objects,$(SIM)) $(BUILD)/libtwintrack.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

$(BUILD)/tools/%: $(BUILD)/obj/tests/tools/%.o $(BUILD)/libtwintrack.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

# for LD_PRELOAD: a program with a wall clock of its own
$(BUILD)/tools/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -fPIC -shared -o $@ $< -ldl

# fuzzers: tests/fuzz/NAME_fuzz.c -> build/fuzz/NAME with libFuzzer (FUZZ=1), else with a main() that takes files
FUZZERS     := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_SHARED := tests/fuzz/fuzz.c tests/fuzz/world.c tests/fuzz/steps.c tests/fuzz/steps_mutate.c tests/unit/random_flow.c
FUZZ_MAIN   := $(if $(FUZZ),,$(BUILD)/obj/tests/fuzz/main.o)
.PHONY: fuzzers
fuzzers: $(patsubst tests/fuzz/%_fuzz.c,$(BUILD)/fuzz/%,$(FUZZERS)) $(BUILD)/fuzz-corpus

$(BUILD)/libfuzz.a: $(call objects,$(FUZZ_SHARED))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# the command with another name for its main()
$(BUILD)/obj/tests/fuzz/cli_main.o: syncd/cli/main.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Dmain=cli_main -MMD -MP -c -o $@ $<
$(BUILD)/libcli.a: $(call objects,$(filter-out syncd/cli/main.c,$(CLI))) $(BUILD)/obj/tests/fuzz/cli_main.o
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(FUZZ_MAIN) $(BUILD)/libfuzz.a $(BUILD)/libcli.a $(BUILD)/libdaemon.a $(BUILD)/libtwintrack.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $^ $(LIB_LIBS)

$(BUILD)/fuzz-corpus: $(BUILD)/obj/tests/fuzz/corpus.o $(BUILD)/libfuzz.a $(BUILD)/libtwintrack.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

# ---- tests and the demonstration ----

.PHONY: check test demo fuzz sim mutants chaos soak warm blows failovers
# neither root nor a network
check:
	$(Q)scripts/run-tests check

# everything; as root
test:
	$(Q)scripts/install-deps --test
	$(Q)scripts/run-tests test

# SEEDS simulated worlds from FIRST on, after those that failed once
SEEDS ?= 2000
FIRST ?= 450001
sim: $(BUILD)/sim
	$(Q)$(BUILD)/sim --list tests/sim/seeds.txt --open tests/sim/open.txt --seeds $(SEEDS) --first $(FIRST) --jobs $(shell nproc)

# how quickly copies become equal again: doc/recovery.md and doc/recovery.svg
.PHONY: recovery
recovery: $(BUILD)/sim
	$(Q)BUILD=$(BUILD) scripts/recovery

# whether the simulator finds the faults in tests/sim/mutants
mutants:
	$(Q)scripts/run-mutants

# N random sequences of failures and switch-overs on namespaces, under traffic; as root.  SEED=S N=1 repeats one;
# JOBS sequences run side by side
chaos:
	$(Q)scripts/install-deps --test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) tests/netns/chaos.py $(if $(N),--sequences $(N)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS))

# kill -9, a hang, a full disk, a clock set back, at either node in the middle of every transition; as root
blows:
	$(Q)scripts/install-deps --test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) TWINTRACK_BLOWS=all /usr/bin/python3 -m pytest -q tests/netns/test_blows.py

# N failovers there and back under traffic of all kinds; as root
failovers: N ?= 20
failovers:
	$(Q)scripts/install-deps --test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) TWINTRACK_FAILOVERS=$(N) /usr/bin/python3 -m pytest -q -s tests/netns/test_every_kind.py

# a power cut in warm mode: LIVE connections, 1,000,000 idle flows behind; as root.  5,000 of them, which speak every
# 200 ms, keep two processors busy by themselves, and those of the firewall are the same here
warm: LIVE ?= 5000
warm:
	$(Q)scripts/install-deps --test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) TWINTRACK_IDLE=1000000 TWINTRACK_LIVE=$(LIVE) /usr/bin/python3 -m pytest -q tests/netns/test_warm.py -k behind

# T seconds (900) of 20,000 flow changes a second, with loss, outages, killed daemons, role changes and reloads; as root
soak:
	$(Q)scripts/install-deps --test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) tests/netns/soak.py --verbose \
		--seconds $(if $(filter file,$(origin T)),900,$(T)) $(if $(SEED),--seed $(SEED))

# every fuzzer for T seconds in all, shared out evenly, from the corpora in tests/fuzz/corpus
T ?= 600
fuzz:
	$(Q)scripts/fuzz $(T)

# line coverage of proto/ by unit tests, simulator and corpora; fails below COVERAGE percent.  MISSED=1 names the lines
COVERAGE ?= 95
.PHONY: coverage
coverage:
	$(Q)scripts/coverage $(COVERAGE)

# the main job, shown; as root.  CONTROL=1: without the fence; WARM=1: in warm mode
demo:
	$(Q)scripts/install-deps --demo
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)CONTROL=$(CONTROL) TWINTRACK_BUILD=$(abspath $(BUILD)) scripts/demo

# every figure beside its floor and conntrackd's; as root.  ONLY=name[,name], RUNS=n; `make bench ONLY=list` names them
.PHONY: bench bench-doc
bench:
	$(Q)scripts/install-deps --bench
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) tests/bench/bench --json $(BUILD)/bench.json $(if $(RUNS),--runs $(RUNS)) \
		$(if $(filter list,$(ONLY)),--list,$(if $(ONLY),--only $(ONLY)))

# what it measured, as a table and plots in doc/performance.md
bench-doc:
	$(Q)tests/bench/bench-doc $(BUILD)/bench.json

# ---- installing ----

BINDIR    := $(DESTDIR)$(PREFIX)/bin
SBINDIR   := $(DESTDIR)$(PREFIX)/sbin
LIBEXEC   := $(DESTDIR)$(PREFIX)/libexec/twintrack
DOCDIR    := $(DESTDIR)$(PREFIX)/share/doc/twintrack
MANDIR    := $(DESTDIR)$(PREFIX)/share/man
BASHCOMPDIR := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR  := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
CONFDIR   := $(DESTDIR)$(SYSCONFDIR)/twintrack
SYSTEMD   := $(DESTDIR)$(PREFIX)/lib/systemd
SYSUSERS  := $(DESTDIR)$(PREFIX)/lib/sysusers.d
TMPFILES  := $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
MODULES   := $(DESTDIR)$(PREFIX)/lib/modules-load.d
# where pacemaker looks for agents, whatever the prefix is (OCF_ROOT)
OCFDIR    ?= $(DESTDIR)/usr/lib/ocf/resource.d/twintrack

# the manual page of the configuration has its keys from the example that has them all
.PHONY: man
man: $(BUILD)/man/twintrackd.conf.5
$(BUILD)/man/twintrackd.conf.5: doc/man/twintrackd.conf.5.in conf/examples/twintrackd.conf scripts/man-conf
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)scripts/man-conf doc/man/twintrackd.conf.5.in conf/examples/twintrackd.conf >$@.new && mv $@.new $@

.PHONY: install
install: all man
	install -d $(BINDIR) $(SBINDIR) $(LIBEXEC) $(DOCDIR)/examples $(DOCDIR)/keepalived $(DOCDIR)/pacemaker $(DOCDIR)/monitoring $(CONFDIR)
	install -m 0755 $(BUILD)/twintrackd $(SBINDIR)/twintrackd
	install -m 0755 $(BUILD)/twintrack $(BINDIR)/twintrack
	install -m 0755 scripts/twintrack-notify $(LIBEXEC)/twintrack-notify
	install -d $(MANDIR)/man8 $(MANDIR)/man5 $(BASHCOMPDIR) $(ZSHCOMPDIR)
	install -m 0644 doc/man/twintrack.8 doc/man/twintrackd.8 $(MANDIR)/man8
	install -m 0644 $(BUILD)/man/twintrackd.conf.5 $(MANDIR)/man5
	install -m 0644 conf/completion/twintrack.bash $(BASHCOMPDIR)/twintrack
	install -m 0644 conf/completion/_twintrack $(ZSHCOMPDIR)/_twintrack
	install -m 0755 scripts/conntrackd $(LIBEXEC)/conntrackd
	install -m 0644 COPYING LICENSE $(wildcard doc/*.md doc/*.svg) $(DOCDIR)
	install -m 0644 conf/examples/*.conf $(DOCDIR)/examples
	for file in README.md $(wildcard conf/keepalived/*.conf); do \
		to=$(DOCDIR)/$${file#conf/}; \
		sed -e 's|/usr/local/bin/|$(PREFIX)/bin/|; s|/usr/local/libexec/|$(PREFIX)/libexec/|' $$file >$$to && chmod 0644 $$to || exit 1; \
	done
	install -m 0644 conf/pacemaker/cluster.xml $(DOCDIR)/pacemaker
	install -d $(OCFDIR)
	sed -e 's|/usr/sbin/twintrackd|$(PREFIX)/sbin/twintrackd|; s|/usr/bin/twintrack\([}"]\)|$(PREFIX)/bin/twintrack\1|; s|/etc/twintrack/|$(SYSCONFDIR)/twintrack/|' \
		-e 's|/run/twintrack/|$(RUNSTATEDIR)/twintrack/|' conf/pacemaker/twintrack >$(OCFDIR)/twintrack && chmod 0755 $(OCFDIR)/twintrack
	install -d $(SYSTEMD)/system $(SYSUSERS) $(TMPFILES) $(MODULES)
	for unit in twintrackd twintrack-exporter; do \
		sed -e 's|/usr/sbin/twintrackd|$(PREFIX)/sbin/twintrackd|; s|/usr/bin/twintrack |$(PREFIX)/bin/twintrack |; s|/etc/twintrack/|$(SYSCONFDIR)/twintrack/|g' \
			conf/systemd/$$unit.service >$(SYSTEMD)/system/$$unit.service && chmod 0644 $(SYSTEMD)/system/$$unit.service || exit 1; \
	done
	install -m 0644 conf/systemd/sysusers.conf $(SYSUSERS)/twintrack.conf
	install -m 0644 conf/systemd/tmpfiles.conf $(TMPFILES)/twintrack.conf
	install -m 0644 conf/systemd/modules-load.conf $(MODULES)/twintrack.conf
	install -m 0644 conf/sysctl/twintrack.conf $(DOCDIR)/examples/sysctl.conf
	sed -e 's|/usr/sbin/|$(PREFIX)/sbin/|; s|/usr/bin/|$(PREFIX)/bin/|' conf/openrc/twintrackd >$(DOCDIR)/examples/twintrackd.openrc
	chmod 0755 $(DOCDIR)/examples/twintrackd.openrc
	install -m 0644 conf/prometheus/twintrack.rules.yml conf/grafana/twintrack.json $(DOCDIR)/monitoring

# a Debian package in build/deb; the packaging is kept in conf/debian
.PHONY: deb test-deb rpm test-rpm test-exporter test-pacemaker test-monitoring
deb:
	$(Q)scripts/install-deps --build --package
	$(Q)scripts/make-deb

# installs it in a fresh root, runs a pair by the README, upgrades it under traffic, purges it; as root
test-deb:
	$(Q)scripts/install-deps --test --package
	$(Q)/usr/bin/python3 -m pytest -v tests/package/test_deb.py

# an rpm package in build/rpm, from conf/rpm/twintrack.spec; built, looked through, installed in an empty root and erased
rpm:
	$(Q)scripts/install-deps --build --rpm
	$(Q)scripts/make-rpm

test-rpm:
	$(Q)scripts/install-deps --build --demo --rpm
	$(Q)/usr/bin/python3 -m pytest -v tests/package/test_rpm.py

# alert rules and exported metrics, as Prometheus's own promtool sees them; as root
test-monitoring:
	$(Q)scripts/install-deps --test --monitoring
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -m pytest -v -rs tests/cli/test_alerts.py tests/netns/test_metrics.py

# the resource agent under ocf-tester, and in a cluster of two nodes with corosync and pacemaker; as root
test-pacemaker:
	$(Q)scripts/install-deps --test --pacemaker
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -m pytest -v -rs tests/pacemaker tests/netns/test_pacemaker.py

# the exporter and its page, with a screenshot by a headless Chromium in build/page.png; as root
test-exporter:
	$(Q)scripts/install-deps --test
	$(Q)command -v chromium >/dev/null || echo "chromium is not installed: the page is tested, yet no picture of it is made"
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)TWINTRACK_SCREENSHOT=$(abspath $(BUILD))/page.png /usr/bin/python3 -m pytest -v tests/netns/test_exporter.py

.PHONY: clean
clean:
	$(Q)rm -rf build build-*

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
