#include "runtime/container.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/cgroup/layout.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
class ContainerTest : public ContainerFixture {};

TEST_F(ContainerTest, PrintsAndGivesItsExitCode) {
  const RunResult result = Run(Shell("echo hello; exit 7"));
  EXPECT_EQ(result.output, "hello\n");
  EXPECT_EQ(result.exit_code, 7);
}

TEST_F(ContainerTest, IsProcessOneInNamespacesOfItsOwn) {
  const std::string output =
      Output("echo $$; for x in mnt pid net ipc uts; do readlink /proc/self/ns/$x; done");
  EXPECT_THAT(output, testing::StartsWith("1\n"));
  for (const char* name : {"mnt", "pid", "net", "ipc", "uts"}) {
    char link[64] = {};
    const std::string path = std::string("/proc/self/ns/") + name;
    ASSERT_GT(::readlink(path.c_str(), link, sizeof link - 1), 0);
    EXPECT_THAT(output, HasSubstr(name));
    EXPECT_THAT(output, Not(HasSubstr(link)));
  }
}

TEST_F(ContainerTest, MaskedFilesReadEmptyAndMaskedDirectoriesAreEmptyAndReadOnly) {
  EXPECT_EQ(Output("cat /proc/timer_list /proc/keys /proc/kcore 2>/dev/null | wc -c"), "0\n");
  EXPECT_EQ(Output("ls /sys/firmware | wc -l; touch /sys/firmware/x 2>/dev/null || echo refused"),
            "0\nrefused\n");
}

TEST_F(ContainerTest, ReadOnlyPathsRefuseWrites) {
  EXPECT_THAT(Output("echo 1 2>&1 >/proc/sys/kernel/printk"), HasSubstr("Read-only"));
}

TEST_F(ContainerTest, HasTheDefaultDevicesAndLinks) {
  EXPECT_EQ(Output("cd /dev; for d in null zero full random urandom tty; do test -c $d && "
                   "stat -c '%n %t:%T %a' $d; done; readlink ptmx; readlink fd; readlink stdin"),
            "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\n"
            "tty 5:0 666\npts/ptmx\n/proc/self/fd\n/proc/self/fd/0\n");
}

TEST_F(ContainerTest, ADeviceOfTheSpecIsMadeWithItsModeAndOwner) {
  Spec spec = Shell("stat -c '%t:%T %a %u' /dev/mine/fuse");
  LinuxDevice device;
  device.path = "/dev/mine/fuse";
  device.major = 10;
  device.minor = 229;
  device.file_mode = 0640;
  device.uid = 7;
  spec.linux_.devices.push_back(device);
  EXPECT_EQ(Run(std::move(spec)).output, "a:e5 640 7\n");
}

TEST_F(ContainerTest, AReadOnlyRootRefusesWrites) {
  Spec spec = Shell("touch /x || echo refused; touch /dev/shm/x && echo allowed");
  spec.root.readonly = true;
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, HasSubstr("refused"));
  EXPECT_THAT(output, HasSubstr("allowed"));
}

TEST_F(ContainerTest, ABindMountIsWrittenThroughAndAReadOnlyOneRefuses) {
  const std::string shared = bundle_->path() + "/shared";
  ASSERT_EQ(MakeDirectories(shared), absl::OkStatus());
  Spec spec = Shell("echo x >/rw/a; touch /ro/b || echo refused; cat /ro/a");
  spec.mounts.push_back(SpecMount{"/rw", "bind", shared, {"rbind", "rw"}});
  spec.mounts.push_back(SpecMount{"/ro", "bind", shared, {"rbind", "ro"}});
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, HasSubstr("refused"));
  EXPECT_THAT(output, testing::EndsWith("x\n"));
  EXPECT_EQ(*ReadFile(shared + "/a"), "x\n");
}

