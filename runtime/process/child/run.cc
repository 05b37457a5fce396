#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/process/child/child.h"
#include "runtime/process/child/steps.h"

namespace gantry::runtime {
namespace {

void Send(const Child& child) noexcept {
  while (::send(child.socket, &child.report, sizeof child.report, MSG_NOSIGNAL) < 0 &&
         errno == EINTR) {
  }
}

[[noreturn]] void Fail(Child& child, ReportKind kind, int index, int error) noexcept {
  child.report.kind = kind;
  child.report.index = index;
  child.report.error = error;
  Send(child);
  ::_exit(127);
}

[[noreturn]] void FailStep(Child& child, int index, int error) noexcept {
  Fail(child, error == kHookFailed ? ReportKind::kHookFailed : ReportKind::kStep, index, error);
}

void LoadLate(Child& child, const SeccompArgs& args) noexcept {
  const int error = LoadSeccompProgram(child, args);
  if (error != 0) FailStep(child, -1, error);
}

// As a shell looks: the first candidate that is a file and may be executed. What is found but may
// not be executed is only the answer if nothing better follows.
int FindExecutable(Child& child) noexcept {
  int error = ENOENT;
  for (int i = 0; child.plan->candidates[i] != nullptr; ++i) {
    const char* path = child.plan->candidates[i];
    struct stat status;
    if (::stat(path, &status) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
      continue;
    }
    if (S_ISDIR(status.st_mode)) {
      error = EISDIR;
    } else if (::syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) != 0) {
      error = errno;
    } else {
      child.executable = i;
      return 0;
    }
  }
  return error;
}

// The next word, or 0 if the other side is gone.
char NextWord(int socket) noexcept {
  char got = 0;
  ssize_t size;
  do {
    size = ::recv(socket, &got, 1, 0);
  } while (size < 0 && errno == EINTR);
  return size == 1 ? got : '\0';
}

bool WaitForWord(int socket, char word) noexcept { return NextWord(socket) == word; }

// Connections that end without a word are those of processes that only looked whether somebody
// listens, or that died.
bool WaitForStart(Child& child) noexcept {
  const int listener = child.plan->listener;
  const char word = NextWord(child.socket);
  if (word != kDetach || listener < 0) {
    // As below: execve closes one descriptor after the other.
    if (listener >= 0) ::close(listener);
    return word == kStart;
  }
  for (;;) {
    const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return false;
    }
    ::close(child.socket);
    child.socket = connection;
    if (!WaitForWord(connection, kStart)) continue;
    // Before execve, whose end the other side sees: nobody is to find it waiting after that.
    ::close(listener);
    return true;
  }
}

}  // namespace

int SendReport(const Child& child, ReportKind kind, int fd) noexcept {
  Report report{};
  report.kind = kind;
  iovec part{&report, sizeof report};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  ::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = ::sendmsg(child.socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

int WaitForGo(Child& child, const Step&) noexcept {
  return WaitForWord(child.socket, kGo) ? 0 : ECANCELED;
}

int WaitForHooks(Child& child, const Step&) noexcept {
  child.report.kind = ReportKind::kHooks;
  Send(child);
  return WaitForWord(child.socket, kGo) ? 0 : ECANCELED;
}

namespace {

int64_t Now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void RunChild(const ChildPlan& plan) noexcept {
  Child child{};
  child.plan = &plan;
  child.socket = plan.socket;
  if (plan.stamps != nullptr) plan.stamps[0] = Now();
  ::close(plan.parent_socket);
  for (size_t i = 0; i < plan.step_count; ++i) {
    const int error = plan.steps[i].run(child, plan.steps[i]);
    if (error != 0) FailStep(child, static_cast<int>(i), error);
    if (plan.stamps != nullptr) plan.stamps[i + 1] = Now();
  }
  child.report.detail[0] = '\0';
  const int found = FindExecutable(child);
  if (found != 0) Fail(child, ReportKind::kProgram, 0, found);
  const auto* late = static_cast<const SeccompArgs*>(plan.late_seccomp);
  // One that has a listener needs the parent, who may not be the one that starts the process.
  if (late != nullptr && late->listener) {
    LoadLate(child, *late);
    late = nullptr;
  }
  if (plan.wait_for_start) {
    child.report.kind = ReportKind::kReady;
    Send(child);
    // The parent is gone: the container was never started and nobody is left to start it.
    if (!WaitForStart(child)) ::_exit(127);
  }
  const auto* hooks = static_cast<const HookArgs*>(plan.start_hooks);
  for (size_t i = 0; i < plan.start_hook_count; ++i) {
    const int error = RunOneHook(child, hooks[i]);
    if (error != 0) FailStep(child, -1, error);
  }
  if (late != nullptr) LoadLate(child, *late);
  ::execve(plan.candidates[child.executable], plan.argv, plan.envp);
  Fail(child, ReportKind::kExec, child.executable, errno);
}

}  // namespace gantry::runtime
