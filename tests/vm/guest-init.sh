#!/bin/busybox sh
# The init of the test machine's initramfs: puts the host's root file system, read-only and under an
# overlay in memory, in place, with cgroup v2 alone, and hands over to guest-run.sh or to systemd.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
for module in $($bb cat /modules/order); do
  $bb insmod "/modules/$module" || echo "guest: no module $module"
done
fail() {
  echo "guest: $1"
  $bb poweroff -f
}
p9=trans=virtio,version=9p2000.L,msize=524288
$bb mount -t 9p -o "$p9,ro,cache=loose" host /lower || fail "cannot mount the host's root"
$bb mount -t tmpfs -o size=90% tmpfs /rw || fail "no tmpfs"
$bb mkdir /rw/upper /rw/work /rw/tmp
$bb mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new || fail "no overlay"

n=/new
$bb mount -t tmpfs -o mode=755 tmpfs $n/run
$bb mkdir -p $n/run/gantry-vm
$bb mount -t 9p -o "$p9,cache=none" out $n/run/gantry-vm || fail "cannot mount the shared folder"
. $n/run/gantry-vm/settings

# An overlay cannot be the upper layer of another one, so what snapshots go into is a tmpfs itself.
$bb mkdir -p $n/tmp $n/var/lib/gantry $n/var/lib/containerd $n/var/lib/containers
for place in tmp var/lib/gantry var/lib/containerd var/lib/containers; do
  $bb mount -t tmpfs -o size=90%,mode=1777 tmpfs "$n/$place"
done
if [ ! -d "$n$checkout" ]; then  # it was below one of them
  $bb mkdir -p "$n$checkout"
  $bb mount --bind "/lower$checkout" "$n$checkout"
fi
$bb mkdir -p $n/usr/lib/modules
$bb mount --bind "/lower$modules" $n/usr/lib/modules
$bb test -e $n/usr/sbin/modprobe || $bb cp /bin/busybox $n/usr/sbin/modprobe

$bb mount --move /proc $n/proc
$bb mount --move /sys $n/sys
$bb mount --move /dev $n/dev
$bb mkdir -p $n/dev/pts $n/dev/shm
$bb mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts $n/dev/pts
$bb mount -t tmpfs -o mode=1777 tmpfs $n/dev/shm
$bb mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $n/sys/fs/cgroup
$bb mount -t bpf bpf $n/sys/fs/bpf
$bb hostname gantry-vm

if [ -z "$systemd" ]; then exec $bb switch_root $n /bin/bash /run/gantry-vm/guest-run.sh; fi
# Nothing of the host's services: a target with systemd's basics, D-Bus and the command.
units=$n/run/systemd/system
$bb mkdir -p $units
$bb cat >$units/gantry-vm.target <<END
[Unit]
Description=The test machine
Requires=sysinit.target dbus.socket gantry-vm.service
After=sysinit.target dbus.socket
END
$bb cat >$units/gantry-vm.service <<END
[Unit]
Description=The command of the test machine
After=sysinit.target dbus.socket
[Service]
Type=oneshot
ExecStart=/bin/bash /run/gantry-vm/guest-run.sh
Delegate=yes
TasksMax=infinity
TimeoutStartSec=infinity
StandardOutput=null
END
# On a host that is a container itself systemd would take the machine for one too.
$bb rm -f $n/.dockerenv
exec $bb switch_root $n /lib/systemd/systemd --unit=gantry-vm.target
