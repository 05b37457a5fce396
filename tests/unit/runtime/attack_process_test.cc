// CVE-2016-9962, CVE-2022-29162, CVE-2024-21626, CVE-2025-52881, terminals, setgroups(2), the order
// of seccomp and no_new_privs, limits that are used up while a container is created.

#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <functional>

#include "base/json.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AttackProcessTest : public ContainerFixture {
 protected:
  // It is built beside this test.
  void AddProbe() {
    const std::string own = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const absl::StatusOr<std::string> probe = ReadFile(own + "/gantry_runtime_probe");
    ASSERT_TRUE(probe.ok()) << probe.status();
    WriteText(bundle_->root() + "/bin/probe", *probe, 0755);
  }
};

// In a child of the test, for what would change the test's own process. 0: it held.
int InChild(const std::function<bool()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(AttackProcessTest, NoWorkingDirectoryThroughADescriptorLeadsOut) {
  const UniqueFd leak(::open("/", O_RDONLY | O_DIRECTORY));  // without close-on-exec
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  for (int fd = 0; fd < 20; ++fd) {
    for (const char* form : {"/proc/self/fd/%d", "/proc/self/fd/%d/etc"}) {
      char cwd[64];
      std::snprintf(cwd, sizeof cwd, form, fd);
      Process process = Shell("pwd").process;
      process.cwd = cwd;
      const absl::StatusOr<RunResult> exec = ExecIn(*container, process);
      if (exec.ok()) {
        EXPECT_THAT(exec->output, Not(HasSubstr("unreachable"))) << cwd;
      }
      EXPECT_FALSE(exec.ok() && exec->exit_code == 0) << cwd << exec->output;
    }
  }
  End(*container);
}

TEST_F(AttackProcessTest, AnInitsWorkingDirectoryThroughADescriptorIsRefused) {
  const UniqueFd leak(::open("/", O_RDONLY | O_DIRECTORY));
  for (int fd = 3; fd < 20; ++fd) {
    Spec spec = Shell("pwd");
    spec.process.cwd = absl::StrCat("/proc/self/fd/", fd);
    EXPECT_FALSE(Failure(std::move(spec)).ok()) << fd;
  }
}

TEST_F(AttackProcessTest, AProcessThatWaitsForItsStartCannotBeLookedInto) {
  // Both have the same user and the same pid namespace.
  AddProbe();
  const std::unique_ptr<Container> attacker = Sleeper();
  ASSERT_NE(attacker, nullptr);
  Spec spec = Shell("true");
  for (LinuxNamespace& ns : spec.linux_.namespaces) {
    if (ns.type == NamespaceType::kPid)
      ns.path = absl::StrCat("/proc/", attacker->pid(), "/ns/pid");
  }
  absl::StatusOr<std::unique_ptr<Container>> victim =
      Container::Create(OptionsFor(*bundle_, std::move(spec)));
  ASSERT_TRUE(victim.ok()) << victim.status();
  // The only processes there are the attacker's init, the shell, and the victim.
  const std::string output = ExecOutput(
      *attacker,
      Shell("for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) continue;; esac; "
            "test -d $p || continue; for f in fd/0 environ mem maps; do probe open $p/$f; "
            "done; readlink $p/exe || echo hidden; break; done")
          .process);
  EXPECT_EQ(output,
            "open: Permission denied\nopen: Permission denied\nopen: Permission denied\n"
            "open: Permission denied\nhidden\n");
  End(**victim);
  End(*attacker);
}

TEST_F(AttackProcessTest, AnExecHasNoInheritableOrAmbientCapabilitiesOfItsOwnAccord) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  Process process = Shell("grep -E 'Cap(Inh|Amb|Eff)' /proc/self/status").process;
  process.user.uid = 1000;
  EXPECT_EQ(ExecOutput(*container, process),
            "CapInh:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n");
  process.capabilities.reset();
  process.user.uid = 0;
  EXPECT_EQ(ExecOutput(*container, process),
            "CapInh:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n");
  End(*container);
}

