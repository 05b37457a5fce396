#include "runtime/process/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/start_trace.h"

namespace gantry::runtime {
namespace {

constexpr char kPrefix[] = "unable to start container process";

// What clone3(2) takes, without the rest of linux/sched.h that sched.h defines as well.
struct CloneArgs {
  uint64_t flags = 0;
  uint64_t pidfd = 0;
  uint64_t child_tid = 0;
  uint64_t parent_tid = 0;
  uint64_t exit_signal = 0;
  uint64_t stack = 0;
  uint64_t stack_size = 0;
  uint64_t tls = 0;
  uint64_t set_tid = 0;
  uint64_t set_tid_size = 0;
  uint64_t cgroup = 0;
};

struct SocketPair {
  UniqueFd parent;
  UniqueFd child;
};

// Above the standard descriptors, which the child replaces.
absl::StatusOr<UniqueFd> Raise(int fd) {
  UniqueFd owned(fd);
  if (fd > 2) return owned;
  UniqueFd raised(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!raised.valid()) return ErrnoError(errno, "duplicate a socket");
  return raised;
}

absl::StatusOr<SocketPair> MakeSockets() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return ErrnoError(errno, "make the socket pair of a child");
  }
  UniqueFd first(fds[0]);
  UniqueFd second(fds[1]);
  SocketPair pair;
  GANTRY_ASSIGN_OR_RETURN(pair.parent, Raise(first.release()));
  GANTRY_ASSIGN_OR_RETURN(pair.child, Raise(second.release()));
  return pair;
}

// Puts this thread's future children into another pid namespace, and back when it goes.
class ChildPidNamespace {
 public:
  static absl::StatusOr<ChildPidNamespace> Enter(int ns) {
    if (ns < 0) return ChildPidNamespace(UniqueFd());
    GANTRY_ASSIGN_OR_RETURN(UniqueFd own, OpenFile("/proc/thread-self/ns/pid", O_RDONLY));
    if (::setns(ns, CLONE_NEWPID) != 0) {
      if (errno == ESRCH) return absl::FailedPreconditionError("the container has stopped");
      return ErrnoError(errno, "join the pid namespace");
    }
    return ChildPidNamespace(std::move(own));
  }
  ChildPidNamespace(ChildPidNamespace&&) = default;
  ChildPidNamespace& operator=(ChildPidNamespace&&) = delete;
  ~ChildPidNamespace() {
    // Into one's own pid namespace: has no way to fail.
    if (own_.valid()) ::setns(own_.get(), CLONE_NEWPID);
  }

 private:
  explicit ChildPidNamespace(UniqueFd own) : own_(std::move(own)) {}
  UniqueFd own_;
};

absl::Status Clone(const ChildPlan& plan, const SpawnOptions& options, Spawned* child) {
  GANTRY_ASSIGN_OR_RETURN(const ChildPidNamespace ns,
                          ChildPidNamespace::Enter(options.pid_namespace));
  int pidfd = -1;
  CloneArgs args;
  args.flags = options.clone_flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (options.cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(options.cgroup_fd);
  }
  // A handler of the parent's must not run in the child before it resets them all.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) RunChild(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) {
    // The kernel's word for a pid namespace whose init has ended.
    if (error == ENOMEM && options.pid_namespace >= 0) {
      return absl::FailedPreconditionError("the container has stopped");
    }
    return ErrnoError(error, "clone3 with the container's namespaces");
  }
  child->pid = static_cast<pid_t>(pid);
  child->pidfd = UniqueFd(pidfd);
  return absl::OkStatus();
}

// Receives one packet; a descriptor that came along goes to `fd`. False at the end of file.
absl::StatusOr<bool> Receive(int socket, Report* report, UniqueFd* fd) {
  iovec part{report, sizeof *report};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno != ECONNRESET) return ErrnoError(errno, "read the report of a child");
  if (size <= 0) return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int received = -1;
    std::memcpy(&received, CMSG_DATA(header), sizeof received);
    *fd = UniqueFd(received);
  }
  if (static_cast<size_t>(size) != sizeof *report) {
    return absl::InternalError("a child sent a short report");
  }
  report->detail[kDetailSize - 1] = '\0';
  return true;
}

