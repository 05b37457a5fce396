#!/bin/bash
# Installs, builds and runs every test, as root on Debian 12:
#   tests/run.sh [--no-sanitizers]
# Release first (unit, integration and interop tests), then the unit tests again under address and
# undefined-behaviour sanitizers. Ends with ctest's summary.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "tests/run.sh: run as root" >&2; exit 1; }
sanitizers=yes
[ "${1:-}" = --no-sanitizers ] && sanitizers=""

deploy/install-deps.sh
deploy/build.sh release

if [ -n "$sanitizers" ]; then
  deploy/build.sh asan gantry_sanitized_tests
  # The leak checker needs ptrace, which a container init made by clone3 may not have.
  ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build/asan -j 4 --output-on-failure -L sanitized
fi
exec ctest --test-dir build/release -j 4 --output-on-failure
