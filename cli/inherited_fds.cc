#include "cli/inherited_fds.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "base/errors.h"
#include "cli/errors.h"

namespace gantry::cli {
namespace {

constexpr int kFirst = 3;
constexpr int64_t kMost = INT16_MAX;

// Set once, before anything is opened.
int64_t inherited = 0;

// Those of a service manager, or 0. Without a pid they are for whoever finds them (sd_listen_fds(3)
// wants one, runc does not).
int64_t ListenFds() {
  const char* const fds = ::getenv("LISTEN_FDS");
  const char* const pid_text = ::getenv("LISTEN_PID");
  int64_t count = 0;
  pid_t pid = 0;
  const bool ours = pid_text == nullptr || pid_text[0] == '\0' ||
                    (absl::SimpleAtoi(pid_text, &pid) && pid == ::getpid());
  if (fds == nullptr || !ours || !absl::SimpleAtoi(fds, &count) || count < 0) return 0;
  return count;
}

}  // namespace

void NoteInheritedFds() {
  int fd;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
  while (inherited < kMost && ::fcntl(kFirst + static_cast<int>(inherited), F_GETFD) >= 0) {
    ++inherited;
  }
}

absl::StatusOr<unsigned> InheritedFds(int64_t preserve_fds, std::vector<std::string>* env) {
  const int64_t listening = ListenFds();
  if (preserve_fds < 0 || preserve_fds > kMost || listening > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("preserve-fds: not a number of descriptors: ", preserve_fds));
  }
  const int64_t wanted = listening + preserve_fds;
  if (wanted > inherited) {
    return ErrnoWords(
        EBADF, absl::StrCat("unable to stat preserved-fd ", inherited, " (of ", wanted, ")"));
  }
  if (listening > 0) {
    env->push_back(absl::StrCat("LISTEN_FDS=", listening));
    env->push_back("LISTEN_PID=1");
  }
  return static_cast<unsigned>(wanted);
}

}  // namespace gantry::cli
