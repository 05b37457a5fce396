#!/bin/bash
# Inside the test machine: runs the command, tells how it ended, and switches the machine off.
. /run/gantry-vm/settings
export PATH=$path HOME=/root TERM=dumb LANG=C.UTF-8 GANTRY_VM=1 GANTRY_VM_OUT=/run/gantry-vm/files
mkdir -p "$GANTRY_VM_OUT"
[ -e /proc/self/fd ] && ln -sfn /proc/self/fd /dev/fd
busybox ip link set lo up
sysctl -qw kernel.panic_on_oops=1 2>/dev/null
bash /run/gantry-vm/command </dev/null >/dev/vport?p1 2>&1
echo $? >/run/gantry-vm/status
sync
busybox poweroff -f