TEST_F(AttackProcessTest, NothingIsWrittenThroughAProcThatTheImageMadeUp) {
  const std::string fake = bundle_->path() + "/fake-proc";
  const std::vector<std::string> files = {"/self/oom_score_adj", "/thread-self/attr/exec",
                                          "/self/attr/exec", "/sys/net/ipv4/ip_default_ttl"};
  for (const std::string& file : files) {
    ASSERT_EQ(MakeDirectories((fake + file).substr(0, (fake + file).rfind('/'))), absl::OkStatus());
    WriteText(fake + file, "untouched");
  }
  Spec spec = bundle_->DefaultSpec(Args{"sleep", "1000"});
  for (SpecMount& mount : spec.mounts) {
    if (mount.destination == "/proc") mount = SpecMount{"/proc", "bind", fake, {"rbind"}};
  }
  spec.linux_.masked_paths.clear();
  spec.linux_.readonly_paths.clear();
  spec.linux_.sysctl["net.ipv4.ip_default_ttl"] = "77";
  spec.process.oom_score_adj = 123;
  Process exec = spec.process;
  exec.oom_score_adj = 321;
  const std::unique_ptr<Container> container = Started(std::move(spec));
  ASSERT_NE(container, nullptr);
  const absl::StatusOr<ChildProcess> child = container->Exec(exec, Stdio{});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(*ReadFile(absl::StrCat("/proc/", container->pid(), "/oom_score_adj")), "123\n");
  EXPECT_EQ(*ReadFile(absl::StrCat("/proc/", child->pid, "/oom_score_adj")), "321\n");
  for (const std::string& file : files) EXPECT_EQ(*ReadFile(fake + file), "untouched") << file;
  EXPECT_EQ(container->KillAll(SIGKILL), absl::OkStatus());
  ExitCodeOf(child->pidfd.get());
  ExitCodeOf(container->pidfd());
  EXPECT_EQ(container->Destroy(), absl::OkStatus());
}

TEST_F(AttackProcessTest, AFileThatIsMountedOverOneOfProcfsIsNotWritten) {
  const std::string fake = bundle_->path() + "/fake";
  WriteText(fake, "untouched");
  Spec spec = Shell("true");
  spec.linux_.sysctl["kernel.domainname"] = "example.org";
  EXPECT_EQ(InChild([&] {
              return ::unshare(CLONE_NEWNS) == 0 &&
                     ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0 &&
                     ::mount(fake.c_str(), "/proc/sys/kernel/domainname", nullptr, MS_BIND,
                             nullptr) == 0 &&
                     std::string(Failure(spec).message()).find("something is mounted over it") !=
                         std::string::npos;
            }),
            0);
  EXPECT_EQ(*ReadFile(fake), "untouched");
}

TEST_F(AttackProcessTest, AProcThatIsOnlyAPartOfTheHostsIsRefused) {
  Run(Shell("true"));  // what this process reads in /proc once is read
  EXPECT_EQ(InChild([&] {
              return ::unshare(CLONE_NEWNS) == 0 &&
                     ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0 &&
                     ::mount("/proc/sys", "/proc", nullptr, MS_BIND, nullptr) == 0 &&
                     std::string(Failure(Shell("true")).message()).find("prepare the process") !=
                         std::string::npos;
            }),
            0);
}

TEST_F(AttackProcessTest, AnExecOpensNothingOfTheHostThroughADescriptorOfItsOwn) {
  // While an exec enters the container it has the host's procfs open: the links are to lead
  // through that descriptor, whatever number it has, to a file of the host.
  const std::string secret = bundle_->path() + "/secret";
  WriteText(secret, "root:x:0:0::/told:/bin/sh\n");
  const UniqueFd opens(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(opens.get(), secret.c_str(), IN_OPEN), 0);
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  const std::string root = absl::StrCat("/proc/", container->pid(), "/root");
  for (int fd = 3; fd < 48; ++fd) {
    const std::string through = absl::StrCat("/proc/self/fd/", fd, "/..", secret);
    for (const char* name : {"/etc/passwd", "/dev/null"}) {
      ::unlink((root + name).c_str());
      ASSERT_EQ(::symlink(through.c_str(), (root + name).c_str()), 0) << std::strerror(errno);
    }
    EXPECT_EQ(ExecOutput(*container, Shell("echo $HOME").process), "/\n") << fd;
  }
  char event[4096];
  EXPECT_EQ(::read(opens.get(), event, sizeof event), -1) << "the host's file was opened";
  End(*container);
}

TEST_F(AttackProcessTest, AnExecIsNotHeldUpByWhatTheContainerPutsInItsWay) {
  const std::unique_ptr<Container> container = Sleeper();
  ASSERT_NE(container, nullptr);
  // Opening any of these for reading would wait for a writer that never comes.
  ASSERT_EQ(ExecOutput(*container, Shell("cd /dev; busybox rm null; busybox mkfifo null; "
                                         "busybox rm /etc/passwd; busybox mkfifo /etc/passwd; "
                                         "test -p null && test -p /etc/passwd && echo replaced")
                                       .process),
            "replaced\n");
  Process process = Shell("echo came; echo $HOME").process;
  EXPECT_EQ(ExecOutput(*container, process), "came\n/\n");
  End(*container);
}

