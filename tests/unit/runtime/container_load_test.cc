#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/container.h"
#include "runtime/process/start_socket.h"
#include "tests/unit/runtime/busybox_root.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;
using Args = std::vector<std::string>;

// Takes the part of the creator and, by loading the container again, of the processes after it.
class ContainerLoadTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    absl::StatusOr<BusyboxBundle> bundle = BusyboxBundle::Create();
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    bundle_.emplace(*std::move(bundle));
    ASSERT_EQ(MakeDirectories(StateDir()), absl::OkStatus());
  }

  std::string StateDir() const { return bundle_->path() + "/state"; }

  // Leaves the creator in `creator_`, its init waiting at the listener if `detach` says so.
  void Create(Args args, bool detach = true) {
    absl::StatusOr<UniqueFd> listener = ListenForStart(StateDir());
    ASSERT_TRUE(listener.ok()) << listener.status();
    CreateOptions options = OptionsFor(*bundle_, bundle_->DefaultSpec(std::move(args)));
    spec_ = options.spec;
    id_ = options.id;
    options.start_listener = listener->get();
    absl::StatusOr<std::unique_ptr<Container>> made = Container::Create(std::move(options));
    ASSERT_TRUE(made.ok()) << made.status();
    creator_ = *std::move(made);
    absl::StatusOr<ProcessIdentity> identity = IdentifyProcess(creator_->pid());
    ASSERT_TRUE(identity.ok()) << identity.status();
    identity_ = *identity;
    if (detach) {
      EXPECT_EQ(creator_->Detach(), absl::OkStatus());
    }
  }

  std::unique_ptr<Container> Load() {
    LoadOptions options;
    options.id = id_;
    options.bundle = bundle_->path();
    options.spec = spec_;
    options.init = identity_;
    if (absl::StatusOr<UniqueFd> connection = ConnectForStart(StateDir()); connection.ok()) {
      options.start_connection = *std::move(connection);
    }
    absl::StatusOr<std::unique_ptr<Container>> loaded = Container::Load(std::move(options));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.ok() ? *std::move(loaded) : nullptr;
  }

  std::optional<BusyboxBundle> bundle_;
  std::unique_ptr<Container> creator_;
  std::string id_;
  Spec spec_;
  ProcessIdentity identity_;
};

TEST_F(ContainerLoadTest, ADetachedContainerIsStartedUsedAndDestroyedByOthers) {
  Create(Args{"sleep", "1000"});
  ASSERT_NE(creator_, nullptr);
  EXPECT_FALSE(Load()->HasEnded());
  ASSERT_EQ(Load()->Start(), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(ConnectForStart(StateDir()).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Load()->Start()));

  Process process = spec_.process;
  process.args = Args{"sh", "-c", "readlink /proc/1/exe; exit 5"};
  const absl::StatusOr<RunResult> exec = ExecIn(*Load(), process);
  ASSERT_TRUE(exec.ok()) << exec.status();
  EXPECT_EQ(exec->output, "/bin/busybox\n");
  EXPECT_EQ(exec->exit_code, 5);

  EXPECT_EQ(Load()->Kill(SIGKILL), absl::OkStatus());
  EXPECT_EQ(ExitCodeOf(creator_->pidfd()), 128 + SIGKILL);
  const std::unique_ptr<Container> ended = Load();
  EXPECT_TRUE(ended->HasEnded());
  EXPECT_TRUE(absl::IsNotFound(ended->Kill(SIGTERM)));
  EXPECT_EQ(ended->Destroy(), absl::OkStatus());
  EXPECT_FALSE(Load()->has_cgroup());
}

TEST_F(ContainerLoadTest, LookingWhetherItWaitsDoesNotStartIt) {
  Create(Args{"true"});
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(ConnectForStart(StateDir()).ok());
  EXPECT_FALSE(creator_->HasEnded());
  ASSERT_EQ(Load()->Start(), absl::OkStatus());
  EXPECT_EQ(ExitCodeOf(creator_->pidfd()), 0);
  EXPECT_EQ(Load()->Destroy(), absl::OkStatus());
}

TEST_F(ContainerLoadTest, AnInitThatWasNotDetachedEndsWithItsCreator) {
  Create(Args{"sleep", "1000"}, /*detach=*/false);
  const UniqueFd pidfd(::fcntl(creator_->pidfd(), F_DUPFD_CLOEXEC, 0));
  creator_.reset();
  EXPECT_EQ(ExitCodeOf(pidfd.get()), 127);
  EXPECT_TRUE(absl::IsNotFound(ConnectForStart(StateDir()).status()));
  EXPECT_EQ(Load()->Destroy(), absl::OkStatus());
}

TEST_F(ContainerLoadTest, AProgramThatCannotBeExecutedIsNamedByTheOneWhoStarts) {
  ASSERT_EQ(WriteFileAtomic(bundle_->root() + "/bin/text",
                            "\x7f"
                            "nothing",
                            0755, Durability::kNotDurable),
            absl::OkStatus());
  Create(Args{"/bin/text"});
  const absl::Status started = Load()->Start();
  EXPECT_THAT(std::string(started.message()), HasSubstr("exec: \"/bin/text\": exec format error"));
  EXPECT_EQ(ExitCodeOf(creator_->pidfd()), 127);
  EXPECT_EQ(Load()->Destroy(), absl::OkStatus());
}

TEST_F(ContainerLoadTest, APidThatWasGivenAgainIsNotTheContainer) {
  Create(Args{"sleep", "1000"});
  const ProcessIdentity right = identity_;
  identity_.start_time += 1;
  EXPECT_TRUE(Load()->HasEnded());
  EXPECT_TRUE(absl::IsNotFound(Load()->Kill(SIGKILL)));
  identity_ = right;
  identity_.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_TRUE(Load()->HasEnded());
  EXPECT_FALSE(creator_->HasEnded());
  identity_ = right;
  EXPECT_EQ(Load()->Kill(SIGKILL), absl::OkStatus());
  EXPECT_EQ(ExitCodeOf(creator_->pidfd()), 128 + SIGKILL);
  EXPECT_EQ(Load()->Destroy(), absl::OkStatus());
}

TEST_F(ContainerLoadTest, PreservedDescriptorsReachTheProcessAndNoOthersDo) {
  // Whatever the test runner left open below is preserved as well.
  const int number = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  ASSERT_GE(number, 3);
  const UniqueFd kept(number);
  CreateOptions options =
      OptionsFor(*bundle_, bundle_->DefaultSpec(Args{"sh", "-c", "ls /proc/self/fd | wc -l"}));
  options.preserve_fds = static_cast<unsigned>(number - 2);
  const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
  ASSERT_TRUE(result.ok()) << result.status();
  // The three standard ones, those that are preserved, and the directory that ls has open.
  EXPECT_EQ(result->output, absl::StrCat(3 + number - 2 + 1, "\n"));
}

}  // namespace
}  // namespace gantry::runtime
