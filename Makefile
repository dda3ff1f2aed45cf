# SPDX-License-Identifier: Apache-2.0
#
# make                 build/varved, build/varve and build/varve-fetch
# make check           unit tests            make check-root    bats tests on this kernel (root)
# make check-crash     kills at each step    make check-vm      stock kernels
# make check-boot      the installed agent under systemd on a stock kernel, with a reboot (root)
# make check-power     full and broken disks; the store after power cuts, in 1 000 states and more (root)
# make lint            formatting, includes, spelling, scripts
# make analyze         clang's warnings, clang-tidy and gcc -fanalyzer
# make check-page      the agent's pages in Chromium (root; the package chromium)
# make check-upgrade   upgrades from each released version, which it builds (root)
# make soak            load over time: ten minutes, or SECONDS=3600 (root)
# make check-hardening checks the hardening of the built programs
# make bench           measurements as JSON  make install       DESTDIR and PREFIX; make uninstall
# make deb             Debian packages in build/deb
# make check-system    whole systems in VMs: Debian 12 and 13 with the package, and arm64 (root, network, hours)
# make check-packages  the packages of Debian 12 and 13, amd64 and arm64, in fresh systems (root, network)
# make fuzz            searches for inputs that break a parser, FUZZ_SECONDS=10 for each
# make SAN=address|thread [target]           the same in build/asan or build/tsan
# make FAIL_POINTS=1 [target]                an agent that tests can kill between two steps, in
#                                            build/failpoints (base/fail_point.h); build/asan has one
# make CC=clang OUT=build/clang              with another compiler, in another folder
# make V=1                                   shows the commands

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

CC := gcc
CLANG := clang
BPFTOOL := $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX := /usr/local
UNIT_DIR = $(PREFIX)/lib/systemd/system
# Debian's zsh looks there.
ZSH_DIR = $(DATA)/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
# The agent reads it there, whatever the prefix.
CONFIG := /etc/varve/varved.conf
SAN :=
FAIL_POINTS :=
ifeq ($(SAN),address)
OUT := build/asan
FAIL_POINTS := 1
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SAN),thread)
OUT := build/tsan
SAN_FLAGS := -fsanitize=thread -fno-omit-frame-pointer
else ifeq ($(SAN),fuzz)
OUT := build/fuzz
CC := $(CLANG)
SAN_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
OUT := $(if $(FAIL_POINTS),build/failpoints,build)
WERROR := -Werror
endif
GEN := $(OUT)/gen
# Its one place is the first heading of the news: "## 1.2.3 (date)".
VERSION := $(shell sed -n 's/^## \([0-9][^ ]*\).*/\1/p' NEWS.md | head -n 1)

PKG_CONFIG := pkg-config
PACKAGES := libbpf libelf zlib mount smartcols sqlite3 libnghttp2 libprotobuf-c libsystemd inih jansson \
	libcrypto libisal libzstd libcurl libseccomp libcap-ng libmicrohttpd ncursesw tinfo
DEP_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
DEP_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lm

# Builds with sanitizers take half the time so, and their reports have the lines, too.
CFLAGS := $(if $(SAN),-O1 -g1,-O2 -g)
# The programs of a root daemon are hardened, but not in sanitizer builds, which have checks of their own.
# The C library can fortify only with optimization, so a build without it is: make CFLAGS=-O0 HARDENING=
ifeq ($(SAN),)
HARDENING = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	$(if $(filter x86_64,$(ARCH)),-fcf-protection) -fPIE
HARDENING_LDFLAGS = $(if $(HARDENING),-pie -Wl$(comma)-z$(comma)relro -Wl$(comma)-z$(comma)now)
endif
comma := ,

ALL_CFLAGS = -std=gnu11 -fvisibility=hidden -D_GNU_SOURCE -Wall -Wextra -Wvla -Wshadow \
	-Wmissing-prototypes -Wstrict-prototypes -Wconversion $(WERROR) -pthread $(SAN_FLAGS) $(CFLAGS) $(HARDENING) \
	$(if $(FAIL_POINTS),-DVARVE_FAIL_POINTS) \
	-Iuserspace -I. -isystem $(GEN) $(DEP_CFLAGS) -MD -MP
ALL_LDFLAGS = -pthread $(SAN_FLAGS) $(HARDENING_LDFLAGS) $(LDFLAGS) -Wl,--as-needed

