#include "tests/unit/runtime/busybox_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "base/errors.h"
#include "base/file.h"

namespace gantry::runtime {
namespace {

constexpr const char* kApplets[] = {"sh",   "echo",     "cat",   "ls",       "id",    "mount",
                                    "grep", "sleep",    "true",  "readlink", "touch", "stat",
                                    "tty",  "hostname", "mkdir", "mknod",    "sort",  "wc",
                                    "pwd",  "env",      "dd"};

constexpr char kSpec[] = R"({
  "ociVersion": "1.0.2",
  "process": {
    "user": {"uid": 0, "gid": 0},
    "args": ["true"],
    "env": ["PATH=/bin:/usr/bin"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD"],
      "effective": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD"],
      "permitted": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD"]
    },
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1000}],
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs"},
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
     "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/run", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}
  ],
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                   {"type": "network"}],
    "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
                    "/proc/scsi", "/sys/firmware", "/no/such"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
})";

}  // namespace

absl::StatusOr<BusyboxBundle> BusyboxBundle::Create() {
  GANTRY_ASSIGN_OR_RETURN(TempDir dir, TempDir::Create("gantry-runtime-"));
  BusyboxBundle bundle(std::move(dir));
  if (::chmod(bundle.path().c_str(), 0711) != 0) return ErrnoError(errno, "chmod the bundle");
  GANTRY_RETURN_IF_ERROR(MakeDirectories(bundle.root() + "/bin"));
  GANTRY_RETURN_IF_ERROR(MakeDirectories(bundle.root() + "/etc"));
  GANTRY_ASSIGN_OR_RETURN(const std::string busybox, ReadFile("/bin/busybox"));
  GANTRY_RETURN_IF_ERROR(
      WriteFileAtomic(bundle.root() + "/bin/busybox", busybox, 0755, Durability::kNotDurable));
  GANTRY_RETURN_IF_ERROR(WriteFileAtomic(bundle.root() + "/etc/passwd",
                                         "root:x:0:0:root:/root:/bin/sh\n"
                                         "user:x:1000:1000::/home/user:/bin/sh\n",
                                         0644, Durability::kNotDurable));
  for (const char* applet : kApplets) {
    const std::string path = bundle.root() + "/bin/" + applet;
    if (::symlink("busybox", path.c_str()) != 0) return ErrnoError(errno, "link an applet");
  }
  return bundle;
}

Spec BusyboxBundle::DefaultSpec(std::vector<std::string> args) const {
  absl::StatusOr<Spec> spec = ParseSpec(kSpec);
  if (!spec.ok()) std::abort();
  spec->process.args = std::move(args);
  return *std::move(spec);
}

CreateOptions OptionsFor(const BusyboxBundle& bundle, Spec spec) {
  static std::atomic<int> next{0};
  CreateOptions options;
  options.id = absl::StrCat("test-", ::getpid(), "-", next++);
  options.bundle = bundle.path();
  options.spec = std::move(spec);
  options.spec.linux_.cgroups_path = absl::StrCat("/gantry-runtime-", options.id);
  return options;
}

int ExitCodeOf(int pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) < 0) {
    if (errno != EINTR) return -errno;
  }
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, got);
  return text;
}

absl::StatusOr<RunResult> RunContainer(CreateOptions options) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  const UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  options.stdio.out = options.stdio.err = write_end.get();
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<Container> container,
                          Container::Create(std::move(options)));
  write_end.reset();
  const absl::Status started = container->Start();
  RunResult result;
  result.output = ReadAll(read_end.get());
  result.exit_code = ExitCodeOf(container->pidfd());
  GANTRY_RETURN_IF_ERROR(container->Destroy());
  GANTRY_RETURN_IF_ERROR(started);
  return result;
}

absl::StatusOr<RunResult> ExecIn(Container& container, const Process& process) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  const UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  Stdio stdio;
  stdio.out = stdio.err = write_end.get();
  GANTRY_ASSIGN_OR_RETURN(const ChildProcess child, container.Exec(process, stdio));
  write_end.reset();
  RunResult result;
  result.output = ReadAll(read_end.get());
  result.exit_code = ExitCodeOf(child.pidfd.get());
  return result;
}

}  // namespace gantry::runtime
