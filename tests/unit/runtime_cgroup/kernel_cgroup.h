#ifndef GANTRY_TESTS_UNIT_RUNTIME_CGROUP_KERNEL_CGROUP_H_
#define GANTRY_TESTS_UNIT_RUNTIME_CGROUP_KERNEL_CGROUP_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "runtime/spec/resources.h"

namespace gantry::runtime {

// A name for cgroups of one test, "/gantry-test-<pid>-<random>"; what is left below it in any
// hierarchy goes with this, and is what the test asks about.
class TestParent {
 public:
  TestParent();
  ~TestParent();
  TestParent(const TestParent&) = delete;
  TestParent& operator=(const TestParent&) = delete;

  [[nodiscard]] std::string Path(const std::string& child) const { return path_ + "/" + child; }
  // Directories below the parent, in all hierarchies.
  [[nodiscard]] std::vector<std::string> Left() const;
  // The parent's directory in one hierarchy: "/sys/fs/cgroup/memory/gantry-test-...".
  [[nodiscard]] std::string In(const std::string& controller) const;

 private:
  std::string path_;
};

// A child that waits to be let go, runs `body` and exits with what it returns. Killed and reaped at
// the latest when this goes.
class WaitingChild {
 public:
  explicit WaitingChild(std::function<int()> body);
  ~WaitingChild();
  WaitingChild(const WaitingChild&) = delete;
  WaitingChild& operator=(const WaitingChild&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void Go();
  // The status of waitpid(2).
  int Wait();

 private:
  pid_t pid_ = -1;
  UniqueFd gate_;
  bool reaped_ = false;
};

// The resources in `json`, which is right.
LinuxResources Resources(const std::string& json);

}  // namespace gantry::runtime

#endif  // GANTRY_TESTS_UNIT_RUNTIME_CGROUP_KERNEL_CGROUP_H_
