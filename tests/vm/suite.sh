#!/bin/bash
# What tests/vm/run.sh runs inside the machine: the unit tests that meet cgroups, and gantryd walked
# with ctr. Each part is told with how it ended; the exit status is 0 if all went well.
set -u
cd "$(dirname "$0")/../.."
build=build/release
failed=0
part() { # name, command...
  local name=$1 began=$SECONDS
  shift
  echo "== $name"
  if "$@"; then echo "== $name: passed in $((SECONDS - began)) s"
  else failed=1; echo "== $name: FAILED in $((SECONDS - began)) s"; fi
}
# Only what went wrong, and the summary; what is for cgroup v1 is left out.
tests() { "$@" --gtest_brief=1 --gtest_filter='-CgroupTest.*:*/RefusalTest.*'; }

[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || { echo "suite.sh: cgroup v2 is not alone here" >&2; exit 2; }
part "unit tests: cgroups" tests $build/tests/unit/runtime_cgroup/gantry_unit_runtime_cgroup
part "unit tests: runtime" tests $build/tests/unit/runtime/gantry_unit_runtime
part "unit tests: shim" tests $build/tests/unit/shim/gantry_unit_shim_process
part "gantryd walked with ctr" python3 tests/interop/ctr_test.py $build/daemon/gantryd
echo "== cgroups that are left: $(find /sys/fs/cgroup -mindepth 1 -type d -path '*gantry-*' | wc -l)"
exit $failed
