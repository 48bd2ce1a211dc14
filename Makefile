# make share FILE=README.md     build Lapse and share a file
# make test                     set up what is missing, then everything that must hold
# make check                    formatting, lints and the quick tests
# make fuzz                     a minute of fuzzing for each parser of the local store (SECONDS=600 for ten)
# make soak                     the long runs: many property cases, fuzzing, crash tests again and again
# make bench-presign            links a second, beside boto3
# make bench-share              a small file to a link, beside the aws command
# make bench-store              the local store beside SeaweedFS, rclone and bare sendfile; its memory
# make deny                     licences and sources of every dependency
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help share setup check test fuzz soak bench-presign bench-share bench-store deny

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

# New inputs stay in the target folder; an input that fails is kept in $(FUZZ)/artifacts. Without a sanitizer,
# since those need a nightly compiler and no code here is unsafe.
FUZZ := src-tauri/local-store/fuzz
CARGO_FUZZ := .cache/cargo-fuzz-0.13.2
SECONDS ?= 60
fuzz: $(CARGO_FUZZ)/bin/cargo-fuzz
	cargo fetch --locked --manifest-path $(FUZZ)/Cargo.toml
	@export PATH="$$PWD/$(CARGO_FUZZ)/bin:$$PATH"; \
	for target in $$(cargo fuzz list --fuzz-dir $(FUZZ)); do \
	  echo "fuzzing $$target for $(SECONDS) s"; \
	  new="$(TARGET)/fuzz/inputs/$$target"; mkdir -p "$$new"; \
	  cargo fuzz run --fuzz-dir $(FUZZ) --target-dir "$(TARGET)/fuzz" --sanitizer none "$$target" \
	    "$$new" $(FUZZ)/corpus/$$target -- -max_total_time=$(SECONDS) -timeout=10 -verbosity=0 -print_final_stats=1; \
	done

$(CARGO_FUZZ)/bin/cargo-fuzz:
	cargo install --locked --version 0.13.2 --root $(CARGO_FUZZ) cargo-fuzz

# Long: ROUNDS × the crash tests, property tests with many cases, and fuzzing.
ROUNDS ?= 20
soak: setup fuzz
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
