#!/bin/sh
# Holds the undefined symbols of the code between clone3 and execve against what may be called there:
# bare system calls and memory moves. No allocation, no lock, no exception, nothing of the C++
# library. Usage: child_symbols.sh NM OBJECT...
set -u
nm=$1
shift
allowed="__errno_location _GLOBAL_OFFSET_TABLE_ __stack_chk_fail __memcpy_chk __memmove_chk __memset_chk
memcpy memmove memset strcmp strlen
_exit accept4 chdir chroot clock_gettime close dup2 execve fchdir fchmod fchmodat fchown fchownat fcntl fstat fstatat fstatfs ioctl
mkdirat mknodat mount open openat prctl prlimit prlimit64 read readlinkat recv send sendmsg setdomainname sethostname
setns setsid stat symlinkat syscall umask umount2 unlinkat unshare write
fstat64 fstatat64 fstatfs64 open64 openat64 stat64"
defined=$("$nm" --defined-only -g "$@" | awk 'NF == 3 {print $3}')
bad=0
for symbol in $("$nm" -u "$@" | awk '$1 == "U" {print $2}' | sort -u); do
  case " $(echo $allowed $defined) " in
    *" $symbol "*) ;;
    *) echo "not allowed in the child: $symbol"; bad=1 ;;
  esac
done
[ -n "$defined" ] || { echo "no objects were read"; exit 1; }
exit $bad
