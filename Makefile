# Every target is one line of `make help`.
.POSIX:

TARGETS = mipsel mips aarch64 armv7 x86_64

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

build: ## build the program for this machine: target/release/logknockd
	@tests/setup build
	cargo build --release

demo: build ## watch the program open and close a door, live, in a few seconds
	@tests/demo target/release/logknockd

test: build ## formatting, lints, unit, integration and differential tests
	@tests/setup test
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	shellcheck .ci/run tests/setup tests/demo tests/bench/measure
	cargo test
	@echo "The integration tests again, with the release build:"
	LOGKNOCKD=target/release/logknockd cargo test --tests

cross: $(TARGETS) ## static programs for routers: target/mipsel/logknockd ...; also one by one: make mipsel

$(TARGETS):
	@cross/build $@

measure: build ## size, speed, idle system calls and latency of this machine's build
	@tests/setup measure
	@tests/bench/measure target/release/logknockd

clean: ## remove everything that was built
	cargo clean

.PHONY: help build demo test measure clean cross $(TARGETS)