std::string LowerErrno(int error) {
  std::string text = std::strerror(error);
  if (!text.empty()) text[0] = absl::ascii_tolower(text[0]);
  return text;
}

absl::Status ToStatus(const ChildPlan& built, const Report& report) {
  switch (report.kind) {
    case ReportKind::kProgram:
      return absl::InvalidArgumentError(
          absl::StrCat(kPrefix, ": ", ProgramError(built.program, report.error)));
    case ReportKind::kHookFailed:
      return absl::InternalError(absl::StrCat(kPrefix, ": error running ", report.detail));
    case ReportKind::kExec:
      return absl::InvalidArgumentError(
          absl::StrCat(kPrefix, ": exec: \"", built.program, "\": ", LowerErrno(report.error)));
    default:
      break;
  }
  std::string what = absl::StrCat(kPrefix, ": load the seccomp filter");
  if (report.index >= 0 && static_cast<size_t>(report.index) < built.step_count) {
    const Step& step = built.steps[report.index];
    what = absl::StrCat(kPrefix, ": ", step.what, " ", step.subject);
  }
  if (report.detail[0] != '\0') absl::StrAppend(&what, " (", report.detail, ")");
  return ErrnoError(report.error, what);
}

void Reap(const UniqueFd& pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

void KillAndReap(const Spawned& child) {
  ::syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
  Reap(child.pidfd);
}

// The number that this process knows the one behind `pidfd` by.
absl::StatusOr<pid_t> PidOf(const UniqueFd& pidfd) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text,
                          ReadFile(absl::StrCat("/proc/self/fdinfo/", pidfd.get())));
  pid_t pid = -1;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, "Pid:")) {
      if (absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &pid) && pid > 0) return pid;
    }
  }
  return absl::InternalError("a process that was just cloned has no pid");
}

// The child cloned itself: from now on the clone is the child.
absl::Status FollowClone(const ChildPlan& plan, Spawned* child) {
  Report report{};
  UniqueFd pidfd;
  GANTRY_ASSIGN_OR_RETURN(const bool more, Receive(child->socket.get(), &report, &pidfd));
  if (!more) return absl::InternalError(absl::StrCat(kPrefix, ": it died before it reported"));
  if (report.kind != ReportKind::kCloned || !pidfd.valid()) return ToStatus(plan, report);
  Reap(child->pidfd);
  child->pidfd = std::move(pidfd);
  GANTRY_ASSIGN_OR_RETURN(child->pid, PidOf(child->pidfd));
  return absl::OkStatus();
}

