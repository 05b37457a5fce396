#include "services/tasks/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/unique_fd.h"

namespace gantry::tasks {
namespace {

constexpr size_t kMostOutput = 1 << 20;
constexpr size_t kMostOfErrors = 1024;

absl::StatusOr<UniqueFd> MemoryFile(absl::string_view bytes) {
  UniqueFd file(::memfd_create("program", MFD_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "create a memory file");
  GANTRY_RETURN_IF_ERROR(WriteAll(file.get(), bytes, "a program's input"));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind a memory file");
  return file;
}

std::string Contents(const UniqueFd& file) {
  ::lseek(file.get(), 0, SEEK_SET);
  absl::StatusOr<std::string> bytes = ReadFd(file.get(), kMostOutput, "a program's output");
  return bytes.ok() ? *std::move(bytes) : std::string();
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The daemon blocks and ignores signals that programs want.
int Spawn(const Program& program, const UniqueFd (&streams)[3], pid_t* pid) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (int target = 0; target < 3; ++target) {
    ::posix_spawn_file_actions_adddup2(&actions, streams[target].get(), target);
  }
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  ::posix_spawn_file_actions_addchdir_np(&actions, program.directory.c_str());
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> arguments = {program.path};
  arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
  std::vector<std::string> environment = program.environment;
  const int error = ::posix_spawn(pid, program.path.c_str(), &actions, &attributes,
                                  Pointers(arguments).data(), Pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

absl::StatusOr<std::string> RunProgram(const Program& program) {
  UniqueFd streams[3];
  GANTRY_ASSIGN_OR_RETURN(streams[0], MemoryFile(program.input));
  GANTRY_ASSIGN_OR_RETURN(streams[1], MemoryFile(""));
  GANTRY_ASSIGN_OR_RETURN(streams[2], MemoryFile(""));
  pid_t pid = -1;
  if (const int error = Spawn(program, streams, &pid); error != 0) {
    return ErrnoError(error, absl::StrCat("run ", program.path));
  }
  // Nobody else reaps it, so the number is its own until then.
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended = {pidfd.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(program.timeout)));
  } while (ready < 0 && errno == EINTR);
  if (ready != 1) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (ready != 1) {
    return absl::DeadlineExceededError(
        absl::StrCat(program.path, " did not end in ", absl::FormatDuration(program.timeout)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Contents(streams[1]);
  std::string said = Contents(streams[2]);
  absl::StripTrailingAsciiWhitespace(&said);
  if (said.size() > kMostOfErrors) said.erase(0, said.size() - kMostOfErrors);
  return absl::UnknownError(
      absl::StrCat(program.path,
                   WIFEXITED(status) ? absl::StrCat(" ended with status ", WEXITSTATUS(status))
                                     : absl::StrCat(" was ended by signal ", WTERMSIG(status)),
                   said.empty() ? "" : ": ", said));
}

}  // namespace gantry::tasks
