#include <fcntl.h>
#include <sys/stat.h>

#include <sstream>

#include "base/json.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class HooksTest : public ContainerFixture {
 protected:
  [[nodiscard]] std::string Log() const { return bundle_->path() + "/log"; }
  [[nodiscard]] std::string Logged() const { return ReadFile(Log()).value_or(""); }
  static Hook Script(const std::string& script, std::optional<int> timeout = 5) {
    return Hook{"/bin/sh", {"sh", "-c", script}, {"PATH=/bin:/usr/bin"}, timeout};
  }
  Hook Note(const std::string& name) { return Script("echo " + name + " >>" + Log()); }
};

TEST_F(HooksTest, AllSixRunAtTheirTimeAndInTheirOrder) {
  // Of those in the container's root, the log is a file that is bound in.
  WriteText(Log(), "");
  Spec spec = Shell("echo program >>" + Log());
  spec.mounts.push_back(SpecMount{Log(), "bind", Log(), {"bind", "rw"}});
  for (const char* number : {"1", "2"}) {
    spec.hooks.prestart.push_back(Note(std::string("prestart") + number));
    spec.hooks.create_runtime.push_back(Note(std::string("createRuntime") + number));
    spec.hooks.create_container.push_back(Note(std::string("createContainer") + number));
    spec.hooks.start_container.push_back(Note(std::string("startContainer") + number));
    spec.hooks.poststop.push_back(Note(std::string("poststop") + number));
  }
  spec.hooks.poststart.push_back(Note("poststart"));
  spec.process.args = {"sh", "-c", "echo program >>" + Log() + "; cat"};
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd in(fds[0]);
  UniqueFd keep(fds[1]);
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  options.stdio.in = in.get();
  absl::StatusOr<std::unique_ptr<Container>> container = Container::Create(std::move(options));
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(Logged(),
            "prestart1\nprestart2\ncreateRuntime1\ncreateRuntime2\n"
            "createContainer1\ncreateContainer2\n");
  ASSERT_EQ((*container)->Start(), absl::OkStatus());
  EXPECT_THAT(Logged(), HasSubstr("startContainer1\nstartContainer2\n"));
  EXPECT_THAT(Logged(), HasSubstr("poststart\n"));
  keep.reset();
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 0);
  EXPECT_THAT(Logged(), HasSubstr("program\n"));
  ASSERT_EQ((*container)->Destroy(), absl::OkStatus());
  EXPECT_THAT(Logged(), EndsWith("poststop1\npoststop2\n"));
}

TEST_F(HooksTest, EachSeesTheStateWithThePidOfItsNamespace) {
  WriteText(Log(), "");
  Spec spec = Shell("true");
  spec.annotations["org.example"] = "yes";
  spec.mounts.push_back(SpecMount{Log(), "bind", Log(), {"bind", "rw"}});
  const Hook copy = Script("cat >>" + Log() + "; echo >>" + Log());
  spec.hooks.create_runtime.push_back(copy);
  spec.hooks.create_container.push_back(copy);
  spec.hooks.start_container.push_back(copy);
  spec.hooks.poststop.push_back(copy);
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  const std::string id = options.id;
  absl::StatusOr<std::unique_ptr<Container>> container = Container::Create(std::move(options));
  ASSERT_TRUE(container.ok()) << container.status();
  ASSERT_EQ((*container)->Start(), absl::OkStatus());
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 0);
  ASSERT_EQ((*container)->Destroy(), absl::OkStatus());
  std::vector<Json> states;
  std::istringstream lines(Logged());
  for (std::string line; std::getline(lines, line);) states.push_back(Json::parse(line));
  ASSERT_EQ(states.size(), 4u);
  for (const Json& state : states) {
    EXPECT_EQ(state["ociVersion"], "1.0.2");
    EXPECT_EQ(state["id"], id);
    EXPECT_EQ(state["bundle"], bundle_->path());
    EXPECT_EQ(state["annotations"]["org.example"], "yes");
  }
  EXPECT_EQ(states[0]["status"], "creating");
  EXPECT_EQ(states[0]["pid"], (*container)->pid());
  EXPECT_EQ(states[1]["status"], "creating");
  EXPECT_EQ(states[1]["pid"], 1);
  EXPECT_EQ(states[2]["status"], "created");
  EXPECT_EQ(states[2]["pid"], 1);
  EXPECT_EQ(states[3]["status"], "stopped");
  EXPECT_FALSE(states[3].contains("pid"));
}