TEST_F(AttackProcessTest, ATerminalOfTheCallersCannotBeTypedInto) {
  AddProbe();
  int master = -1;
  int slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const UniqueFd owned_master(master);
  const UniqueFd owned_slave(slave);
  for (const char* attack : {"type", "take"}) {
    // It is somebody's controlling terminal, as that of a shell from which a runtime is called.
    EXPECT_EQ(
        InChild([&] {
          if (::setsid() < 0 || ::ioctl(slave, TIOCSCTTY, 0) != 0) return false;
          int fds[2];
          if (::pipe2(fds, O_CLOEXEC) != 0) return false;
          CreateOptions options = OptionsFor(*bundle_, bundle_->DefaultSpec(Args{"probe", attack}));
          options.stdio = Stdio{slave, fds[1], fds[1]};
          absl::StatusOr<std::unique_ptr<Container>> container =
              Container::Create(std::move(options));
          if (!container.ok() || !(*container)->Start().ok()) return false;
          ExitCodeOf((*container)->pidfd());
          ::close(fds[1]);
          const std::string output = ReadAll(fds[0]);
          return (*container)->Destroy().ok() &&
                 output.find("Operation not permitted") != std::string::npos;
        }),
        0)
        << attack;
  }
}

TEST_F(AttackProcessTest, GroupsOfTheRuntimeAreNotThoseOfTheContainer) {
  EXPECT_EQ(InChild([&] {
              const gid_t groups[] = {4, 6, 27};
              if (::setgroups(3, groups) != 0) return false;
              Spec spec = Shell("grep Groups /proc/self/status");
              if (Run(spec).output.find_first_of("0123456789") != std::string::npos) return false;
              const std::unique_ptr<Container> container = Sleeper();
              const std::string output = ExecOutput(*container, spec.process);
              End(*container);
              return output.find_first_of("0123456789") == std::string::npos;
            }),
            0);
}

LinuxSeccomp Profile(const char* json) {
  absl::StatusOr<LinuxSeccomp> profile = SeccompFromJson(Json::parse(json));
  EXPECT_TRUE(profile.ok()) << profile.status();
  return *std::move(profile);
}

TEST_F(AttackProcessTest, TheFilterIsThereBeforeTheFirstInstructionOfTheProgram) {
  for (const bool no_new_privileges : {true, false}) {
    Spec spec = Shell("grep -E 'Seccomp:|NoNewPrivs' /proc/self/status");
    spec.process.user.uid = 1000;
    spec.process.no_new_privileges = no_new_privileges;
    spec.linux_.seccomp = Profile(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]})");
    EXPECT_EQ(Run(std::move(spec)).output,
              absl::StrCat("NoNewPrivs:\t", no_new_privileges ? 1 : 0, "\nSeccomp:\t2\n"));
  }
}

TEST_F(AttackProcessTest, WithNoNewPrivilegesAFilterNeedNotAllowWhatTheRuntimeDoes) {
  Spec spec = Shell("echo ran");
  spec.process.user.uid = 1000;
  spec.linux_.seccomp = Profile(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["capset", "close_range", "setgroups", "seccomp", "chdir"],
       "action": "SCMP_ACT_KILL_PROCESS"}]})");
  spec.process.args = {"echo", "ran"};
  EXPECT_EQ(Run(std::move(spec)).output, "ran\n");
}

TEST_F(AttackProcessTest, AMemoryLimitThatIsTooLowIsToldAndNothingStays) {
  Spec spec = Shell("true");
  spec.linux_.resources.memory.emplace().limit = 8192;
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  const std::string cgroup = options.spec.linux_.cgroups_path;
  absl::StatusOr<std::unique_ptr<Container>> container = Container::Create(std::move(options));
  ASSERT_FALSE(container.ok());
  EXPECT_THAT(container.status().message(), HasSubstr("memory limit too low?"));
  EXPECT_TRUE(absl::IsNotFound(Cgroup::Open(cgroup).status()));
}

TEST_F(AttackProcessTest, APidsLimitThatIsTooLowIsToldAndNothingStays) {
  Spec spec = Shell("true");
  spec.linux_.resources.pids.emplace().limit = 1;
  spec.hooks.create_container.push_back(Hook{"/bin/true", {}, {}, std::nullopt});
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  const std::string cgroup = options.spec.linux_.cgroups_path;
  absl::StatusOr<std::unique_ptr<Container>> container = Container::Create(std::move(options));
  ASSERT_FALSE(container.ok());
  EXPECT_THAT(container.status().message(), HasSubstr("pids limit too low?"));
  EXPECT_TRUE(absl::IsNotFound(Cgroup::Open(cgroup).status()));
}

}  // namespace
}  // namespace gantry::runtime