TEST_F(ContainerTest, ABindOfAFileMakesItsMountPoint) {
  ASSERT_EQ(WriteFileAtomic(bundle_->path() + "/f", "body\n", 0644, Durability::kNotDurable),
            absl::OkStatus());
  Spec spec = Shell("cat /new/place");
  spec.mounts.push_back(SpecMount{"/new/place", "bind", bundle_->path() + "/f", {"bind", "ro"}});
  EXPECT_EQ(Run(std::move(spec)).output, "body\n");
}

TEST_F(ContainerTest, AMissingBindSourceIsNamed) {
  Spec spec = Shell("true");
  spec.mounts.push_back(SpecMount{"/b", "bind", "/no/such/source", {"rbind"}});
  EXPECT_THAT(Failure(std::move(spec)).message(),
              HasSubstr("bind /no/such/source on /b (/no/such/source): No such file"));
}

TEST_F(ContainerTest, AMountOptionTheFileSystemRefusesIsNamed) {
  Spec spec = Shell("true");
  spec.mounts.push_back(SpecMount{"/t", "tmpfs", "tmpfs", {"nosuid", "colour=red"}});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("colour"));
}

TEST_F(ContainerTest, CapabilitiesAreExactlyThoseOfTheSpec) {
  const std::string output = Output("grep Cap /proc/self/status");
  // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, MKNOD 27.
  for (const char* line :
       {"CapInh:\t0000000000000000", "CapPrm:\t000000000800002b", "CapEff:\t000000000800002b",
        "CapBnd:\t000000000800002b", "CapAmb:\t0000000000000000"}) {
    EXPECT_THAT(output, HasSubstr(line));
  }
}

