# make share FILE=README.md     build Lapse and share a file
# make test                     set up what is missing, then everything that must hold
# make check                    formatting, lints and the quick tests
# make soak                     the long runs: many property cases, crash tests again and again
# make bench-presign            links a second, beside boto3
# make bench-share              a small file to a link, beside the aws command
# make bench-store              the local store beside SeaweedFS, rclone and bare sendfile; its memory
# make deny                     licences and sources of every dependency
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help share setup check test soak bench-presign bench-share bench-store deny

TARGET := $(or $(CARGO_TARGET_DIR),target)
export FILE ARGS

help:
	@sed -n 's/^# //p; /^SHELL/q' Makefile

# Standard output carries the link alone, so that LINK=$$(make -s share FILE=…) works.
share:
	@if [ -z "$$FILE" ]; then echo 'Which file? make share FILE=README.md' >&2; exit 2; fi
	@cargo build --locked --package lapse-cli >&2
	@"$(TARGET)/debug/lapse" share $$ARGS -- "$$FILE"

setup:
	@tests/servers/setup.sh

check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --exclude lapse-tests

test: setup
	@tests/run.sh

# Long: ROUNDS × the crash tests, and property tests with many cases.
ROUNDS ?= 20
soak: setup
	PROPTEST_CASES=20000 cargo test --locked --release --workspace --exclude lapse-tests
	cargo build --locked --package lapse-cli
	for round in $$(seq $(ROUNDS)); do cargo test --locked --package lapse-tests kill -- --test-threads 2; done

bench-presign: setup
	cargo build --locked --release --package lapse-tests --example presign
	.cache/servers/bin/python bench/presign.py "$(TARGET)/release/examples/presign"

bench-share: setup
	tests/servers/setup.sh awscli bench/requirements.txt
	cargo build --locked --release --package lapse-cli
	.cache/servers/bin/python bench/share.py "$(TARGET)/release/lapse" .cache/awscli/bin/aws

# About 10 minutes, and 10 GB of the temporary folder.
bench-store: setup
	tests/servers/setup.sh rclone bench/rclone.txt
	cargo build --locked --release --package lapse-cli
	cargo build --locked --release --package lapse-tests --examples
	.cache/servers/bin/python bench/store.py "$(TARGET)/release/lapse" .cache/rclone/bin/rclone "$(TARGET)/release/examples"

# Needs `cargo install cargo-deny` (minutes, so not a part of `make test`). Advisories need their database from
# the network: `cargo deny check advisories`.
deny:
	cargo deny --locked check licenses bans sources
