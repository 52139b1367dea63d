# Every target is one line of `make help`.
.POSIX:

TARGETS = mipsel mips aarch64 armv7 x86_64
PACKAGES = mipsel_24kc:mipsel mips_24kc:mips aarch64_generic:aarch64 aarch64_cortex-a53:aarch64

FUZZ = --seconds 600 --keep ../../target/fuzz/kept

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

build: ## build the program for this machine: target/release/logknockd
	@tests/setup build
	cargo build --release

demo: build ## watch the program open and close a door, live, in a few seconds
	@tests/demo target/release/logknockd

test: build ## formatting, lints, unit, integration and differential tests
	@tests/setup test
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	shellcheck .ci/run tests/setup tests/demo tests/sanitized tests/bench/measure tests/bench/instructions \
	    cross/setup cross/build cross/cc cross/test cross/check-ipk tests/router/fetch tests/router/run
	cargo test
	@echo "The integration tests again, with the release build:"
	LOGKNOCKD=target/release/logknockd cargo test --tests
	cd tests/fuzz && cargo fmt --check && cargo clippy --release -- -D warnings
	@echo "A short search for inputs that break a promise, always the same:"
	cd tests/fuzz && cargo run --release --quiet -- --tries 4000

fuzz: ## search for inputs that break a promise, ten minutes for each reader (FUZZ: see tests/fuzz/src/main.rs)
	@tests/setup test
	cd tests/fuzz && cargo run --release --quiet -- $(FUZZ)

test-sanitized: ## unit and integration tests under AddressSanitizer (minutes)
	@tests/setup test
	@tests/sanitized

cross: $(TARGETS) ## static programs for routers: target/mipsel/logknockd ...; also one by one: make mipsel

$(TARGETS):
	@cross/build $@

ipk: mipsel mips aarch64 ## packages for OpenWrt's opkg: target/ipk/*.ipk, checked
	@cross/setup test
	@cross/ipk $(PACKAGES)
	@cross/check-ipk target/ipk/*.ipk

test-cross: mipsel mips aarch64 ## the integration tests on emulated machines, and ffi.rs against C headers
	@cross/setup test
	@cross/test mipsel mips aarch64

size: $(TARGETS) ## what each program is made of; fails when one is larger than its limit
	@cross/setup size
	@cross/size $(TARGETS)

test-router: ipk ## boot an emulated router with our package in it and knock (ARM too: a few minutes)
	@cross/setup router
	@tests/router/run mipsel
	@tests/router/run aarch64

measure: build ## size, speed, idle system calls and latency of this machine's build
	@tests/setup measure
	@tests/bench/measure target/release/logknockd

bench: build ## the dry run beside Python, rg, grep and busybox, and with ten rules
	@tests/setup bench
	@tests/bench/compare.py target/release/logknockd

bench-instructions: build ## instructions per line of a dry run; fails when they grow
	@tests/setup bench
	@tests/bench/instructions target/release/logknockd

clean: ## remove everything that was built
	cargo clean

.PHONY: help build demo test fuzz test-sanitized ipk size test-cross test-router measure bench bench-instructions clean \
    cross $(TARGETS)