TEST_F(ContainerTest, NoNewPrivilegesIsAsTheSpecSays) {
  EXPECT_EQ(Output("grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1\n");
  Spec spec = Shell("grep NoNewPrivs /proc/self/status");
  spec.process.no_new_privileges = false;
  EXPECT_EQ(Run(std::move(spec)).output, "NoNewPrivs:\t0\n");
}

TEST_F(ContainerTest, LimitsUmaskHostnameCwdAndHomeHold) {
  Spec spec = Shell("ulimit -n; ulimit -Hn; umask; hostname; pwd; echo $HOME");
  spec.hostname = "inside";
  spec.process.cwd = "/made/for/it";
  EXPECT_EQ(Run(std::move(spec)).output, "1000\n1024\n0022\ninside\n/made/for/it\n/root\n");
}

TEST_F(ContainerTest, AnotherUserRunsWithItsGroupsAndHome) {
  Spec spec = Shell("id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status");
  spec.process.user = User{1000, 1001, std::nullopt, {5, 6}};
  EXPECT_EQ(Run(std::move(spec)).output,
            "1000\n1001\n1001 5 6\n/home/user\nCapEff:\t0000000000000000\n");
}

TEST_F(ContainerTest, ASysctlOfItsNetworkIsSetAndOneOfTheHostRefused) {
  Spec spec = Shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
  spec.linux_.sysctl["net.ipv4.ip_unprivileged_port_start"] = "81";
  EXPECT_EQ(Run(std::move(spec)).output, "81\n");
  Spec bad = Shell("true");
  bad.linux_.sysctl["kernel.printk"] = "1";
  EXPECT_THAT(Failure(std::move(bad)).message(), HasSubstr("kernel.printk"));
}

TEST_F(ContainerTest, AMissingProgramIsNamedAtCreate) {
  EXPECT_EQ(Container::Create(OptionsFor(*bundle_, bundle_->DefaultSpec(Args{"/no/such"})))
                .status()
                .message(),
            "unable to start container process: exec: \"/no/such\": stat /no/such: no such file or "
            "directory");
  EXPECT_EQ(Failure(bundle_->DefaultSpec(Args{"nothing"})).message(),
            "unable to start container process: exec: \"nothing\": executable file not found in "
            "$PATH");
  EXPECT_EQ(Failure(bundle_->DefaultSpec(Args{"/etc/passwd"})).message(),
            "unable to start container process: exec: \"/etc/passwd\": permission denied");
}

TEST_F(ContainerTest, AProgramTheKernelCannotExecuteIsToldByStart) {
  ASSERT_EQ(
      WriteFileAtomic(bundle_->root() + "/bin/junk", "\x7fJUNK", 0755, Durability::kNotDurable),
      absl::OkStatus());
  EXPECT_THAT(Failure(bundle_->DefaultSpec(Args{"junk"})).message(),
              HasSubstr("exec: \"junk\": exec format error"));
}

TEST_F(ContainerTest, NoDescriptorOfTheHostIsOpenInside) {
  const UniqueFd leak(::open("/etc", O_RDONLY | O_DIRECTORY));  // without close-on-exec
  const UniqueFd high(::fcntl(leak.get(), F_DUPFD, 200));
  EXPECT_EQ(Output("ls /proc/self/fd | sort -n | wc -l"), "4\n");  // 0, 1, 2 and ls's own
}

TEST_F(ContainerTest, AContainerThatWaitsForItsStartHoldsNothingOfTheHost) {
  absl::StatusOr<std::unique_ptr<Container>> container =
      Container::Create(OptionsFor(*bundle_, Shell("true")));
  ASSERT_TRUE(container.ok()) << container.status();
  const absl::StatusOr<std::vector<std::string>> open =
      ListDirectory(absl::StrCat("/proc/", (*container)->pid(), "/fd"));
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(open->size(), 4u);  // 0, 1, 2 and the socket on which it waits
  End(**container);
}

TEST_F(ContainerTest, LinksInTheImageDoNotLeadMountsOut) {
  const std::string outside = bundle_->path() + "/outside";
  ASSERT_EQ(MakeDirectories(outside), absl::OkStatus());
  ASSERT_EQ(::symlink(outside.c_str(), (bundle_->root() + "/run").c_str()), 0);
  ASSERT_EQ(::symlink("../../../../../..", (bundle_->root() + "/up").c_str()), 0);
  Spec spec = Shell("touch /up/here; ls /here");
  spec.mounts.push_back(SpecMount{"/up/data", "tmpfs", "tmpfs", {}});
  // "/run" leads to a place that is not there inside of the root.
  spec.mounts.erase(spec.mounts.begin() + 6);
  EXPECT_EQ(Run(std::move(spec)).output, "/here\n");
  struct stat status;
  EXPECT_EQ(::stat((bundle_->root() + "/data").c_str(), &status), 0);
  EXPECT_NE(::stat("/data", &status), 0);
}

TEST_F(ContainerTest, ALinkAtProcIsRefused) {
  ASSERT_EQ(::symlink("/etc", (bundle_->root() + "/proc").c_str()), 0);
  EXPECT_THAT(Failure(Shell("true")).message(), HasSubstr("mount proc on /proc (the target is"));
}

TEST_F(ContainerTest, AWorkingDirectoryOutsideIsRefused) {
  const UniqueFd leak(::open("/", O_RDONLY | O_DIRECTORY));
  Spec spec = Shell("pwd");
  spec.process.cwd = absl::StrCat("/proc/self/fd/", leak.get());
  EXPECT_FALSE(Failure(std::move(spec)).ok());
}

TEST_F(ContainerTest, RunsFromAnOverlayOfSixtyLayers) {
  const std::string base = bundle_->path() + "/snapshots-with-a-rather-long-directory-name";
  std::string lower;
  for (int i = 59; i >= 0; --i) {
    const std::string layer = absl::StrCat(base, "/", i, "/fs");
    ASSERT_EQ(MakeDirectories(layer), absl::OkStatus());
    ASSERT_EQ(
        WriteFileAtomic(absl::StrCat(layer, "/layer-", i), "x", 0644, Durability::kNotDurable),
        absl::OkStatus());
    absl::StrAppend(&lower, layer, ":");
  }
  lower += bundle_->root();
  for (const char* name : {"/upper", "/work"}) {
    ASSERT_EQ(MakeDirectories(bundle_->path() + name), absl::OkStatus());
  }
  Spec spec = Shell("ls / | grep -c layer-; touch /new");
  spec.root.path = "merged";
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  options.rootfs_mounts.push_back(
      Mount{"overlay",
            "overlay",
            "",
            {"index=off", "workdir=" + bundle_->path() + "/work",
             "upperdir=" + bundle_->path() + "/upper", "lowerdir=" + lower}});
  const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "60\n");
  struct stat status;
  EXPECT_EQ(::stat((bundle_->path() + "/upper/new").c_str(), &status), 0);
  EXPECT_NE(::stat((bundle_->path() + "/merged/bin").c_str(), &status), 0) << "mounted on the host";
}

