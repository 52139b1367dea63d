# Every target is one line of `make help`.
.POSIX:

TARGETS = mipsel mips mipsel32 mips32 aarch64 armv7 x86_64
PREFIX = /usr/local
DESTDIR =
PROGRAM = target/release/logknockd
FUZZ = --seconds 600 --keep ../../target/fuzz/kept
PACKAGES = mipsel_24kc:mipsel mips_24kc:mips aarch64_generic:aarch64 aarch64_cortex-a53:aarch64 \
    arm_cortex-a7_neon-vfpv4:armv7 arm_cortex-a9_vfpv3-d16:armv7 arm_cortex-a15_neon-vfpv4:armv7 x86_64:x86_64
DEBS = amd64:x86_64 arm64:aarch64
SECONDS = 1800
FAULTS = --every 10

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

build: ## build the program for this machine: target/release/logknockd
	@tests/setup build
	cargo build --release

install: ## program, manual pages and systemd unit to $(DESTDIR)$(PREFIX), after make build
	@[ -x "$(PROGRAM)" ] || { echo "First: make build" >&2; exit 1; }
	install -D -m 755 "$(PROGRAM)" "$(DESTDIR)$(PREFIX)/sbin/logknockd"
	install -D -m 644 docs/logknockd.8 "$(DESTDIR)$(PREFIX)/share/man/man8/logknockd.8"
	install -D -m 644 docs/logknockd.conf.5 "$(DESTDIR)$(PREFIX)/share/man/man5/logknockd.conf.5"
	install -D -m 644 docs/leases.md "$(DESTDIR)$(PREFIX)/share/doc/logknockd/docs/leases.md"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/system" "$(DESTDIR)$(PREFIX)/share/doc/logknockd/examples"
	sed 's#@SBIN@#$(PREFIX)/sbin#' cross/systemd/logknockd.service | \
	    install -m 644 /dev/stdin "$(DESTDIR)$(PREFIX)/lib/systemd/system/logknockd.service"
	install -m 644 README.md CHANGELOG.md LICENSE "$(DESTDIR)$(PREFIX)/share/doc/logknockd"
	install -m 644 examples/*.conf examples/*.nft examples/*.log "$(DESTDIR)$(PREFIX)/share/doc/logknockd/examples"
	install -m 755 examples/knock examples/*.sh "$(DESTDIR)$(PREFIX)/share/doc/logknockd/examples"

demo: build ## watch the program open and close a door, live, in a few seconds
	@tests/demo target/release/logknockd

test: build ## formatting, lints, unit, integration and differential tests
	@tests/setup test
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	shellcheck .ci/run examples/knock tests/setup tests/demo tests/several tests/integration tests/sanitized \
	    tests/bench/measure \
	    tests/bench/instructions cross/setup cross/target cross/build cross/cc cross/mips16 cross/test cross/check-package \
	    cross/dist cross/deb cross/check-deb cross/debian/postinst cross/debian/prerm cross/debian/postrm \
	    tests/router/fetch tests/router/run tests/router/rc.common tests/router/functions.sh tests/router/uci \
	    tests/router/fw4 tests/router/ubus tests/router/service tests/router/firewall.init
	shellcheck examples/*.sh
	cargo test --no-run
	cargo test --lib
	tests/integration debug release
	tests/soak/checker_test.py
	tests/soak/soak.py target/release/logknockd --seconds 12
	@# The short search for inputs that break a promise is always the same one.
	tests/several 2 'eval "$$1"' \
	    'tests/soak/leaks.py target/release/logknockd --knocks 1000 --reloads 100 --rotations 100' \
	    'cd tests/fuzz && cargo fmt --check && cargo clippy --release -- -D warnings && cargo run --release --quiet -- --tries 4000'

soak: build ## knocks, rotation, reloads, kills, floods for SECONDS (half an hour), every command checked
	@tests/setup test
	@tests/soak/soak.py target/release/logknockd --seconds $(SECONDS)

leaks: build ## descriptors and memory after 100 000 knocks, 1 000 reloads and 1 000 rotations
	@tests/setup test
	@tests/soak/leaks.py target/release/logknockd

faults: build ## one system call fails, or the daemon is killed there, for every call of its paths (FAULTS=--every 1 for all)
	@tests/setup test
	@tests/faults/faults.py target/release/logknockd $(FAULTS)

flood: build ## floods of full size (a minute), every event held to its time: on an idle machine only
	@tests/setup test
	@# In memory, where routers keep the record: otherwise it is the disk that would be measured.
	TMPDIR=/dev/shm LOGKNOCKD_FLOOD=full LOGKNOCKD=target/release/logknockd \
	    cargo test --test floods -- --test-threads=1 --nocapture

fuzz: ## search for inputs that break a promise, ten minutes for each reader (FUZZ: see tests/fuzz/src/main.rs)
	@tests/setup test
	cd tests/fuzz && cargo run --release --quiet -- $(FUZZ)

test-fail2ban: build ## what fail2ban's own filters find in its sample lines, compared with what is found here
	@tests/fail2ban target/release/logknockd

test-sanitized: ## unit and integration tests under AddressSanitizer (minutes)
	@tests/setup test
	@tests/sanitized

cross: $(TARGETS) ## static programs for routers: target/mipsel/logknockd ...; also one by one: make mipsel

$(TARGETS):
	@cross/build $@

ipk: mipsel mips aarch64 armv7 x86_64 ## packages for OpenWrt up to 24.10: target/ipk/*.ipk, checked
	@cross/setup test
	@cross/ipk $(PACKAGES)
	@cross/check-package target/ipk/*.ipk

apk: mipsel mips aarch64 armv7 x86_64 ## packages for OpenWrt from 25.12 on: target/apk/*.apk, checked
	@cross/setup test
	@cross/apk $(PACKAGES)
	@cross/check-package target/apk/*.apk

deb: x86_64 aarch64 ## packages for Debian and its relatives: target/deb/*.deb, checked
	@cross/setup deb
	@cross/deb $(DEBS)
	@cross/check-deb target/deb/*.deb

dist: cross ipk apk deb ## what a release is made of, with checksums: target/dist
	@cross/setup dist
	@cross/dist $(TARGETS)

test-cross: mipsel mips aarch64 armv7 ## unit and integration tests on emulated machines, and ffi.rs against C headers
	@cross/setup test
	@cross/test mipsel mips aarch64 armv7

size: $(TARGETS) ## what each program is made of; fails when one is larger than its limit
	@cross/setup size
	@cross/size $(TARGETS)

test-router: ipk apk ## boot an emulated router with our package in it and knock (ARM too, of either width: minutes)
	@cross/setup router
	@tests/several 2 'tests/router/run "$$1"' mipsel aarch64 armv7

measure: build ## size, speed, idle system calls and latency of this machine's build
	@tests/setup measure
	@tests/bench/measure target/release/logknockd

bench: build ## the dry run beside Python, rg, grep and busybox, and with rules of many kinds (FAIL2BAN: its sources)
	@tests/setup bench
	@tests/bench/compare.py target/release/logknockd
	@tests/bench/table.py target/release/logknockd $(FAIL2BAN)

bench-leases: build ## bytes, processor time and latency of openings and closings, with 10 to 65535 leases open
	@tests/setup measure
	@tests/bench/leases.py target/release/logknockd

bench-instructions: build mipsel ## instructions per line of a dry run, here and on MIPS; fails when they grow
	@tests/setup bench
	@cross/setup test
	@tests/bench/instructions target/release/logknockd
	@tests/bench/instructions target/mipsel/logknockd

clean: ## remove everything that was built
	cargo clean

.PHONY: help build install demo test soak leaks faults flood fuzz test-sanitized test-fail2ban ipk apk deb dist size \
    test-cross test-router \
    measure bench bench-leases bench-instructions clean cross $(TARGETS)
