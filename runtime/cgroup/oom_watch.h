#ifndef GANTRY_RUNTIME_CGROUP_OOM_WATCH_H_
#define GANTRY_RUNTIME_CGROUP_OOM_WATCH_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::runtime {

// Says when the OOM killer may have been at work in a cgroup: poll `fd` for `events`, Clear, then
// compare Cgroup::OomKills(). It may fire as well when the cgroup is removed.
//
// Of v2 it is the open file memory.events, whose changes the kernel tells by POLLPRI. An inotify
// instance would tell them as well, but a user has 128 of those in all.
class OomWatch {
 public:
  // An eventfd that memory.oom_control of v1 is registered with.
  static OomWatch OfEventFd(UniqueFd fd);
  // A file of a v2 cgroup that is open for reading. What it says now is taken as seen.
  static OomWatch OfFile(UniqueFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  // POLLIN or POLLPRI, which are EPOLLIN and EPOLLPRI too.
  [[nodiscard]] short events() const;
  // Makes it quiet until the next change. False if there will be none, since the cgroup is gone:
  // it would never be quiet again, so watch it no longer.
  bool Clear();

 private:
  enum class Kind { kEventFd, kFile };
  OomWatch(Kind kind, UniqueFd fd) : kind_(kind), fd_(std::move(fd)) {}
  Kind kind_;
  UniqueFd fd_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_OOM_WATCH_H_
