#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "runtime/process/id_mapping.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kFirst = 100000;

class UserNamespaceTest : public ContainerFixture {
 protected:
  void SetUp() override {
    ContainerFixture::SetUp();
    if (!bundle_.has_value()) return;
    // As a client that remaps users does it: the tree belongs to the container's root.
    GiveTo(bundle_->root(), kFirst);
  }

  static void GiveTo(const std::string& directory, uid_t owner) {
    const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
    ASSERT_TRUE(names.ok()) << names.status();
    ASSERT_EQ(::lchown(directory.c_str(), owner, owner), 0);
    for (const std::string& name : *names) {
      const std::string path = absl::StrCat(directory, "/", name);
      struct stat status {};
      ASSERT_EQ(::lstat(path.c_str(), &status), 0);
      if (S_ISDIR(status.st_mode)) {
        GiveTo(path, owner);
      } else {
        ASSERT_EQ(::lchown(path.c_str(), owner, owner), 0);
      }
    }
  }

  Spec Mapped(Args args) {
    Spec spec = bundle_->DefaultSpec(std::move(args));
    spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kUser, ""});
    spec.linux_.uid_mappings = {IdMapping{0, kFirst, 65536}};
    spec.linux_.gid_mappings = {IdMapping{0, kFirst, 65536}};
    return spec;
  }
  Spec MappedShell(const std::string& script) { return Mapped(Args{"sh", "-c", script}); }
};

TEST_F(UserNamespaceTest, RootInsideIsAnOrdinaryUserOutside) {
  const std::unique_ptr<Container> container = Started(Mapped(Args{"sleep", "1000"}));
  ASSERT_NE(container, nullptr);
  const absl::StatusOr<std::string> status =
      ReadFile(absl::StrCat("/proc/", container->pid(), "/status"));
  ASSERT_TRUE(status.ok());
  EXPECT_THAT(*status, HasSubstr("Uid:\t100000\t100000\t100000\t100000"));
  EXPECT_THAT(*status, HasSubstr("Gid:\t100000\t100000\t100000\t100000"));
  EXPECT_EQ(ExecOutput(*container, MappedShell("id -u; id -g; cat /proc/self/uid_map").process),
            "0\n0\n         0     100000      65536\n");
  End(*container);
}

TEST_F(UserNamespaceTest, EverythingOfAnOrdinaryContainerIsThere) {
  const std::string output =
      Run(MappedShell("cd /dev; for d in null zero full random urandom tty; do "
                      "test -c $d && stat -c '%n %t:%T' $d; done; "
                      "echo x >/dev/null && echo written; "
                      "test -c pts/ptmx && echo terminals; "
                      "touch /dev/shm/a /run/b && stat -c %u /dev/shm/a; "
                      "ls /sys | wc -l; hostname; echo out >/dev/stdout"))
          .output;
  EXPECT_THAT(output, testing::StartsWith("null 1:3\nzero 1:5\nfull 1:7\nrandom 1:8\nurandom 1:9\n"
                                          "tty 5:0\nwritten\nterminals\n0\n"));
  EXPECT_THAT(output, testing::EndsWith("out\n"));
}

TEST_F(UserNamespaceTest, CapabilitiesAreThoseOfTheSpecAndHoldInsideAlone) {
  Spec spec =
      MappedShell("grep -E 'Cap(Prm|Bnd)' /proc/self/status; mknod /x c 1 3 || echo refused");
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, HasSubstr("CapPrm:\t000000000800002b"));
  EXPECT_THAT(output, HasSubstr("CapBnd:\t000000000800002b"));
  EXPECT_THAT(output, HasSubstr("refused"));
}

TEST_F(UserNamespaceTest, ABindWhoseSourceOnlyTheHostsRootMayReachIsMounted) {
  const std::string secret = bundle_->path() + "/secret";
  ASSERT_EQ(MakeDirectories(secret + "/inner", 0700), absl::OkStatus());
  WriteText(secret + "/inner/file", "seen\n");
  ASSERT_EQ(::chmod(secret.c_str(), 0700), 0);
  Spec spec = MappedShell("cat /etc/file; stat -c %u /etc/file");
  spec.mounts.push_back(SpecMount{"/etc/file", "bind", secret + "/inner/file", {"rbind", "ro"}});
  EXPECT_EQ(Run(std::move(spec)).output, "seen\n65534\n");
}

