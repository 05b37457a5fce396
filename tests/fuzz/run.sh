#!/bin/bash
# Searches for inputs that break the parsers of hostile bytes, each target in turn, with libFuzzer:
#   tests/fuzz/run.sh [SECONDS for each target, default 60] [TARGET...]
# Needs clang (deploy/install-deps.sh --with-fuzzing). What it learns goes to build/fuzz/corpus; a finding ends
# it and is left in build/fuzz/findings: once fixed, commit the input to tests/fuzz/corpus/TARGET.
# `tests/fuzz/run.sh --minimize` adds to the committed corpora what build/fuzz/corpus covers beyond them.
set -euo pipefail
cd "$(dirname "$0")/../.."
minimize=""
if [ "${1:-}" = --minimize ]; then
  minimize=yes
  shift
fi
seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi
deploy/build.sh fuzz gantry_fuzz_targets
work=build/fuzz
mkdir -p "$work/findings"
ran=0
for binary in $(find "$work" -type f -executable -name 'gantry_fuzz_*' | sort); do
  name=${binary##*/gantry_fuzz_}
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  seeds=tests/fuzz/corpus/$name
  grown=$work/corpus/$name
  mkdir -p "$grown"
  if [ -n "$minimize" ]; then
    "$binary" -merge=1 "$seeds" "$grown" 2>/dev/null
    echo "$name: $(find "$seeds" -type f | wc -l) inputs"
  else
    log=$work/findings/$name.log
    # Only what cannot be an input of the real thing is bounded: memory, and a minute for one input, which is time by
    # the clock, of which a machine under load gives little.
    "$binary" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 -print_final_stats=1 \
      -artifact_prefix="$work/findings/$name-" "$grown" "$seeds" >"$log" 2>&1 || { tail -40 "$log"; exit 1; }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$name: ${seconds}s, $runs runs, $(grep -o 'cov: [0-9]*' "$log" | tail -1), no finding"
  fi
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "run.sh: no such target: $*" >&2; exit 1; }
