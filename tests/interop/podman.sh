#!/usr/bin/env bash
# Walks Debian's podman (with conmon) on an OCI runtime, one check a line:
#   podman.sh RUNTIME [FILTER]
# RUNTIME is the path of a runc-like program. Storage, state and cgroups are the script's own. Needs: podman,
# conmon, busybox-static, util-linux (script). Prints 'ok N - name' or 'not ok N - name' and last 'N passed, N failed'.
set -u
runtime=${1:?the runtime to walk}
filter=${2:-.}
T=$(mktemp -d /var/tmp/podman-walk.XXXXXX) n=0 good=0 bad=0
# An engine configuration of our own: none of the host's applies.
cat >"$T/containers.conf" <<CONF
[containers]
# podman's own defaults may be above what this process can give.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
events_logger = "file"
cgroup_manager = "cgroupfs"
network_cmd_path = ""
CONF
export CONTAINERS_CONF=$T/containers.conf XDG_RUNTIME_DIR=$T/run TMPDIR=$T
mkdir -p "$T/run"
cd "$T" || exit 2  # conmon leaves a file in its working directory
p() {
  timeout 60 podman --root "$T/root" --runroot "$T/runroot" --tmpdir "$T/tmp" --storage-driver vfs \
    --cgroup-manager cgroupfs --runtime "$runtime" "$@"
}
run() { p run --network none --rm box "$@"; }
check() { # name, command...: ok when it succeeds
  local name=$1; shift
  [[ $name =~ $filter ]] || return 0
  n=$((n + 1))
  if ( "$@" ) >"$T/out" 2>&1 </dev/null; then good=$((good + 1)); echo "ok $n - $name"
  else bad=$((bad + 1)); echo "not ok $n - $name"; tail -n 6 "$T/out" | sed 's/^/#   /'; fi
}
says() { local want=$1 r; shift; "$@" >"$T/said" 2>&1; r=$?; grep -qE -- "$want" "$T/said" || { echo "wanted /$want/, status $r, got:"; cat "$T/said"; return 1; }; }
rc() { local want=$1 r; shift; "$@"; r=$?; [[ $r == "$want" ]] || { echo "status $r, wanted $want"; return 1; }; }
until_says() { local want=$1 i; shift; for i in $(seq 200); do "$@" 2>&1 | grep -qE -- "$want" && return 0; sleep 0.05; done; "$@"; return 1; }
finish() {
  p pod rm -f -t 0 -a >/dev/null 2>&1
  p rm -f -t 0 -a >/dev/null 2>&1
  p rmi -f -a >/dev/null 2>&1
  # The storage mounts its run directory on itself.
  grep -oE " $T[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
  rm -rf "$T"
}
trap finish EXIT

mkdir -p "$T/box/bin" "$T/box/etc" "$T/box/tmp" "$T/box/root"
cp /bin/busybox "$T/box/bin/"
for a in sh cat echo ls id sleep true false test head wc tty stty env grep hostname readlink kill nc ps mount touch; do ln -s busybox "$T/box/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh
user:x:1000:1000::/home:/bin/sh' >"$T/box/etc/passwd"
echo 'root:x:0:
user:x:1000:' >"$T/box/etc/group"
tar -C "$T/box" -cf "$T/box.tar" . || exit 2

check "the runtime is the one asked for" says "$(basename "$runtime")" p info --format '{{.Host.OCIRuntime.Path}}'
check "an image is imported" p import "$T/box.tar" box
check "run prints" says '^hello$' run echo hello
check "run gives the program's status" rc 7 run sh -c 'exit 7'
check "run reads standard input" eval 'echo abc | p run --network none --rm -i box cat | grep -qx abc'
check "standard error is apart" eval 'run sh -c "echo o; echo e >&2" 2>$T/e >$T/o; grep -qx e $T/e && grep -qx o $T/o'
check "run keeps 1 MB of output" eval 'test $(run sh -c "head -c 1000000 /dev/zero" | wc -c) = 1000000'
check "a terminal is a terminal" says '/dev/pts/0' script -qec "podman --root $T/root --runroot $T/runroot --tmpdir $T/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime $runtime run --network none --rm -t box tty" /dev/null
check "a program that is missing gives status 127" rc 127 run /no/such/program
check "a file that is no program gives status 126" rc 126 run /etc/passwd
check "a user is taken" says '^uid=1000.*gid=1000' p run --network none --rm --user user box id
check "environment, directory and hostname are taken" says '^v /tmp inside$' p run --network none --rm -e K=v -w /tmp --hostname inside box sh -c 'echo $K $PWD $(hostname)'
check "a volume is read and written" eval 'mkdir $T/v && p run --network none --rm -v $T/v:/v box sh -c "echo x >/v/f" && grep -qx x $T/v/f'
check "a read-only root refuses" eval '! p run --network none --rm --read-only box touch /x'
check "a tmpfs is one" says '^tmpfs /mnt tmpfs' p run --network none --rm --tmpfs /mnt box grep /mnt /proc/mounts
check "the host's network is shared" eval 'test "$(p run --network host --rm box readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)"'
check "seccomp filters" says '^Seccomp:.2$' run grep Seccomp: /proc/self/status
check "--privileged has all capabilities" eval 'p run --network none --rm --privileged box grep CapEff /proc/self/status | grep -q "$(grep CapEff /proc/self/status | cut -f2)"'
check "--cap-drop drops" says '^CapEff:.0000000000000000$' p run --network none --rm --cap-drop all box grep CapEff /proc/self/status
check "a device is there" says '^crw' p run --network none --rm --device /dev/fuse:/dev/mine:r box ls -l /dev/mine
check "a memory limit holds" rc 137 p run --network none --rm --memory 16m box sh -c 'x=$(head -c 60000000 /dev/zero | tr "\0" x); echo ${#x}'
check "a pids limit is set" p run --network none --rm --pids-limit 50 box true
check "limits and sysctls are set" says '^77 1$' p run --network none --rm --ulimit nofile=77:77 --ulimit nproc=500:500 --sysctl net.ipv4.ip_forward=1 box sh -c 'echo $(ulimit -n) $(cat /proc/sys/net/ipv4/ip_forward)'

