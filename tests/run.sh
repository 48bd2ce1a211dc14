#!/usr/bin/env bash
# Formatting, lints, build and every test; the last line says how many tests ran. A test that is left out is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

log=.cache/test.log
export INSTA_UPDATE=no
# Most tests wait for a server or for a link to end, so there are more of them at once than cores.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
cargo build --locked --package lapse-cli
# Each of the local store's crash tests kills its host so often.
export LAPSE_KILL_ROUNDS=${LAPSE_KILL_ROUNDS:-20}
status=0
cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?

awk '
  /^test result:/ { passed += $4; failed += $6; left_out += $8 + $12 }
  END {
    printf "\n%d tests ran: %d passed, %d failed, %d left out\n", passed + failed, passed, failed, left_out
    exit passed == 0 || failed > 0 || left_out > 0
  }' "$log" || status=1
exit $status
