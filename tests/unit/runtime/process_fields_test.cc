#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;

class ProcessFieldsTest : public ContainerFixture {};

TEST_F(ProcessFieldsTest, ATimeNamespaceHasItsOffsets) {
  for (const bool mapped : {false, true}) {
    Spec spec = Shell("cat /proc/uptime; cat /proc/self/timens_offsets");
    spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kTime, ""});
    spec.linux_.time_offsets = {TimeOffset{"boottime", 1000000, 5}, TimeOffset{"monotonic", 7, 0}};
    if (mapped) {
      spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kUser, ""});
      spec.linux_.uid_mappings = spec.linux_.gid_mappings = {IdMapping{0, 0, 65536}};
    }
    const std::string output = Run(std::move(spec)).output;
    double uptime = 0;
    ASSERT_TRUE(absl::SimpleAtod(output.substr(0, output.find(' ')), &uptime)) << output;
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    EXPECT_NEAR(uptime, static_cast<double>(now.tv_sec) + 1000000, 30);
    EXPECT_THAT(output, testing::ContainsRegex("boottime +1000000 +5\n"));
    EXPECT_THAT(output, testing::ContainsRegex("monotonic +7 +0\n"));
  }
}

TEST_F(ProcessFieldsTest, AnExecIsInTheTimeNamespaceToo) {
  Spec spec = bundle_->DefaultSpec(Args{"sleep", "1000"});
  spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kTime, ""});
  spec.linux_.time_offsets = {TimeOffset{"boottime", 1000000, 0}};
  const std::unique_ptr<Container> container = Started(std::move(spec));
  ASSERT_NE(container, nullptr);
  double uptime = 0;
  const std::string output = ExecOutput(*container, Shell("cut -d' ' -f1 /proc/uptime").process);
  ASSERT_TRUE(absl::SimpleAtod(absl::StripAsciiWhitespace(output), &uptime)) << output;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  EXPECT_NEAR(uptime, static_cast<double>(now.tv_sec) + 1000000, 60);
  EXPECT_EQ(
      ExecOutput(*container, Shell("readlink /proc/self/ns/time; readlink "
                                   "/proc/self/ns/time_for_children")
                                 .process),
      ExecOutput(*container, Shell("readlink /proc/1/ns/time; readlink /proc/1/ns/time").process));
  End(*container);
}

TEST_F(ProcessFieldsTest, OffsetsWithoutATimeNamespaceAreRefused) {
  Spec spec = Shell("true");
  spec.linux_.time_offsets = {TimeOffset{"boottime", 1, 0}};
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("linux.timeOffsets"));
}

TEST_F(ProcessFieldsTest, SchedulerAndIoPriorityAreThoseOfTheSpec) {
  Spec spec = bundle_->DefaultSpec(Args{"sleep", "1000"});
  spec.process.scheduler = Scheduler{SCHED_BATCH, 0, 5, 0, 0, 0, 0};
  spec.process.io_priority = 2 << 13 | 6;
  Process exec = spec.process;
  exec.scheduler = Scheduler{SCHED_BATCH, 0, 3, 0, 0, 0, 0};
  exec.io_priority = 2 << 13 | 3;
  const std::unique_ptr<Container> container = Started(std::move(spec));
  ASSERT_NE(container, nullptr);
  EXPECT_EQ(::sched_getscheduler(container->pid()), SCHED_BATCH);
  EXPECT_EQ(::syscall(SYS_ioprio_get, 1, container->pid()), 2 << 13 | 6);
  const absl::StatusOr<ChildProcess> child = container->Exec(exec, Stdio{});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(::sched_getscheduler(child->pid), SCHED_BATCH);
  EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(child->pid)), 3);
  EXPECT_EQ(::syscall(SYS_ioprio_get, 1, child->pid), 2 << 13 | 3);
  EXPECT_EQ(container->KillAll(SIGKILL), absl::OkStatus());
  // The end of the pid namespace waits until those in it are reaped.
  EXPECT_EQ(ExitCodeOf(child->pidfd.get()), 128 + SIGKILL);
  EXPECT_EQ(ExitCodeOf(container->pidfd()), 128 + SIGKILL);
  EXPECT_EQ(container->Destroy(), absl::OkStatus());
}

TEST_F(ProcessFieldsTest, ASchedulerTheKernelRefusesIsNamedAndNothingStays) {
  Spec spec = Shell("true");
  // Longer than its period.
  spec.process.scheduler = Scheduler{6, 0, 0, 0, 2000000, 1000000, 1000000};
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  const std::string cgroup = options.spec.linux_.cgroups_path;
  EXPECT_THAT(Container::Create(std::move(options)).status().message(),
              HasSubstr("process.scheduler"));
  EXPECT_TRUE(absl::IsNotFound(Cgroup::Open(cgroup).status()));
}

TEST_F(ProcessFieldsTest, AnExecRunsOnTheCpusItIsGiven) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  Process process = Shell("grep Cpus_allowed_list /proc/self/status").process;
  process.exec_cpu_affinity.initial = {1};
  EXPECT_EQ(ExecOutput(*container, process), "Cpus_allowed_list:\t0\n");
  process.exec_cpu_affinity.final = {2};
  if (::sysconf(_SC_NPROCESSORS_ONLN) > 1) {
    EXPECT_EQ(ExecOutput(*container, process), "Cpus_allowed_list:\t1\n");
  }
  process.exec_cpu_affinity.final = BitSet(100, 0);
  EXPECT_THAT(ExecIn(*container, process).status().message(), HasSubstr("final CPU affinity"));
  End(*container);
}