check "a detached container runs" eval 'p run --network none -d --name d1 box sh -c "echo logged; echo err >&2; sleep 1000" && p ps --format "{{.Names}} {{.Status}}" | grep -q "^d1 Up"'
check "its output is logged" eval 'until_says logged p logs d1 && until_says err p logs d1'
check "exec prints and gives its status" eval 'p exec d1 echo in | grep -qx in && rc 3 p exec d1 sh -c "exit 3"'
check "exec as another user" says '^1000$' p exec --user 1000 d1 id -u
check "exec reads standard input" eval 'echo abc | p exec -i d1 cat | grep -qx abc'
check "exec with a terminal" says '/dev/pts' script -qec "podman --root $T/root --runroot $T/runroot --tmpdir $T/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime $runtime exec -t d1 tty" /dev/null
check "a detached exec runs" eval 'p exec -d d1 touch /made && until_says made p exec d1 ls /'
check "exec of a missing program gives status 127" rc 127 p exec d1 /no/such
check "the container is inspected" says '^running$' p inspect --format '{{.State.Status}}' d1
check "processes are listed" says 'sleep' p top d1
check "statistics are told" says 'd1' p stats --no-stream --format '{{.Name}} {{.MemUsage}}' d1
check "pause and unpause" eval 'p pause d1 && p ps -a --format "{{.Names}} {{.Status}}" | grep -qi "^d1 paused" && p unpause d1 && p exec d1 true'
check "limits are updated" p update --memory 64m d1
check "a running container is not removed" eval '! p rm d1'
check "stop ends it" eval 'p stop -t 1 d1 && p ps -a --format "{{.Names}} {{.Status}}" | grep -q "^d1 Exited (137)"'
check "it starts again" eval 'p start d1 && p ps --format "{{.Names}}" | grep -qx d1'
check "restart makes it anew" eval 'p restart -t 0 d1 && p exec d1 true'
check "kill sends a signal" eval 'p kill d1 && until_says "Exited" p ps -a --filter name=d1 --format "{{.Status}}"'
check "wait gives the status" says '^137$' p wait d1
check "rm removes it" eval 'p rm d1 && ! p ps -a --format "{{.Names}}" | grep -qx d1'
check "create, start, attach" eval 'p create --network none --name a1 box sh -c "echo attached; exit 4" && rc 4 p start -a a1; p rm a1'
check "a copy goes in and out" eval 'p create --network none --name c1 box true && echo copied >$T/c && p cp $T/c c1:/c && p cp c1:/c $T/back && grep -qx copied $T/back; p rm c1'
check "a health check runs" eval 'p run --network none -d --name h1 --health-cmd "test -e /tmp/up" --health-interval disable box sleep 1000 && ! p healthcheck run h1 && p exec h1 touch /tmp/up && p healthcheck run h1; r=$?; p rm -f -t 0 h1; exit $r'
check "the program is process 1" says '^1$' run sh -c 'echo $$'
check "--pid host shares processes" eval 'test "$(p run --network none --pid host --rm box readlink /proc/self/ns/pid)" = "$(readlink /proc/self/ns/pid)"'
check "a namespace of another container is joined" eval 'p run --network none -d --name n1 box sleep 1000 && test "$(p run --rm --network container:n1 box readlink /proc/self/ns/net)" = "$(p exec n1 readlink /proc/self/ns/net)"; r=$?; p rm -f -t 0 n1; exit $r'
check "a pod shares its namespaces" eval 'p pod create --network none --name pod1 --infra-image localhost/box --infra-command "/bin/sleep 1000" && p run -d --pod pod1 --name m1 box sleep 1000 && test "$(p run --rm --pod pod1 box readlink /proc/self/ns/ipc)" = "$(p exec m1 readlink /proc/self/ns/ipc)"'
check "the pod is listed, stopped and removed" eval 'p pod ps --format "{{.Name}} {{.Status}}" | grep -q "^pod1 Running" && p pod stop -t 0 pod1 && p pod rm -f -t 0 pod1 && ! p pod ps --format "{{.Name}}" | grep -q pod1'
check "ten containers at once" eval 'for i in $(seq 10); do run echo out-$i >$T/o$i 2>&1 & done; wait; cat $T/o? $T/o?? | grep -c "^out-" | grep -qx 10'
check "no container of the runtime's is left" eval 'p rm -f -t 0 -a >/dev/null; test -z "$("$runtime" list -q 2>/dev/null)"'
check "no cgroup is left" eval 'test -z "$(find /sys/fs/cgroup -type d -name "libpod-*")"'
echo "$good passed, $bad failed"
[[ $bad == 0 ]]
