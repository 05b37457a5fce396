#ifndef GANTRY_TESTS_UNIT_RUNTIME_CONTAINER_FIXTURE_H_
#define GANTRY_TESTS_UNIT_RUNTIME_CONTAINER_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "runtime/container.h"
#include "tests/unit/runtime/busybox_root.h"

namespace gantry::runtime {

using Args = std::vector<std::string>;

// Containers of a busybox bundle of the test's own.
class ContainerFixture : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    absl::StatusOr<BusyboxBundle> bundle = BusyboxBundle::Create();
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    bundle_.emplace(*std::move(bundle));
  }

  Spec Shell(const std::string& script) { return bundle_->DefaultSpec(Args{"sh", "-c", script}); }
  RunResult Run(Spec spec) {
    absl::StatusOr<RunResult> result = RunContainer(OptionsFor(*bundle_, std::move(spec)));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(RunResult{});
  }
  std::string Output(const std::string& script) { return Run(Shell(script)).output; }
  absl::Status Failure(Spec spec) {
    return RunContainer(OptionsFor(*bundle_, std::move(spec))).status();
  }
  // One that was created and started; null after a failure.
  std::unique_ptr<Container> Started(Spec spec) {
    absl::StatusOr<std::unique_ptr<Container>> container =
        Container::Create(OptionsFor(*bundle_, std::move(spec)));
    EXPECT_TRUE(container.ok()) << container.status();
    if (!container.ok()) return nullptr;
    EXPECT_EQ((*container)->Start(), absl::OkStatus());
    return *std::move(container);
  }
  // A container that waits to be killed.
  std::unique_ptr<Container> Sleeper() {
    return Started(bundle_->DefaultSpec(Args{"sleep", "1000"}));
  }
  static void End(Container& container) {
    EXPECT_EQ(container.Kill(SIGKILL), absl::OkStatus());
    EXPECT_EQ(ExitCodeOf(container.pidfd()), 128 + SIGKILL);
    EXPECT_EQ(container.Destroy(), absl::OkStatus());
  }
  std::string ExecOutput(Container& container, const Process& process) {
    const absl::StatusOr<RunResult> result = ExecIn(container, process);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(RunResult{}).output;
  }
  void WriteText(const std::string& path, const std::string& text, mode_t mode = 0644) {
    ASSERT_EQ(WriteFileAtomic(path, text, mode, Durability::kNotDurable), absl::OkStatus());
  }

  std::optional<BusyboxBundle> bundle_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_TESTS_UNIT_RUNTIME_CONTAINER_FIXTURE_H_