TEST_F(ContainerTest, ItsMountsLastUntilTheyAreReleasedAndNoLonger) {
  for (const char* name : {"/upper", "/work", "/other"}) {
    ASSERT_EQ(MakeDirectories(bundle_->path() + name), absl::OkStatus());
  }
  // With its index on, the kernel refuses a second overlay on an upper directory that is in use.
  const auto in_use = [this] {
    const UniqueFd overlay(static_cast<int>(::syscall(SYS_fsopen, "overlay", 0)));
    const auto set = [&](const char* key, const std::string& value) {
      EXPECT_EQ(::syscall(SYS_fsconfig, overlay.get(), 1 /*SET_STRING*/, key, value.c_str(), 0), 0);
    };
    set("index", "on");
    set("lowerdir", bundle_->root());
    set("upperdir", bundle_->path() + "/upper");
    set("workdir", bundle_->path() + "/other");
    return ::syscall(SYS_fsconfig, overlay.get(), 6 /*CMD_CREATE*/, nullptr, nullptr, 0) != 0 &&
           errno == EBUSY;
  };
  Spec spec = Shell("exit 0");
  spec.root.path = "merged";
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  options.rootfs_mounts.push_back(
      Mount{"overlay",
            "overlay",
            "",
            {"workdir=" + bundle_->path() + "/work", "upperdir=" + bundle_->path() + "/upper",
             "lowerdir=" + bundle_->root()}});
  absl::StatusOr<std::unique_ptr<Container>> container = Container::Create(std::move(options));
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ((*container)->Start(), absl::OkStatus());
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 0);
  EXPECT_TRUE(in_use());
  (*container)->ReleaseMounts();
  EXPECT_TRUE(in_use());
  (*container)->TakeRoot().reset();
  EXPECT_FALSE(in_use());
  EXPECT_EQ((*container)->Destroy(), absl::OkStatus());
}

TEST_F(ContainerTest, ARootMountWithATargetStaysInTheRoot) {
  const std::string extra = bundle_->path() + "/extra";
  ASSERT_EQ(MakeDirectories(extra), absl::OkStatus());
  ASSERT_EQ(WriteFileAtomic(extra + "/f", "here\n", 0644, Durability::kNotDurable),
            absl::OkStatus());
  ASSERT_EQ(::symlink("/etc", (bundle_->root() + "/link").c_str()), 0);
  Spec spec = Shell("cat /etc/more/f");
  spec.root.path = "merged";
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  options.rootfs_mounts.push_back(Mount{"bind", bundle_->root(), "", {"rbind", "rw"}});
  options.rootfs_mounts.push_back(Mount{"bind", extra, "link/more", {"rbind", "ro"}});
  const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "here\n");
  struct stat status;
  EXPECT_NE(::stat("/etc/more", &status), 0);
}

TEST_F(ContainerTest, ATerminalIsTheContainersFirst) {
  Spec spec = Shell("tty; test -c /dev/console && echo console");
  spec.process.terminal = true;
  absl::StatusOr<std::unique_ptr<Container>> container =
      Container::Create(OptionsFor(*bundle_, std::move(spec)));
  ASSERT_TRUE(container.ok()) << container.status();
  const UniqueFd console = (*container)->TakeConsole();
  ASSERT_TRUE(console.valid());
  EXPECT_EQ((*container)->Start(), absl::OkStatus());
  EXPECT_EQ(ReadAll(console.get()), "/dev/pts/0\r\nconsole\r\n");
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 0);
  EXPECT_EQ((*container)->Destroy(), absl::OkStatus());
}