# What is compiled for, which need not be this machine.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))
# The type information of the programs has the paths of their files, and is a part of varved.
BPF_CFLAGS := -O2 -g -Wall -Wextra -Werror -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -mcpu=v3 \
	-I/usr/include/$(shell $(CC) -print-multiarch) -Ibpf -ffile-prefix-map=$(CURDIR)=. -MMD -MP

MAINS := userspace/daemon/main.c userspace/cli/main.c userspace/fetch/main.c
SOURCES := $(filter-out $(MAINS),$(wildcard userspace/*/*.c userspace/*/*/*.c))
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
PROTOS := $(wildcard userspace/proto/*.proto)
PROTO_OBJECTS := $(PROTOS:userspace/proto/%.proto=$(GEN)/%.pb-c.o)
PROTO_HEADERS := $(PROTO_OBJECTS:.o=.h)
SKELETONS := $(patsubst bpf/%.bpf.c,$(GEN)/%.skel.h,$(wildcard bpf/*.bpf.c))
FUZZ_TARGETS := $(patsubst %.c,$(OUT)/%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_TESTS := $(patsubst %.c,$(OUT)/%,$(wildcard tests/unit/test_*.c)) \
	$(FUZZ_TARGETS:$(OUT)/tests/fuzz/%=$(OUT)/tests/unit/test_%)
# Builds with sanitizers measure nothing.
TOOLS := $(patsubst %.c,$(OUT)/%,$(wildcard tests/tools/*.c $(if $(SAN),,tests/bench/*.c)))
PRELOADS := $(patsubst %.c,$(OUT)/%.so,$(wildcard tests/soak/*.c))
PYTHON_PROTOS := $(PROTOS:userspace/proto/%.proto=$(GEN)/%_pb2.py)
# Programs with the code of containerd, which is written in Go. All builds share those of build/.
SUITE := tests/tools/containerd_suite
GO_PROGRAMS := $(SUITE) tests/tools/containerd_mount tests/tools/containerd_pull \
	tests/bench/peer_snapshotter tests/bench/export_image
GO = GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$(CURDIR)/build/go GOFLAGS=-ldflags=-w go
LIBRARY := $(OUT)/libvarve.a
TEST_LIBRARY := $(OUT)/libtest.a

ifeq ($(V),)
say = @printf '  %-8s %s\n' $(1) $(@:$(OUT)/%=%);
endif

.PHONY: all tools python-protos unit-tests go-programs tests check check-root check-many-files check-crash check-power check-upgrade check-vm check-boot check-system man-pages soak check-page check-hardening lint analyze bench bench-eviction fuzz fuzz-targets install install-data uninstall deb check-packages clean
all: $(OUT)/varved $(OUT)/varve $(OUT)/varve-fetch
tools: $(TOOLS) $(PRELOADS)
python-protos: $(PYTHON_PROTOS)
unit-tests: $(UNIT_TESTS)
go-programs: $(GO_PROGRAMS:%=$(OUT)/%)
tests: all tools unit-tests python-protos go-programs
fuzz-targets: $(FUZZ_TARGETS)

$(OUT)/varved: $(OUT)/userspace/daemon/main.o $(LIBRARY)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DEP_LIBS)

$(OUT)/varve: $(OUT)/userspace/cli/main.o $(LIBRARY)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DEP_LIBS)

$(OUT)/varve-fetch: $(OUT)/userspace/fetch/main.o $(LIBRARY)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DEP_LIBS)

$(LIBRARY): $(OBJECTS) $(PROTO_OBJECTS)
	$(call say,AR)rm -f $@ && ar rcs $@ $^

$(OUT)/%.o: %.c | $(PROTO_HEADERS) $(SKELETONS) $(GEN)/base/version.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Made anew with the news, but younger only when the version is another one.
$(GEN)/base/version.h: NEWS.md
	@mkdir -p $(@D)
	@printf '/* Made from NEWS.md. */\n#pragma once\n\n#define VARVE_VERSION "%s"\n' '$(VERSION)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# The project's warnings are off for code that protobuf-c generates.
$(GEN)/%.pb-c.o: $(GEN)/%.pb-c.c
	$(call say,CC)$(CC) -std=gnu11 $(SAN_FLAGS) $(CFLAGS) $(HARDENING) -I$(GEN) -c -o $@ $<

$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h: userspace/proto/%.proto
	@mkdir -p $(GEN)
	$(call say,PROTO)protoc-c --c_out=$(GEN) -Iuserspace/proto $<

$(OUT)/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(GEN)/%.skel.h: $(OUT)/%.bpf.o
	@mkdir -p $(GEN)
	$(call say,SKEL)$(BPFTOOL) gen skeleton $< name $*_skeleton > $@

$(OUT)/tests/unit/%: tests/unit/%.c $(TEST_LIBRARY) $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,TEST)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIBRARY) $(LIBRARY) -lcmocka $(DEP_LIBS)