TEST_F(ProcessFieldsTest, PersonalityAndMemoryPolicyHold) {
  Spec spec = Shell("cat /proc/self/personality; uname -m; grep ' stack' /proc/self/numa_maps");
  spec.linux_.personality = 8;  // PER_LINUX32
  spec.linux_.memory_policy = MemoryPolicy{2 /* MPOL_BIND */, {1}};
  // Only the owner of the tracer's rights may read it.
  spec.process.capabilities->effective |= 1 << 19;
  spec.process.capabilities->permitted |= 1 << 19;
  spec.process.capabilities->bounding |= 1 << 19;
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, testing::StartsWith("00000008\n"));
  EXPECT_THAT(output, HasSubstr("bind:0"));
}

TEST_F(ProcessFieldsTest, AnExecHasThePersonalityAndTheMemoryPolicyOfTheContainer) {
  Spec spec = bundle_->DefaultSpec(Args{"sleep", "1000"});
  spec.linux_.personality = 8;
  spec.linux_.memory_policy = MemoryPolicy{2, {1}};
  const std::unique_ptr<Container> container = Started(std::move(spec));
  ASSERT_NE(container, nullptr);
  Process process = Shell("cat /proc/self/personality; grep ' stack' /proc/self/numa_maps").process;
  process.capabilities->effective |= 1 << 19;
  process.capabilities->permitted |= 1 << 19;
  process.capabilities->bounding |= 1 << 19;
  const std::string output = ExecOutput(*container, process);
  EXPECT_THAT(output, testing::StartsWith("00000008\n"));
  EXPECT_THAT(output, HasSubstr("bind:0"));
  End(*container);
}

TEST_F(ProcessFieldsTest, UmaskOomScoreAndDomainnameHold) {
  Spec spec = Shell("umask; cat /proc/self/oom_score_adj; cat /proc/sys/kernel/domainname");
  spec.process.user.umask = 027;
  spec.process.oom_score_adj = 321;
  spec.domainname = "example.org";
  EXPECT_EQ(Run(std::move(spec)).output, "0027\n321\nexample.org\n");
}

TEST_F(ProcessFieldsTest, NamesWithoutAUtsNamespaceAreRefused) {
  Spec spec = Shell("true");
  spec.domainname = "example.org";
  std::erase_if(spec.linux_.namespaces,
                [](const LinuxNamespace& ns) { return ns.type == NamespaceType::kUts; });
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("domainname: needs a uts namespace"));
}

TEST_F(ProcessFieldsTest, AMountNamespaceOfItsOwnIsDemanded) {
  Spec joined = Shell("true");
  for (LinuxNamespace& ns : joined.linux_.namespaces) {
    if (ns.type == NamespaceType::kMount) ns.path = "/proc/1/ns/mnt";
  }
  EXPECT_EQ(Failure(std::move(joined)).code(), absl::StatusCode::kUnimplemented);
  Spec none = Shell("true");
  std::erase_if(none.linux_.namespaces,
                [](const LinuxNamespace& ns) { return ns.type == NamespaceType::kMount; });
  EXPECT_EQ(Failure(std::move(none)).code(), absl::StatusCode::kUnimplemented);
}

TEST_F(ProcessFieldsTest, TheSessionKeyringIsItsOwn) {
  Spec spec = Shell("cat /proc/keys");
  spec.linux_.masked_paths.clear();
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  const std::string id = options.id;
  const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output, HasSubstr("_ses." + id));
}

TEST_F(ProcessFieldsTest, ATerminalHasItsSize) {
  Spec spec = Shell("stty size");
  ASSERT_EQ(::symlink("busybox", (bundle_->root() + "/bin/stty").c_str()), 0);
  spec.process.terminal = true;
  spec.process.console_size = ConsoleSize{33, 77};
  absl::StatusOr<std::unique_ptr<Container>> container =
      Container::Create(OptionsFor(*bundle_, std::move(spec)));
  ASSERT_TRUE(container.ok()) << container.status();
  const UniqueFd console = (*container)->TakeConsole();
  EXPECT_EQ((*container)->Start(), absl::OkStatus());
  EXPECT_EQ(ReadAll(console.get()), "33 77\r\n");
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 0);
  EXPECT_EQ((*container)->Destroy(), absl::OkStatus());
}

TEST_F(ProcessFieldsTest, CapabilitiesOfAllFiveSetsAreExact) {
  Spec spec = Shell("grep Cap /proc/self/status");
  spec.process.user.uid = 1000;
  spec.process.capabilities = Capabilities{0xff, 0x1, 0x21, 0x23, 0x21};
  EXPECT_EQ(Run(std::move(spec)).output,
            "CapInh:\t0000000000000021\nCapPrm:\t0000000000000021\nCapEff:\t0000000000000021\n"
            "CapBnd:\t00000000000000ff\nCapAmb:\t0000000000000021\n");
}

TEST_F(ProcessFieldsTest, LabelsAreRefusedWhereTheirModuleIsNotThere) {
  if (::access("/sys/fs/selinux/enforce", F_OK) != 0) {
    Spec spec = Shell("true");
    spec.process.selinux_label = "system_u:system_r:container_t:s0";
    EXPECT_THAT(Failure(std::move(spec)).message(),
                HasSubstr("selinux label is specified in config, but selinux is disabled"));
    // What a mount would be labelled with has no meaning then, as for runc.
    spec = Shell("echo mounted");
    spec.linux_.mount_label = "system_u:object_r:container_file_t:s0";
    EXPECT_EQ(Run(std::move(spec)).output, "mounted\n");
  }
  if (::access("/sys/kernel/security/apparmor", F_OK) != 0) {
    Spec spec = Shell("true");
    spec.process.apparmor_profile = "docker-default";
    EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("AppArmor is not enabled"));
  }
}

}  // namespace
}  // namespace gantry::runtime