TEST_F(ContainerTest, ExecRunsInTheNamespacesAsAnotherUser) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  Process process = Shell("id -u; cat /proc/1/cmdline; exit 3").process;
  process.user.uid = 1000;
  const absl::StatusOr<RunResult> result = ExecIn(*container, process);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, std::string("1000\nsleep\0"
                                        "1000\0",
                                        16));
  EXPECT_EQ(result->exit_code, 3);
  End(*container);
}

TEST_F(ContainerTest, ExecOfAMissingProgramIsNamedAndTheContainerLives) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  Process process = Shell("true").process;
  process.args = {"/no/such"};
  EXPECT_EQ(ExecIn(*container, process).status().message(),
            "exec failed: unable to start container process: exec: \"/no/such\": stat /no/such: no "
            "such file or directory");
  process.args = {"true"};
  EXPECT_TRUE(ExecIn(*container, process).ok());
  End(*container);
}

TEST_F(ContainerTest, ExecWithATerminalHasOne) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  Process process = Shell("tty").process;
  process.terminal = true;
  const absl::StatusOr<ChildProcess> child = container->Exec(process, Stdio{});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(ReadAll(child->console.get()), "/dev/pts/0\r\n");
  EXPECT_EQ(ExitCodeOf(child->pidfd.get()), 0);
  End(*container);
}

TEST_F(ContainerTest, ExecInAContainerThatEndedSaysSo) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  End(*container);
  const absl::Status status = ExecIn(*container, Shell("true").process).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

TEST_F(ContainerTest, InitAndExecAreInTheContainersCgroup) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  EXPECT_THAT(*container->Pids(), testing::ElementsAre(container->pid()));
  Process process = Shell("sleep 1000").process;
  absl::StatusOr<ChildProcess> child = container->Exec(process, Stdio{});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_THAT(*container->Pids(), testing::UnorderedElementsAre(container->pid(), child->pid));
  EXPECT_EQ(container->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(ExitCodeOf(child->pidfd.get()), 128 + SIGKILL);
  EXPECT_EQ(ExitCodeOf(container->pidfd()), 128 + SIGKILL);
  EXPECT_EQ(container->Destroy(), absl::OkStatus());
  EXPECT_EQ(container->Destroy(), absl::OkStatus()) << "a second time";
}

TEST_F(ContainerTest, APausedContainerRefusesExecAndCanBeKilled) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  ASSERT_EQ(container->Pause(), absl::OkStatus());
  EXPECT_THAT(ExecIn(*container, Shell("true").process).status().message(), HasSubstr("paused"));
  ASSERT_EQ(container->Resume(), absl::OkStatus());
  EXPECT_TRUE(ExecIn(*container, Shell("true").process).ok());
  ASSERT_EQ(container->Pause(), absl::OkStatus());
  End(*container);
}

TEST_F(ContainerTest, AMemoryLimitEndsWhatGoesOverIt) {
  Spec spec = bundle_->DefaultSpec(Args{"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"});
  spec.linux_.resources.memory.emplace().limit = 16 << 20;
  EXPECT_EQ(Run(std::move(spec)).exit_code, 128 + SIGKILL);
}

TEST_F(ContainerTest, ACgroupMountShowsTheContainersOwnCgroupReadOnly) {
  if ((*HostCgroupLayout())->unified_only()) GTEST_SKIP() << "see UnifiedMountTest";
  for (const bool own_namespace : {false, true}) {
    Spec spec = Shell(
        "d=/sys/fs/cgroup; test -d $d/pids && d=$d/pids; cat $d/cgroup.procs | grep -c 1; "
        "mkdir $d/x 2>/dev/null || echo refused");
    spec.mounts.push_back(SpecMount{
        "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}});
    if (own_namespace) spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kCgroup, ""});
    const RunResult result = Run(std::move(spec));
    EXPECT_THAT(result.output, testing::EndsWith("refused\n"));
    EXPECT_THAT(result.output, Not(testing::StartsWith("0")));
  }
}

