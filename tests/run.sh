#!/usr/bin/env bash
# Formatting, lints, build and every test; the last line says how many tests ran. A test that is left out is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

log=.cache/test.log
export INSTA_UPDATE=no
# Most tests wait for a server or for a link to end, so there are more of them at once than cores.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}

page() { ui/run.sh npm --prefix ui run --silent "$@"; }
export CI=1

cargo fmt --all --check
page check
page lint
# The package holds both programs and the page; the tests use them from where it found them.
src-tauri/linux/package.sh debug
gzipped=$(cat ui/dist/assets/*.js ui/dist/assets/*.css ui/dist/index.html | gzip -9 | wc -c)
echo "the page is $gzipped bytes when compressed"
cargo clippy --locked --workspace --all-targets -- -D warnings
# Each of the local store's crash tests kills its host so often.
export LAPSE_KILL_ROUNDS=${LAPSE_KILL_ROUNDS:-20}
status=0
cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?
# The page, by itself and in a browser.
for suite in test e2e; do page "$suite" 2>&1 | tee -a "$log" || status=$?; done

awk '
  /^test result:/ { passed += $4; failed += $6; left_out += $8 + $12 }
  # Vitest gives its numbers on one line, Playwright a line for each kind.
  { gsub(/\033\[[0-9;]*m/, "") }
  /^ +Tests  / || /^ +[0-9]+ (passed|failed|flaky|skipped|did not run)/ {
    for (i = 2; i <= NF; i++) {
      if ($i == "passed") passed += $(i - 1)
      if ($i == "failed" || $i == "flaky") failed += $(i - 1)
      if ($i == "skipped" || $i == "did") left_out += $(i - 1)
    }
  }
  END {
    printf "\n%d tests ran: %d passed, %d failed, %d left out\n", passed + failed, passed, failed, left_out
    exit passed == 0 || failed > 0 || left_out > 0
  }' "$log" || status=1
exit $status
