#include "runtime/cgroup/oom_watch.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace gantry::runtime {

OomWatch OomWatch::OfEventFd(UniqueFd fd) { return {Kind::kEventFd, std::move(fd)}; }

OomWatch OomWatch::OfFile(UniqueFd fd) {
  OomWatch watch(Kind::kFile, std::move(fd));
  // A file that nobody has read yet counts as changed.
  watch.Clear();
  return watch;
}

short OomWatch::events() const { return kind_ == Kind::kFile ? POLLPRI : POLLIN; }

bool OomWatch::Clear() {
  for (;;) {
    char text[4096];
    uint64_t count;
    const ssize_t got = kind_ == Kind::kFile ? ::pread(fd_.get(), text, sizeof text, 0)
                                             : ::read(fd_.get(), &count, sizeof count);
    if (got < 0 && errno == EINTR) continue;
    // ENODEV is what a file of a removed cgroup answers.
    return got > 0 || (got < 0 && errno == EAGAIN);
  }
}

}  // namespace gantry::runtime
