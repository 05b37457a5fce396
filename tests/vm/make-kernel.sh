#!/bin/bash
# Makes the kernel and the initramfs of the test machine in a cache folder, unless they are there:
#   make-kernel.sh CACHE
# From Debian's linux-image package, unpacked and not installed. Called by run.sh, under its lock.
set -euo pipefail
cache=$1
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -e "$cache/kernel/done" ]; then
  rm -rf "$cache/kernel"
  mkdir -p "$cache/kernel"
  package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
  [ -n "$package" ] || { echo "make-kernel.sh: apt knows no linux-image-amd64: apt-get update" >&2; exit 2; }
  (cd "$cache/kernel" && apt-get download -qq "$package" 2>&1 | grep -v unsandboxed || true)
  dpkg-deb -x "$cache"/kernel/linux-image-*.deb "$cache/kernel"
  rm -f "$cache"/kernel/linux-image-*.deb
  mv "$cache"/kernel/boot/vmlinuz-* "$cache/kernel/vmlinuz"
  version=$(ls "$cache/kernel/lib/modules")
  busybox depmod -b "$cache/kernel" "$version"
  touch "$cache/kernel/done"
fi

[ "$cache/initramfs" -nt "$here/guest-init.sh" ] && [ "$cache/initramfs" -nt "$cache/kernel/done" ] && exit 0

# The modules that stand between the kernel and its root file system, each after those it needs.
modules=$(ls -d "$cache"/kernel/lib/modules/*)
tree=$(mktemp -d "$cache/tree-XXXXXX")
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,dev,proc,sys,modules,lower,rw,new}
cp "$(command -v busybox)" "$tree/bin/busybox"
cp "$here/guest-init.sh" "$tree/init"
chmod 0755 "$tree/init"
order=()
add() {
  local line needed
  line=$(grep -E "^[^:]*/$1\.ko:" "$modules/modules.dep" || grep -E "^$1\.ko:" "$modules/modules.dep" || true)
  [ -n "$line" ] || return 0  # built in
  for needed in $(printf '%s\n' ${line#*:} | tac) ${line%%:*}; do
    needed=$(basename "$needed")
    [[ " ${order[*]} " == *" $needed "* ]] || order+=("$needed")
  done
}
for name in virtio_pci virtio_console virtio_rng 9pnet_virtio 9p overlay; do add "${name//-/_}"; done
for name in "${order[@]}"; do find "$modules/kernel" -name "$name" -exec cp {} "$tree/modules/" \; ; done
printf '%s\n' "${order[@]}" >"$tree/modules/order"
(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$cache/initramfs.new"
mv "$cache/initramfs.new" "$cache/initramfs"