absl::Status Say(int socket, char word) {
  ssize_t sent;
  do {
    sent = ::send(socket, &word, 1, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return ErrnoError(errno, "write to a child");
  return absl::OkStatus();
}

absl::Status TakeListener(const SpawnOptions& options, int number, const Spawned& child) {
  UniqueFd listener(static_cast<int>(::syscall(SYS_pidfd_getfd, child.pidfd.get(), number, 0)));
  if (!listener.valid()) return ErrnoError(errno, "take the seccomp listener of a child");
  if (options.take_listener) {
    GANTRY_RETURN_IF_ERROR(options.take_listener(child.pid, std::move(listener)));
  }
  return Say(child.socket.get(), kGo);
}

// Follows the child up to where it waits, or to its execve.
absl::Status Follow(const ChildPlan& plan, const SpawnOptions& options, Spawned* child) {
  for (;;) {
    Report report{};
    UniqueFd fd;
    GANTRY_ASSIGN_OR_RETURN(const bool more, Receive(child->socket.get(), &report, &fd));
    if (!more) {
      if (!plan.wait_for_start) return absl::OkStatus();
      return absl::InternalError(absl::StrCat(kPrefix, ": it died before it reported"));
    }
    if (report.kind == ReportKind::kReady) {
      return options.when_ready ? options.when_ready(child->pid) : absl::OkStatus();
    }
    if (report.kind == ReportKind::kListener) {
      GANTRY_RETURN_IF_ERROR(TakeListener(options, report.index, *child));
      continue;
    }
    if (report.kind == ReportKind::kHooks) {
      if (options.run_hooks) GANTRY_RETURN_IF_ERROR(options.run_hooks(child->pid));
      GANTRY_RETURN_IF_ERROR(Say(child->socket.get(), kGo));
      continue;
    }
    if (report.kind != ReportKind::kConsole) return ToStatus(plan, report);
    child->console = std::move(fd);
  }
}

// Memory in which the child writes when it did what, if starts are traced.
class StampPage {
 public:
  StampPage(const std::string& id, size_t count) : id_(id), count_(count) {
    if (id.empty() || !StartTraceIsOn()) return;
    void* const memory = ::mmap(nullptr, count * sizeof(int64_t), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) stamps_ = static_cast<int64_t*>(memory);
  }
  StampPage(const StampPage&) = delete;
  StampPage& operator=(const StampPage&) = delete;
  ~StampPage() {
    if (stamps_ != nullptr) ::munmap(stamps_, count_ * sizeof(int64_t));
  }
  [[nodiscard]] int64_t* get() const { return stamps_; }
  void Tell(const ChildPlan& plan) const {
    if (stamps_ == nullptr) return;
    TraceStartAt(stamps_[0], "init", id_, "born");
    for (size_t i = 0; i < plan.step_count; ++i) {
      TraceStartAt(stamps_[i + 1], "init", id_,
                   absl::StrCat(plan.steps[i].what, " ", plan.steps[i].subject));
    }
  }

 private:
  const std::string& id_;
  const size_t count_;
  int64_t* stamps_ = nullptr;
};

}  // namespace

std::string ProgramError(const std::string& program, int error) {
  if (error == ENOENT && !absl::StrContains(program, "/")) {
    return absl::StrCat("exec: \"", program, "\": executable file not found in $PATH");
  }
  if (error == EACCES) return absl::StrCat("exec: \"", program, "\": permission denied");
  // Both sentences are looked for, by clients of older and of newer runtimes.
  if (error == EISDIR) {
    return absl::StrCat("exec: \"", program, "\": is a directory: permission denied");
  }
  return absl::StrCat("exec: \"", program, "\": stat ", program, ": ", LowerErrno(error));
}

absl::StatusOr<Spawned> Spawn(const PlanBuilder& plan, const SpawnOptions& options) {
  GANTRY_ASSIGN_OR_RETURN(SocketPair sockets, MakeSockets());
  ChildPlan built = plan.Build();
  built.socket = sockets.child.get();
  built.parent_socket = sockets.parent.get();
  const StampPage stamps(options.trace_id, built.step_count + 1);
  built.stamps = stamps.get();
  Spawned child;
  GANTRY_RETURN_IF_ERROR(Annotate(Clone(built, options, &child), kPrefix));
  sockets.child.reset();  // else the end of file never comes
  child.socket = std::move(sockets.parent);
  absl::Status status;
  if (options.clones_again) status = FollowClone(built, &child);
  if (status.ok() && options.before_go) status = options.before_go(child.pid);
  if (status.ok()) status = Say(child.socket.get(), kGo);
  if (status.ok() && options.meanwhile) options.meanwhile(child.pid);
  if (status.ok()) status = Follow(built, options, &child);
  if (!status.ok()) {
    KillAndReap(child);
    return status;
  }
  stamps.Tell(built);
  return child;
}

absl::Status Release(const ChildPlan& plan, const UniqueFd& socket) {
  if (!Say(socket.get(), kStart).ok()) {
    return absl::FailedPreconditionError(absl::StrCat(kPrefix, ": it has ended already"));
  }
  Report report{};
  UniqueFd unused;
  GANTRY_ASSIGN_OR_RETURN(const bool failed, Receive(socket.get(), &report, &unused));
  return failed ? ToStatus(plan, report) : absl::OkStatus();
}

absl::Status LetWaitAtListener(const UniqueFd& socket) { return Say(socket.get(), kDetach); }

}  // namespace gantry::runtime
