#include "bench/floor/child.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace gantry::bench {
namespace {

class Floor {
 public:
  explicit Floor(const ChildArguments& arguments) : arguments_(arguments) {}

  [[noreturn]] void Run() {
    Stamp(kBorn);
    for (int i = 0; i < arguments_.tasks_count; ++i) {
      Check(static_cast<int>(::write(arguments_.tasks_fds[i], "0", 1)), __LINE__);
    }
    Stamp(kInCgroups);
    ::setsid();
    Check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), __LINE__);
    Check(::mount("overlay", arguments_.root, "overlay", 0, arguments_.overlay_options), __LINE__);
    Stamp(kRootMounted);
    Check(::chdir(arguments_.root), __LINE__);
    MountRest();
    MakeDevices();
    Stamp(kMounted);
    Check(static_cast<int>(::syscall(SYS_pivot_root, ".", ".")), __LINE__);
    Check(::umount2(".", MNT_DETACH), __LINE__);
    Check(::chdir("/"), __LINE__);
    Stamp(kPivoted);
    ::syscall(SYS_close_range, 3, ~0u, 0);
    Stamp(kExecuting);
    char* const environment[] = {nullptr};
    ::execve(arguments_.argv[0], const_cast<char* const*>(arguments_.argv), environment);
    Check(-1, __LINE__);
    ::_exit(127);
  }

 private:
  void Stamp(ChildStamp stamp) { arguments_.page->nanos[stamp] = MonotonicNanos(); }

  void Check(int result, int line) {
    if (result >= 0) return;
    arguments_.page->failed_line = line;
    arguments_.page->error = errno;
    ::_exit(127);
  }

  // The mounts of the spec that `ctr run` writes.
  void MountRest() {
    constexpr unsigned long kPlain = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    Check(::mount("proc", "proc", "proc", kPlain, nullptr), __LINE__);
    Check(::mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
          __LINE__);
    for (const char* directory : {"dev/pts", "dev/shm", "dev/mqueue"}) {
      Check(::mkdir(directory, 0755), __LINE__);
    }
    Check(::mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                  "newinstance,ptmxmode=0666,mode=0620,gid=5"),
          __LINE__);
    Check(::mount("shm", "dev/shm", "tmpfs", kPlain, "mode=1777,size=65536k"), __LINE__);
    Check(::mount("mqueue", "dev/mqueue", "mqueue", kPlain, nullptr), __LINE__);
    if (arguments_.network_is_own) {
      Check(::mount("sysfs", "sys", "sysfs", kPlain | MS_RDONLY, nullptr), __LINE__);
    }
    Check(::mount("tmpfs", "run", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
          __LINE__);
  }

  void MakeDevices() {
    struct Device {
      const char* path;
      unsigned major, minor;
    };
    constexpr Device kDevices[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                                   {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    for (const Device& device : kDevices) {
      Check(::mknod(device.path, S_IFCHR | 0666, makedev(device.major, device.minor)), __LINE__);
    }
  }

  const ChildArguments& arguments_;
};

}  // namespace

int64_t MonotonicNanos() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void RunFloorChild(const ChildArguments& arguments) { Floor(arguments).Run(); }

}  // namespace gantry::bench
