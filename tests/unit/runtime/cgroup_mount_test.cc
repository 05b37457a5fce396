#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_split.h"
#include "base/file.h"
#include "runtime/cgroup/layout.h"
#include "tests/unit/runtime/busybox_root.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;

// What the cgroup mount of a container shows on a host with cgroup v2 alone. Only a cgroup that is
// not the root of the whole tree has a file cgroup.events.
class UnifiedMountTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (!(*HostCgroupLayout())->unified_only()) {
      GTEST_SKIP() << "needs a host with cgroup v2 alone: tests/vm/run.sh";
    }
    absl::StatusOr<BusyboxBundle> bundle = BusyboxBundle::Create();
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    bundle_.emplace(*std::move(bundle));
  }

  std::string Output(const std::string& script, const std::string& mode, bool own_namespace) {
    Spec spec = bundle_->DefaultSpec({"sh", "-c", "cd /sys/fs/cgroup; " + script});
    spec.mounts.push_back(SpecMount{
        "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", mode}});
    auto& namespaces = spec.linux_.namespaces;
    namespaces.erase(std::remove_if(namespaces.begin(), namespaces.end(),
                                    [](const LinuxNamespace& one) {
                                      return one.type == NamespaceType::kCgroup;
                                    }),
                     namespaces.end());
    if (own_namespace) namespaces.push_back(LinuxNamespace{NamespaceType::kCgroup, ""});
    absl::StatusOr<RunResult> result = RunContainer(OptionsFor(*bundle_, std::move(spec)));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(RunResult{}).output;
  }

  std::optional<BusyboxBundle> bundle_;
};

TEST_F(UnifiedMountTest, InItsOwnNamespaceItIsTheContainersCgroup) {
  EXPECT_EQ(Output("cat /proc/self/cgroup; test -e cgroup.events && echo below; head -n 1 "
                   "cgroup.procs; mkdir x 2>/dev/null || echo refused; "
                   "awk '$5 == \"/sys/fs/cgroup\" {print $4}' /proc/self/mountinfo",
                   "ro", true),
            "0::/\nbelow\n1\nrefused\n/\n");
}

TEST_F(UnifiedMountTest, WritableItLetsTheContainerDivideItsCgroup) {
  EXPECT_EQ(Output("mkdir x && echo 1 >x/cgroup.procs && echo +pids >cgroup.subtree_control && "
                   "cat /proc/1/cgroup x/pids.max",
                   "rw", true),
            "0::/x\nmax\n");
}

TEST_F(UnifiedMountTest, InTheHostsNamespaceItIsTheWholeTreeWithTheContainersPathInIt) {
  const std::string output = Output(
      "test -e cgroup.events || echo root; p=$(cut -d: -f3 /proc/self/cgroup); "
      "grep -qx $$ .$p/cgroup.procs || test -s .$p/cgroup.procs && echo found; "
      "mkdir x 2>/dev/null || echo refused",
      "ro", false);
  EXPECT_EQ(output, "root\nfound\nrefused\n");
}

TEST_F(UnifiedMountTest, TheHostsMountKeepsItsOptions) {
  const auto options = [] {
    const absl::StatusOr<std::string> text = ReadFile("/proc/self/mountinfo");
    for (const absl::string_view line : absl::StrSplit(text.value_or(""), '\n')) {
      if (line.find(" - cgroup2 ") != absl::string_view::npos) return std::string(line);
    }
    return std::string();
  };
  const std::string before = options();
  Output("true", "ro", false);
  Output("true", "rw", true);
  EXPECT_EQ(options(), before);
}

}  // namespace
}  // namespace gantry::runtime
