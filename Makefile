# Every target is one line of `make help`.
.POSIX:

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
	shellcheck .ci/run tests/setup tests/demo tests/bench/measure tests/bench/instructions
	cargo test
	@echo "The integration tests again, with the release build:"
	LOGKNOCKD=target/release/logknockd cargo test --tests

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

.PHONY: help build demo test measure bench bench-instructions clean