TEST_F(UserNamespaceTest, TheRootIsAnOverlayThatTheHostMounts) {
  for (const char* name : {"/upper", "/work"}) {
    ASSERT_EQ(MakeDirectories(bundle_->path() + name), absl::OkStatus());
    ASSERT_EQ(::chown((bundle_->path() + name).c_str(), kFirst, kFirst), 0);
  }
  Spec spec = MappedShell("touch /new; stat -c %u /new /bin/busybox");
  spec.root.path = "merged";
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  options.rootfs_mounts.push_back(
      Mount{"overlay",
            "overlay",
            "",
            {"workdir=" + bundle_->path() + "/work", "upperdir=" + bundle_->path() + "/upper",
             "lowerdir=" + bundle_->root()}});
  const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "0\n0\n");
  struct stat status {};
  ASSERT_EQ(::stat((bundle_->path() + "/upper/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kFirst);
}

class MappedRootTest : public UserNamespaceTest {
 protected:
  void SetUp() override {
    UserNamespaceTest::SetUp();
    if (!bundle_.has_value()) return;
    // An image as it is unpacked, in two layers; the upper one has a file of its own.
    GiveTo(bundle_->root(), 0);
    ASSERT_EQ(MakeDirectories(Top()), absl::OkStatus());
    WriteText(Top() + "/of-top", "x");
    ASSERT_EQ(::chown((Top() + "/of-top").c_str(), 33, 33), 0);
    for (const char* name : {"/upper", "/work"}) {
      ASSERT_EQ(MakeDirectories(bundle_->path() + name), absl::OkStatus());
      ASSERT_EQ(::chown((bundle_->path() + name).c_str(), kFirst, kFirst), 0);
    }
  }
  std::string Top() { return bundle_->path() + "/top"; }
  CreateOptions With(Spec spec, std::vector<std::string> options) {
    spec.root.path = "merged";
    CreateOptions create = OptionsFor(*bundle_, std::move(spec));
    options.insert(options.end(), {"workdir=" + bundle_->path() + "/work",
                                   "upperdir=" + bundle_->path() + "/upper",
                                   "lowerdir=" + Top() + ":" + bundle_->root()});
    create.rootfs_mounts.push_back(Mount{"overlay", "overlay", "", std::move(options)});
    return create;
  }
  absl::Status Refusal(const std::vector<std::string>& options) {
    return RunContainer(With(Mapped(Args{"true"}), options)).status();
  }
  const std::vector<std::string> maps_ = {"uidmap=0:100000:65536", "gidmap=0:100000:65536"};
};

TEST_F(MappedRootTest, LayersOfTheImageAreSeenWithTheContainersIds) {
  const absl::StatusOr<RunResult> result = RunContainer(
      With(MappedShell("stat -c %u:%g / /bin/busybox /of-top; touch /new && echo y >> /of-top &&"
                       " stat -c %u /new /of-top"),
           maps_));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "0:0\n0:0\n33:33\n0\n33\n");
  struct stat status {};
  ASSERT_EQ(::stat((bundle_->path() + "/upper/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kFirst);
  ASSERT_EQ(::stat((bundle_->path() + "/upper/of-top").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kFirst + 33) << "what is copied up has the host's id";
  ASSERT_EQ(::stat((Top() + "/of-top").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 33u) << "and the layer is as it was";
  const absl::StatusOr<std::string> mounts = ReadFile("/proc/self/mountinfo");
  ASSERT_TRUE(mounts.ok());
  EXPECT_EQ(mounts->find(Top()), std::string::npos) << "nothing is left on the host";
}

TEST_F(MappedRootTest, AContainerWithoutAUserNamespaceSeesTheHostsIds) {
  const absl::StatusOr<RunResult> result =
      RunContainer(With(Shell("stat -c %u:%g /bin/busybox /of-top"), maps_));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "100000:100000\n100033:100033\n");
}

TEST_F(MappedRootTest, ABindOfALayerIsMappedToo) {
  Spec spec = MappedShell("stat -c %u /bin/busybox");
  spec.root.path = "merged";
  CreateOptions options = OptionsFor(*bundle_, std::move(spec));
  std::vector<std::string> words = maps_;
  words.insert(words.end(), {"rbind", "rw"});
  options.rootfs_mounts.push_back(Mount{"bind", bundle_->root(), "", words});
  const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "0\n");
}

TEST_F(MappedRootTest, WhatIsNoMappingIsRefusedByName) {
  EXPECT_THAT(Refusal({"uidmap=0:100000:65536"}).message(), HasSubstr("want both or none"));
  EXPECT_THAT(Refusal({"uidmap=0:100000", "gidmap=0:1:2"}).message(),
              HasSubstr("uidmap=0:100000: want CONTAINER:HOST:SIZE"));
  EXPECT_THAT(Refusal({"uidmap=0:100000:5,3:7:1", "gidmap=0:1:2"}).message(),
              HasSubstr("uidmap=0:100000:5,3:7:1"));
  CreateOptions options = With(Mapped(Args{"true"}), {});
  options.rootfs_mounts[0] = Mount{"tmpfs", "tmpfs", "", maps_};
  EXPECT_THAT(RunContainer(std::move(options)).status().message(),
              HasSubstr("tmpfs cannot have mapped ids"));
}

TEST_F(UserNamespaceTest, AnotherUserLimitsAndOomScoreHold) {
  Spec spec = MappedShell("id -u; id -G; ulimit -Hn; cat /proc/self/oom_score_adj; pwd");
  spec.process.user = User{1000, 1001, std::nullopt, {5}};
  spec.process.oom_score_adj = 10;
  struct rlimit own {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  // Above what this process has, if it may: the host's root alone can raise it.
  struct rlimit higher = own;
  ++higher.rlim_max;
  const uint64_t hard =
      ::setrlimit(RLIMIT_NOFILE, &higher) == 0 ? higher.rlim_max : own.rlim_max - 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &own), 0);
  spec.process.rlimits = {Rlimit{RLIMIT_NOFILE, 1000, hard}};
  EXPECT_EQ(Run(std::move(spec)).output, absl::StrCat("1000\n1001 5\n", hard, "\n10\n/\n"));
}

TEST_F(UserNamespaceTest, SysctlsHostnameAndTerminalWork) {
  Spec spec = MappedShell(
      "hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
      "cat /proc/sys/kernel/shmmni /proc/sys/kernel/domainname; tty");
  spec.hostname = "mapped";
  spec.linux_.sysctl["net.ipv4.ip_unprivileged_port_start"] = "81";
  spec.linux_.sysctl["kernel.shmmni"] = "77";
  spec.linux_.sysctl["kernel.domainname"] = "here";
  spec.process.terminal = true;
  absl::StatusOr<std::unique_ptr<Container>> container =
      Container::Create(OptionsFor(*bundle_, std::move(spec)));
  ASSERT_TRUE(container.ok()) << container.status();
  const UniqueFd console = (*container)->TakeConsole();
  EXPECT_EQ((*container)->Start(), absl::OkStatus());
  EXPECT_EQ(ReadAll(console.get()), "mapped\r\n81\r\n77\r\nhere\r\n/dev/pts/0\r\n");
  EXPECT_EQ(ExitCodeOf((*container)->pidfd()), 0);
  EXPECT_EQ((*container)->Destroy(), absl::OkStatus());
}

TEST_F(UserNamespaceTest, SysfsIsTheHostsWhereTheNetworkIs) {
  Spec spec = MappedShell("test -d /sys/class/net/lo && echo there; touch /sys/x || echo refused");
  std::erase_if(spec.linux_.namespaces,
                [](const LinuxNamespace& ns) { return ns.type == NamespaceType::kNetwork; });
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, HasSubstr("there\n"));
  EXPECT_THAT(output, HasSubstr("refused\n"));
}

TEST_F(UserNamespaceTest, ACgroupMountWorksWithAndWithoutANamespaceOfItsOwn) {
  for (const bool own_namespace : {false, true}) {
    Spec spec = MappedShell(
        "d=/sys/fs/cgroup; test -d $d/pids && d=$d/pids; cat $d/cgroup.procs | grep -c 1");
    spec.mounts.push_back(
        SpecMount{"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "ro"}});
    if (own_namespace) spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kCgroup, ""});
    const RunResult result = Run(std::move(spec));
    EXPECT_NE(result.output, "0\n");
    EXPECT_EQ(result.exit_code, 0) << result.output;
  }
}

TEST_F(UserNamespaceTest, OneThatIsJoinedOwnsWhatIsMadeInIt) {
  const std::unique_ptr<Container> first = Started(Mapped(Args{"sleep", "1000"}));
  ASSERT_NE(first, nullptr);
  Spec spec = MappedShell(
      "readlink /proc/self/ns/user; readlink /proc/self/ns/net; echo $$; id -u; "
      "mount -t tmpfs x /mnt && echo mounted; hostname");
  const auto path = [&](const char* name) {
    return absl::StrCat("/proc/", first->pid(), "/ns/", name);
  };
  for (LinuxNamespace& ns : spec.linux_.namespaces) {
    if (ns.type == NamespaceType::kUser) ns.path = path("user");
    if (ns.type == NamespaceType::kNetwork) ns.path = path("net");
  }
  ASSERT_EQ(MakeDirectories(bundle_->root() + "/mnt"), absl::OkStatus());
  spec.hostname = "second";
  spec.process.capabilities->effective |= 1 << 21;  // CAP_SYS_ADMIN
  spec.process.capabilities->permitted |= 1 << 21;
  spec.process.capabilities->bounding |= 1 << 21;
  char user[64] = {};
  char net[64] = {};
  ASSERT_GT(::readlink(path("user").c_str(), user, sizeof user - 1), 0);
  ASSERT_GT(::readlink(path("net").c_str(), net, sizeof net - 1), 0);
  EXPECT_EQ(Run(std::move(spec)).output,
            absl::StrCat(user, "\n", net, "\n1\n0\nmounted\nsecond\n"));
  End(*first);
}

TEST_F(UserNamespaceTest, ANewOneCanGoWithANetworkThatTheHostOwns) {
  const std::unique_ptr<Container> first = Sleeper();
  ASSERT_NE(first, nullptr);
  Spec spec = MappedShell("readlink /proc/self/ns/net; echo $$; cat /proc/self/uid_map");
  const std::string path = absl::StrCat("/proc/", first->pid(), "/ns/net");
  for (LinuxNamespace& ns : spec.linux_.namespaces) {
    if (ns.type == NamespaceType::kNetwork) ns.path = path;
  }
  std::erase_if(spec.mounts, [](const SpecMount& mount) { return mount.type == "sysfs"; });
  char net[64] = {};
  ASSERT_GT(::readlink(path.c_str(), net, sizeof net - 1), 0);
  EXPECT_EQ(Run(std::move(spec)).output,
            absl::StrCat(net, "\n1\n         0     100000      65536\n"));
  End(*first);
}

TEST_F(UserNamespaceTest, AnIdMappedBindShowsTheHostsOwnersAsTheContainers) {
  const std::string shared = bundle_->path() + "/shared";
  ASSERT_EQ(MakeDirectories(shared), absl::OkStatus());
  WriteText(shared + "/of-root", "x");
  Spec spec = MappedShell("stat -c %u /plain/of-root /mapped/of-root; touch /mapped/new");
  spec.mounts.push_back(SpecMount{"/plain", "bind", shared, {"rbind"}});
  spec.mounts.push_back(SpecMount{"/mapped", "bind", shared, {"rbind", "ridmap"}});
  EXPECT_EQ(Run(std::move(spec)).output, "65534\n0\n");
  struct stat status {};
  ASSERT_EQ(::stat((shared + "/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0u) << "written through the mapping";
}

TEST_F(UserNamespaceTest, AMountHasMappingsOfItsOwnWithoutAUserNamespace) {
  const std::string shared = bundle_->path() + "/shared";
  ASSERT_EQ(MakeDirectories(shared), absl::OkStatus());
  WriteText(shared + "/f", "x");
  ASSERT_EQ(::chown((shared + "/f").c_str(), 1000, 1001), 0);
  Spec spec = Shell("stat -c %u:%g /m/f");
  spec.mounts.push_back(SpecMount{"/m",
                                  "bind",
                                  shared,
                                  {"bind", "idmap"},
                                  {IdMapping{1000, 5000, 10}},
                                  {IdMapping{1000, 6000, 10}}});
  EXPECT_EQ(Run(std::move(spec)).output, "5000:6001\n");
}

TEST_F(UserNamespaceTest, WhatCannotBeMappedIsRefusedByName) {
  Spec spec = Mapped(Args{"true"});
  spec.process.user.uid = 70000;
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("process.user.uid: 70000"));
  spec = Mapped(Args{"true"});
  spec.linux_.uid_mappings.clear();
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("linux.uidMappings"));
  spec = Mapped(Args{"true"});
  spec.linux_.uid_mappings.push_back(IdMapping{100, 300000, 5});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("linux.uidMappings[1]: overlaps"));
  spec = bundle_->DefaultSpec(Args{"true"});
  spec.linux_.uid_mappings = {IdMapping{0, 1, 1}};
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("USER namespace isn't enabled"));
  spec = Shell("true");
  spec.mounts.push_back(SpecMount{"/m", "bind", "/etc", {"bind", "idmap"}});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("/m is to be mapped"));
  spec = Shell("true");
  spec.mounts.push_back(SpecMount{"/m", "tmpfs", "tmpfs", {"idmap"}});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("only supported for bind mounts"));
}

TEST(IdMappingTest, IdsAreFoundInTheirRange) {
  const std::vector<IdMapping> mappings = {{0, 1000, 1}, {1, 100000, 10}};
  EXPECT_EQ(ToHostId(mappings, 0), 1000u);
  EXPECT_EQ(ToHostId(mappings, 10), 100009u);
  EXPECT_EQ(ToHostId(mappings, 11), std::nullopt);
}

}  // namespace
}  // namespace gantry::runtime