TEST_F(HooksTest, CreateContainerSeesTheHostsPathsInTheContainersNamespaces) {
  Spec spec = Shell("cat /from-hook; cat /run/mounted");
  spec.hostname = "inside";
  // The root is not entered yet: it is at its path on the host, with its mounts.
  spec.hooks.create_container.push_back(Script("{ hostname; readlink /proc/self/ns/net; } >" +
                                               bundle_->root() + "/from-hook && echo tmpfs >" +
                                               bundle_->root() + "/run/mounted"));
  char net[64] = {};
  ASSERT_GT(::readlink("/proc/self/ns/net", net, sizeof net - 1), 0);
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, testing::StartsWith("inside\nnet:["));
  EXPECT_THAT(output, testing::Not(HasSubstr(net)));
  EXPECT_THAT(output, EndsWith("tmpfs\n"));
  struct stat status {};
  EXPECT_NE(::stat((bundle_->root() + "/run/mounted").c_str(), &status), 0) << "on the host";
}

TEST_F(HooksTest, StartContainerRunsInTheRootAsTheProcessWillWithoutItsDescriptors) {
  Spec spec = Shell("true");
  spec.process.user = User{1000, 1000, std::nullopt, {}};
  spec.mounts.push_back(SpecMount{"/log", "bind", Log(), {"bind", "rw"}});
  WriteText(Log(), "", 0666);
  ASSERT_EQ(::chmod(Log().c_str(), 0666), 0);
  spec.hooks.start_container.push_back(Script(
      "{ id -u; ls / | grep -c busybox; ls /bin/busybox; ls /proc/self/fd | wc -l; } >>/log"));
  Run(std::move(spec));
  EXPECT_EQ(Logged(), "1000\n0\n/bin/busybox\n4\n");
}

TEST_F(HooksTest, OneThatFailsBeforeTheStartEndsTheContainerAndPoststopRuns) {
  const std::vector<std::pair<std::string, std::vector<Hook> Hooks::*>> kinds = {
      {"prestart", &Hooks::prestart},
      {"createRuntime", &Hooks::create_runtime},
      {"createContainer", &Hooks::create_container}};
  for (const auto& [name, list] : kinds) {
    WriteText(Log(), "");
    Spec spec = Shell("true");
    (spec.hooks.*list).push_back(Script("echo why >&2; exit 3"));
    (spec.hooks.*list).push_back(Note("next"));
    spec.hooks.poststop.push_back(Note("poststop"));
    CreateOptions options = OptionsFor(*bundle_, std::move(spec));
    const std::string cgroup = options.spec.linux_.cgroups_path;
    const absl::Status status = Container::Create(std::move(options)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(status.message(),
                HasSubstr("error running " + name + " hook #0 (/bin/sh): exit status 3: why"));
    EXPECT_EQ(Logged(), "poststop\n") << name;
    EXPECT_TRUE(absl::IsNotFound(Cgroup::Open(cgroup).status()));
  }
}

TEST_F(HooksTest, AStartContainerHookThatFailsIsTheErrorOfStart) {
  Spec spec = Shell("echo must not run >" + Log());
  spec.hooks.start_container.push_back(Script("exit 4"));
  absl::StatusOr<std::unique_ptr<Container>> container =
      Container::Create(OptionsFor(*bundle_, std::move(spec)));
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_THAT((*container)->Start().message(),
              HasSubstr("error running startContainer hook #0 (/bin/sh): exit status 4"));
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 127);
  EXPECT_EQ((*container)->Destroy(), absl::OkStatus());
  EXPECT_EQ(Logged(), "");
}

TEST_F(HooksTest, ThoseInTheContainerAreKilledAtTheirTimeoutAndNamedIfTheyCannotRun) {
  Spec spec = Shell("true");
  spec.hooks.create_container.push_back(Script("sleep 100", 1));
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("longer than its timeout"));
  spec = Shell("true");
  spec.hooks.create_container.push_back(Hook{"/no/such", {}, {}, std::nullopt});
  EXPECT_THAT(Failure(std::move(spec)).message(),
              HasSubstr("createContainer hook #0 (/no/such): exit status 127: cannot be executed, "
                        "errno 2"));
}

TEST_F(HooksTest, AfterTheStartAFailureIsPassedOverAndTheOthersRun) {
  Spec spec = Shell("echo ran");
  spec.hooks.poststart = {Script("exit 1"), Note("poststart")};
  spec.hooks.poststop = {Script("exit 1"), Note("poststop")};
  EXPECT_EQ(Run(std::move(spec)).output, "ran\n");
  EXPECT_EQ(Logged(), "poststart\npoststop\n");
}

TEST_F(HooksTest, TheBundleIsTheWorkingDirectory) {
  Spec spec = Shell("true");
  spec.hooks.create_runtime.push_back(Script("pwd >" + Log()));
  Run(std::move(spec));
  EXPECT_EQ(Logged(), bundle_->path() + "\n");
}

}  // namespace
}  // namespace gantry::runtime
