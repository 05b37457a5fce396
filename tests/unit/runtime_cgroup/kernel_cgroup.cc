#include "tests/unit/runtime_cgroup/kernel_cgroup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/random.h"
#include "runtime/cgroup/layout.h"

namespace gantry::runtime {
namespace {

std::vector<std::string> MountPoints() {
  const CgroupLayout& layout = **HostCgroupLayout();
  std::vector<std::string> places;
  for (const Hierarchy& one : layout.v1) places.push_back(one.mount_point);
  if (!layout.unified_mount.empty()) places.push_back(layout.unified_mount);
  return places;
}

// Directories below `path`, deepest last.
void Below(const std::string& path, std::vector<std::string>* found) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (!entry.is_directory(error)) continue;
    found->push_back(entry.path());
    Below(entry.path(), found);
  }
}

}  // namespace

TestParent::TestParent()
    : path_("/gantry-test-" + std::to_string(::getpid()) + "-" + RandomHex(4)) {}

TestParent::~TestParent() {
  std::vector<std::string> left = Left();
  for (auto path = left.rbegin(); path != left.rend(); ++path) ::rmdir(path->c_str());
  for (const std::string& place : MountPoints()) ::rmdir((place + path_).c_str());
}

std::vector<std::string> TestParent::Left() const {
  std::vector<std::string> found;
  for (const std::string& place : MountPoints()) Below(place + path_, &found);
  return found;
}

std::string TestParent::In(const std::string& controller) const {
  return (*HostCgroupLayout())->Find(controller)->mount_point + path_;
}

WaitingChild::WaitingChild(std::function<int()> body) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends[1]);
    char byte;
    if (::read(ends[0], &byte, 1) != 1) ::_exit(125);
    ::_exit(body());
  }
  ::close(ends[0]);
  gate_.reset(ends[1]);
}

WaitingChild::~WaitingChild() {
  if (reaped_ || pid_ <= 0) return;
  ::kill(pid_, SIGKILL);  // ours and not reaped: the number is still its own
  Wait();
}

void WaitingChild::Go() { EXPECT_EQ(::write(gate_.get(), "g", 1), 1); }

int WaitingChild::Wait() {
  int status = -1;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  return status;
}

LinuxResources Resources(const std::string& json) {
  const absl::StatusOr<Json> parsed = ParseJson(json, "test");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  absl::StatusOr<LinuxResources> resources = ResourcesFromJson(*parsed);
  EXPECT_TRUE(resources.ok()) << resources.status();
  return *std::move(resources);
}

}  // namespace gantry::runtime
