#!/bin/bash
# Starts gantryd on a private root and walks it with a script for ctr: walk.sh SCRIPT [ARGUMENT...]
set -u
build=$(cd "$(dirname "$0")/../.." && pwd)/build/release
dir=$(mktemp -d /run/gantry-walk-XXXXXX)
mkdir -p /var/lib/gantry
root=$(mktemp -d /var/lib/gantry/walk-XXXXXX)
export CONTAINERD_ADDRESS=$dir/gantry.sock
cat >"$dir/start" <<END
#!/bin/bash
[ ! -e $dir/pid ] || kill -KILL \$(cat $dir/pid)
$build/daemon/gantryd --address $CONTAINERD_ADDRESS --root $root --state $dir/state >>$dir/log 2>&1 </dev/null &
echo \$! >$dir/pid
for i in \$(seq 300); do ctr -a $CONTAINERD_ADDRESS version >/dev/null 2>&1 && exit 0; sleep 0.1; done
exit 1
END
chmod +x "$dir/start"
finish() {
  kill "$(cat "$dir/pid")" 2>/dev/null
  [ -z "${GANTRY_VM_OUT:-}" ] || cp "$dir/log" "$GANTRY_VM_OUT/gantryd.log"
  rm -rf "$dir" "$root"
}
trap finish EXIT
"$dir/start" || { echo "walk.sh: gantryd does not start" >&2; cat "$dir/log" >&2; exit 1; }
RESTART=$dir/start "$@"
