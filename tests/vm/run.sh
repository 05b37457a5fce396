#!/bin/bash
# Runs a command in a virtual machine that has cgroup v2 alone:
#   tests/vm/run.sh [--systemd] [--timeout SECONDS] [--memory MIB] [--] [COMMAND...]
# The machine is Debian's kernel over this host's own root file system: read-only, under an overlay
# in memory. Nothing is installed, and what the command writes is gone afterwards. COMMAND starts as
# root in the checkout, which is where it is on the host, and gives the exit status; without one,
# tests/vm/suite.sh runs. With --systemd, systemd is the machine's init and COMMAND is a service of it;
# without, a shell is. Files below $GANTRY_VM_OUT inside are copied to build/vm/out here.
# Needs deploy/install-deps.sh --vm, and a built build/release for the suite.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd -P)

systemd="" limit=900 memory=3072
while [ $# -gt 0 ]; do
  case $1 in
    --systemd) systemd=yes ;;
    --timeout) limit=$2; shift ;;
    --memory) memory=$2; shift ;;
    --) shift; break ;;
    -*) echo "run.sh: unknown option $1" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || set -- tests/vm/suite.sh
[ "$(id -u)" = 0 ] || { echo "run.sh: run as root" >&2; exit 2; }
for tool in qemu-system-x86_64 busybox; do
  command -v "$tool" >/dev/null || { echo "run.sh: $tool is missing: deploy/install-deps.sh --vm" >&2; exit 2; }
done

cache=${GANTRY_VM_CACHE:-$top/build/vm}
mkdir -p "$cache"
(
  flock 9
  "$top/tests/vm/make-kernel.sh" "$cache"
) 9>"$cache/lock"

work=$(mktemp -d "${TMPDIR:-/tmp}/gantry-vm-XXXXXX")
qemu=""
finish() {
  [ -z "$qemu" ] || kill -TERM "$qemu" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir "$work/out"
# What the guest is to do, read by its init from the shared folder.
{
  printf 'checkout=%q\nmodules=%q\nsystemd=%q\n' "$top" "$cache/kernel/lib/modules" "$systemd"
  printf 'path=%q\n' "$PATH"
} >"$work/out/settings"
{
  printf '#!/bin/bash\ncd %q || exit 125\nexec' "$top"
  printf ' %q' "$@"
  printf '\n'
} >"$work/out/command"
cp "$top/tests/vm/guest-run.sh" "$work/out/"

# KVM where it boots this kernel: a hypervisor may offer it and then refuse a register, or know only
# guests made for it. So it is tried, once in the life of this host: with no root to mount, the
# kernel gives up at once and the machine ends. Without KVM it is emulated, some twenty times slower.
accel=(-accel tcg,thread=multi -cpu max)
tried=$cache/accel-$(cat /proc/sys/kernel/random/boot_id)
if [ ! -e "$tried" ]; then
  rm -f "$cache"/accel-*
  found=tcg
  for cpu in host host,arch-capabilities=off; do
    [ -w /dev/kvm ] || break
    # In a shell of its own, which alone tells of a qemu that aborts.
    bash -c 'timeout --kill-after=1 20 "$@"; true' - qemu-system-x86_64 -nodefaults -no-user-config \
      -display none -no-reboot -machine q35 -accel kvm -cpu "$cpu" -m 512 \
      -kernel "$cache/kernel/vmlinuz" -append 'console=ttyS0 panic=-1' \
      -serial "file:$cache/probe" </dev/null >/dev/null 2>&1
    if grep -q 'Kernel panic' "$cache/probe" 2>/dev/null; then found=$cpu; break; fi
  done
  rm -f "$cache/probe"
  echo "$found" >"$tried"
fi
[ "$(cat "$tried")" = tcg ] || accel=(-accel kvm -cpu "$(cat "$tried")")

# The command's output is the first port of the virtio console, byte for byte; the kernel's own
# messages go to a log that is shown when the machine says nothing about how it ended.
mkfifo "$work/port"
cat "$work/port" &
output=$!
timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 \
  -nodefaults -no-user-config -display none -no-reboot -machine q35 "${accel[@]}" -smp 2 -m "$memory" \
  -kernel "$cache/kernel/vmlinuz" -initrd "$cache/initramfs" \
  -append "console=ttyS0 panic=-1 cgroup_no_v1=all psi=1 mitigations=off systemd.unified_cgroup_hierarchy=1 systemd.gpt_auto=0 fstab=no systemd.log_target=console systemd.show_status=0" \
  -serial "file:$work/console" \
  -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
  -device virtio-9p-pci,fsdev=host,mount_tag=host \
  -fsdev "local,id=out,path=$work/out,security_model=none" \
  -device virtio-9p-pci,fsdev=out,mount_tag=out \
  -device virtio-serial-pci -chardev "file,id=port,path=$work/port,append=on" -device virtserialport,chardev=port,name=out \
  -device virtio-rng-pci </dev/null &
qemu=$!
ended=0
wait "$qemu" || ended=$?
qemu=""
: <>"$work/port"  # in case the machine never came to open it
wait "$output"

rm -rf "$cache/out"
mkdir -p "$cache/out"
[ ! -d "$work/out/files" ] || cp -r "$work/out/files/." "$cache/out/"
if [ "$ended" = 124 ] || [ "$ended" = 137 ]; then
  echo "run.sh: not done within $limit s; the machine was stopped. Its console:" >&2
  tail -n 40 "$work/console" >&2
  exit 124
fi
if [ ! -s "$work/out/status" ]; then
  echo "run.sh: the machine ended without a word (qemu: $ended); its console:" >&2
  tail -n 40 "$work/console" >&2
  exit 125
fi
exit "$(cat "$work/out/status")"