TEST_F(ContainerTest, ASeccompProfileHoldsInInitAndExec) {
  for (const bool no_new_privileges : {true, false}) {
    Spec spec = bundle_->DefaultSpec(Args{"sleep", "1000"});
    spec.process.no_new_privileges = no_new_privileges;
    const absl::StatusOr<LinuxSeccomp> profile = SeccompFromJson(Json::parse(
        R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]})"));
    ASSERT_TRUE(profile.ok()) << profile.status();
    spec.linux_.seccomp = *profile;
    Process process = spec.process;
    process.args = {"sh", "-c", "mkdir /x; grep Seccomp: /proc/1/status"};
    absl::StatusOr<std::unique_ptr<Container>> container =
        Container::Create(OptionsFor(*bundle_, std::move(spec)));
    ASSERT_TRUE(container.ok()) << container.status();
    ASSERT_EQ((*container)->Start(), absl::OkStatus());
    const absl::StatusOr<RunResult> result = ExecIn(**container, process);
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->output, HasSubstr("Function not implemented"));
    EXPECT_THAT(result->output, HasSubstr("Seccomp:\t2"));
    End(**container);
  }
}

TEST_F(ContainerTest, AFailedCreateLeavesNoCgroup) {
  CreateOptions options = OptionsFor(*bundle_, bundle_->DefaultSpec(Args{"/no/such"}));
  const std::string path = options.spec.linux_.cgroups_path;
  EXPECT_FALSE(Container::Create(std::move(options)).ok());
  EXPECT_EQ(Cgroup::Open(path).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ContainerTest, TheSpecsPidNamespaceCanBeAnothersByPath) {
  const std::unique_ptr<Container> first = Sleeper();
  ASSERT_NE(first, nullptr);
  Spec spec = Shell("cat /proc/1/cmdline");
  for (LinuxNamespace& ns : spec.linux_.namespaces) {
    if (ns.type == NamespaceType::kPid) ns.path = absl::StrCat("/proc/", first->pid(), "/ns/pid");
    if (ns.type == NamespaceType::kNetwork) {
      ns.path = absl::StrCat("/proc/", first->pid(), "/ns/net");
    }
  }
  EXPECT_EQ(Run(std::move(spec)).output, std::string("sleep\0"
                                                     "1000\0",
                                                     11));
  End(*first);
}

TEST_F(ContainerTest, HooksRunAroundTheContainerWithItsStateOnStandardInput) {
  const std::string log = bundle_->path() + "/log";
  const auto hook = [&](const std::string& name) {
    return Hook{"/bin/sh",
                {"sh", "-c", "echo " + name + " $(grep -o '\"status\":\"[a-z]*\"') >>" + log},
                {"PATH=/bin:/usr/bin"},
                5};
  };
  Spec spec = Shell("true");
  spec.hooks.prestart.push_back(hook("prestart"));
  spec.hooks.create_runtime.push_back(hook("createRuntime"));
  spec.hooks.poststart.push_back(hook("poststart"));
  spec.hooks.poststop.push_back(hook("poststop"));
  Run(std::move(spec));
  EXPECT_EQ(*ReadFile(log),
            "prestart \"status\":\"creating\"\ncreateRuntime \"status\":\"creating\"\n"
            "poststart \"status\":\"running\"\npoststop \"status\":\"stopped\"\n");
}

TEST_F(ContainerTest, AHookThatFailsIsNamedWithWhatItPrinted) {
  Spec spec = Shell("true");
  spec.hooks.prestart.push_back(Hook{"/bin/sh", {"sh", "-c", "echo why >&2; exit 3"}, {}, 5});
  EXPECT_THAT(Failure(std::move(spec)).message(),
              HasSubstr("error running prestart hook #0 (/bin/sh): exit status 3: why"));
}

TEST_F(ContainerTest, AHookThatHangsIsKilledAtItsTimeout) {
  Spec spec = Shell("true");
  spec.hooks.create_runtime.push_back(Hook{"/bin/sleep", {"sleep", "100"}, {}, 1});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("longer than its timeout"));
}

}  // namespace
}  // namespace gantry::runtime