# Replays the corpus of a fuzz target as unit tests.
$(OUT)/tests/unit/test_fuzz_%: tests/fuzz/fuzz_%.c $(OUT)/tests/fuzz/replay.o $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,TEST)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(OUT)/tests/fuzz/replay.o $(LIBRARY) $(DEP_LIBS)

$(OUT)/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,FUZZ)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIBRARY) $(DEP_LIBS)

# Code that tools, benches and unit tests share.
$(TEST_LIBRARY): $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/lib/*.c))
	$(call say,AR)rm -f $@ && ar rcs $@ $^

$(OUT)/tests/tools/%: tests/tools/%.c $(TEST_LIBRARY) $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,TOOL)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIBRARY) $(LIBRARY) -luring $(DEP_LIBS)

$(OUT)/tests/bench/%: tests/bench/%.c $(TEST_LIBRARY) $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,BENCH)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIBRARY) $(LIBRARY) $(DEP_LIBS)

$(GEN)/%_pb2.py: userspace/proto/%.proto
	@mkdir -p $(GEN)
	$(call say,PROTO)protoc --python_out=$(GEN) -Iuserspace/proto $<

# Shifts the wall clock of an agent that it is preloaded into.
$(OUT)/tests/soak/%.so: tests/soak/%.c
	@mkdir -p $(@D)
	$(call say,TOOL)$(CC) $(filter-out $(SAN_FLAGS) $(HARDENING),$(ALL_CFLAGS)) -fPIC -shared -o $@ $<

# Debian's Go packages are not modules, and building with them needs no network.
$(patsubst %,build/%,$(filter-out $(SUITE),$(GO_PROGRAMS))): build/%: %/main.go
	@mkdir -p $(@D)
	$(call say,GO)$(GO) build -o $@ $<

build/$(SUITE): tests/tools/containerd_suite/suite_test.go
	@mkdir -p $(@D)
	$(call say,GO)$(GO) test -c -o $@ $<

ifneq ($(OUT),build)
$(GO_PROGRAMS:%=$(OUT)/%): $(OUT)/%: build/%
	@mkdir -p $(@D)
	@ln -sf $(CURDIR)/$< $@
endif

check: $(UNIT_TESTS)
	scripts/run-unit-tests $(OUT)/tests/unit

check-root: tests
	scripts/run-bats $(OUT) tests/integration

# A million files; check-root reads fewer.
check-many-files: tests
	VARVE_TEST_FILES=1000000 scripts/run-bats $(OUT) tests/integration/many_files.bats

check-vm: tests
	scripts/run-vm $(OUT)

check-boot: tests
	scripts/run-boot $(OUT)

check-upgrade: tests
	scripts/run-bats $(OUT) tests/upgrade

SECONDS := 600
soak: tests
	scripts/run-soak $(OUT) $(SECONDS)

check-system: tests deb
	scripts/setup --system
	scripts/check-system $(OUT)

check-page: tests
	scripts/run-bats $(OUT) tests/page/chromium.bats

lint:
	scripts/lint

# Some checks are off: gcc 12 reports a leak when a structure takes ownership over, and does not know that a
# call that succeeds has set its out-parameters. The build checks lengths of texts, at -O2.
ANALYZER := -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-null-dereference \
	-Wno-analyzer-null-argument -Wno-analyzer-use-of-uninitialized-value -Wno-format-truncation
COMMON_FLAGS = $(filter-out -M%,$(ALL_CFLAGS))

# A file is analyzed again when its object was rebuilt, and so also when one of its headers has changed.
$(OUT)/analyzed/%: %.c $(OUT)/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,ANALYZE)clang-tidy --quiet $< -- $(filter-out $(HARDENING),$(COMMON_FLAGS)) > $@.log 2>&1 || \
		{ grep -v 'warnings generated' $@.log; exit 1; }
	@gcc $(filter-out $(HARDENING),$(COMMON_FLAGS)) -O0 $(ANALYZER) -c -o /dev/null $<
	@touch $@

analyze: $(SOURCES:%.c=$(OUT)/analyzed/%) $(MAINS:%.c=$(OUT)/analyzed/%)

check-crash:
	$(MAKE) SAN=address all tools python-protos
	scripts/run-bats build/asan tests/crash

check-power: tests
	scripts/check-power $(OUT)

check-hardening: all
	scripts/check-hardening $(OUT)

bench: tests
	scripts/run-bench $(OUT)

# Takes some minutes.
bench-eviction: $(OUT)/varve
	scripts/bench-eviction $(OUT)

fuzz:
	$(MAKE) SAN=fuzz fuzz-targets
	scripts/run-fuzz build/fuzz/tests/fuzz

MAN_PAGES := $(patsubst doc/%.scd,$(OUT)/man/%,$(wildcard doc/*.scd))
UNITS := $(notdir $(wildcard packaging/*.service packaging/*.socket))
DOCUMENTS := README.md NEWS.md SECURITY.md
DATA = $(DESTDIR)$(PREFIX)/share

$(OUT)/man/%: doc/%.scd
	@mkdir -p $(@D)
	$(call say,MAN)scdoc < $< > $@

man-pages: $(MAN_PAGES)

install: all install-data
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/sbin $(OUT)/varved $(OUT)/varve-fetch
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(OUT)/varve

# The installed units name the program by its installed path. A configuration that exists is kept.
install-data: $(MAN_PAGES)
	install -d $(DESTDIR)$(UNIT_DIR)
	for unit in $(UNITS); do \
		sed 's,^ExecStart=varved,ExecStart=$(PREFIX)/sbin/varved,' packaging/$$unit > $(DESTDIR)$(UNIT_DIR)/$$unit || exit 1; \
		chmod 0644 $(DESTDIR)$(UNIT_DIR)/$$unit || exit 1; \
	done
	install -D -m 0644 packaging/varve.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/varve.conf
	install -D -m 0644 packaging/varve.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/varve.conf
	[ -e $(DESTDIR)$(CONFIG) ] || install -D -m 0644 packaging/varved.conf $(DESTDIR)$(CONFIG)
	install -D -m 0644 -t $(DATA)/man/man1 $(filter %.1,$(MAN_PAGES))
	install -D -m 0644 -t $(DATA)/man/man8 $(filter %.8,$(MAN_PAGES))
	install -D -m 0644 packaging/completions/varve.bash $(DATA)/bash-completion/completions/varve
	install -D -m 0644 packaging/completions/varve.fish $(DATA)/fish/vendor_completions.d/varve.fish
	install -D -m 0644 packaging/completions/_varve $(ZSH_DIR)/_varve
	install -D -m 0644 -t $(DATA)/varve/prometheus packaging/prometheus/varve.rules.yml
	install -D -m 0644 -t $(DATA)/varve/grafana packaging/grafana/varve.json
	install -D -m 0644 -t $(DATA)/doc/varve $(DOCUMENTS)
	install -D -m 0644 -t $(DATA)/doc/varve/doc $(wildcard doc/*.md)

# The configuration and the store stay.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,varved varve-fetch) $(DESTDIR)$(PREFIX)/bin/varve \
		$(addprefix $(DESTDIR)$(UNIT_DIR)/,$(UNITS)) \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/varve.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/varve.conf \
		$(addprefix $(DATA)/man/man1/,$(notdir $(filter %.1,$(MAN_PAGES)))) \
		$(addprefix $(DATA)/man/man8/,$(notdir $(filter %.8,$(MAN_PAGES)))) \
		$(DATA)/bash-completion/completions/varve $(DATA)/fish/vendor_completions.d/varve.fish $(ZSH_DIR)/_varve
	rm -rf $(DATA)/doc/varve $(DATA)/varve

deb:
	scripts/make-deb

check-packages:
	scripts/check-packages

clean:
	rm -rf build

.SECONDARY:
-include $(shell find $(OUT) -name '*.d' -type f -not -path '*/root/*' 2>/dev/null)
