# make app                      set up what is missing, build the window and open it
# make share FILE=README.md     build Lapse and share a file
# make bundle                   a package of both programs for this system: target/release/bundle
# make test                     set up what is missing, then everything that must hold
# make test-garage              a signer of its own on a real Garage, which is built first
# make check                    formatting, lints and the quick tests
# make bindings                the page's types, from the shell's
# make fuzz                     a minute of fuzzing for each parser of the local store (SECONDS=600 for ten)
# make torture                  ten minutes of everything at once in a watched folder (TORTURE=60 for one)
# make soak                     the long runs: many property cases, fuzzing, crash tests again and again
# make bench-presign            links a second, beside boto3
# make bench-share              a small file to a link, beside the aws command
# make bench-revoke             all links revoked, beside aws iam and aws s3 presign
# make bench-watch              watched folders: how soon a link is ready, beside rclone copy, what watching costs
# make bench-store              the local store beside SeaweedFS, rclone and bare sendfile; its memory
# make bench-upload             uploads beside s5cmd, rclone, aws and boto3, to SeaweedFS, the local store and a sink
# make bench-window             the window beside a bare one: start, memory, idle; a drop, a long list, the page
# make screenshots              the pictures in docs/, of the real window
# make deny                     licences and sources of every dependency
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help app share bundle icons screenshots bindings setup check test test-garage fuzz torture soak bench-presign bench-revoke bench-share bench-watch bench-store bench-upload bench-window deny

TARGET := $(or $(CARGO_TARGET_DIR),target)
export FILE ARGS

help:
	@sed -n 's/^# //p; /^SHELL/q' Makefile

# Standard output carries the link alone, so that LINK=$$(make -s share FILE=…) works.
share:
	@if [ -z "$$FILE" ]; then echo 'Which file? make share FILE=README.md' >&2; exit 2; fi
	@cargo build --locked --package lapse-cli >&2
	@"$(TARGET)/debug/lapse" share $$ARGS -- "$$FILE"

# A debug build: it is there in a quarter of the time. With the command line, which goes on with local links when the
# window ends.
app:
	@tests/servers/setup.sh window
	@ui/run.sh npm --prefix ui run --silent build
	@cargo build --locked --package lapse-desktop --package lapse-cli --features tauri/custom-protocol
	@"$(TARGET)/debug/lapse-desktop" $$ARGS

bundle:
	@tests/servers/setup.sh window
	@src-tauri/linux/package.sh

# The pictures that icons/ holds, from its two drawings.
icons:
	@icons/make.sh

# An example of the tests' package: it stands on what they stand on.
screenshots: setup
	@src-tauri/linux/package.sh debug
	@cargo build --locked --workspace --example screenshots
	@"$(TARGET)/debug/examples/screenshots" docs

# What crosses between the shell and the page, from its Rust types.
bindings:
	LAPSE_WRITE_BINDINGS=1 cargo test --locked --workspace --lib bindings

setup:
	@tests/servers/setup.sh

check:
	cargo fmt --all --check
	ui/run.sh npm --prefix ui run --silent check
	ui/run.sh npm --prefix ui run --silent lint
	ui/run.sh npm --prefix ui run --silent test
	ui/run.sh npm --prefix ui run --silent build
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --exclude lapse-tests

test: setup
	@tests/run.sh

# Apart from the tests: Garage comes as source alone, and takes as long to build as all of Lapse.
GARAGE := .cache/garage-2.5.0
test-garage: $(GARAGE)/bin/garage
	cargo build --locked --workspace --bin lapse
	/usr/bin/python3 tests/servers/garage.py $(GARAGE)/bin/garage "$(TARGET)/debug/lapse"

$(GARAGE)/bin/garage:
	cargo install --locked --debug --version 2.5.0 --no-default-features --features bundled-libs,sqlite --root $(GARAGE) garage

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

TORTURE ?= 600
torture: setup
	cargo build --locked --workspace
	LAPSE_TORTURE_SECONDS=$(TORTURE) cargo test --locked --workspace --test lapse -- torture --nocapture

# Long: ROUNDS × the crash tests, property tests with many cases, and fuzzing.
ROUNDS ?= 20
soak: setup fuzz
	PROPTEST_CASES=20000 cargo test --locked --release --workspace --exclude lapse-tests
	cargo build --locked --package lapse-cli
	for round in $$(seq $(ROUNDS)); do cargo test --locked --package lapse-tests kill -- --test-threads 2; done

bench-presign: setup
	cargo build --locked --release --package lapse-tests --example presign
	.cache/servers/bin/python bench/presign.py "$(TARGET)/release/examples/presign"

bench-revoke: setup
	tests/servers/setup.sh awscli bench/requirements.txt
	cargo build --locked --release --package lapse-cli
	.cache/servers/bin/python bench/revoke.py "$(TARGET)/release/lapse" .cache/awscli/bin/aws

bench-share: setup
	tests/servers/setup.sh awscli bench/requirements.txt
	cargo build --locked --release --package lapse-cli
	.cache/servers/bin/python bench/share.py "$(TARGET)/release/lapse" .cache/awscli/bin/aws

bench-watch: setup
	cargo build --locked --release --package lapse-cli
	.cache/servers/bin/python bench/watch.py "$(TARGET)/release/lapse" rclone

# About 10 minutes, and 10 GB of the temporary folder.
bench-store: setup
	tests/servers/setup.sh rclone bench/rclone.txt
	cargo build --locked --release --package lapse-cli
	cargo build --locked --release --package lapse-tests --examples
	.cache/servers/bin/python bench/store.py "$(TARGET)/release/lapse" .cache/rclone/bin/rclone "$(TARGET)/release/examples"

# The better part of an hour, and 5 GB of the temporary folder.
bench-upload: setup
	tests/servers/setup.sh uploaders bench/upload.txt
	cargo build --locked --release --package lapse-cli
	cargo build --locked --release --package lapse-tests --example sink --example line
	.cache/servers/bin/python bench/upload.py "$(TARGET)/release/lapse" .cache/uploaders/bin "$(TARGET)/release/examples"

# About 7 minutes; the build is the long part.
bench-window: setup
	ui/run.sh npm --prefix ui run --silent build
	cargo build --locked --release --package lapse-cli --package lapse-desktop --package bare-window --features tauri/custom-protocol
	/usr/bin/python3 bench/window.py "$(TARGET)/release"

# Needs `cargo install cargo-deny` (minutes, so not a part of `make test`). Advisories need their database from
# the network: `cargo deny check advisories`.
deny:
	cargo deny --locked check licenses bans sources
