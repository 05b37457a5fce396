#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/errors.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MountsTest : public ContainerFixture {
 protected:
  std::string Shared() {
    const std::string path = bundle_->path() + "/shared";
    EXPECT_EQ(MakeDirectories(path), absl::OkStatus());
    return path;
  }
  // The options of the mount on `target` as the container sees them.
  std::string OptionsOf(const SpecMount& mount) {
    Spec spec = Shell("grep ' " + mount.destination + " ' /proc/self/mounts");
    spec.mounts.push_back(mount);
    return Run(std::move(spec)).output;
  }
};

TEST_F(MountsTest, AttributesOfABindHold) {
  const std::string text = OptionsOf(SpecMount{
      "/m",
      "bind",
      Shared(),
      {"bind", "ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"}});
  for (const char* word :
       {"ro,", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
}

TEST_F(MountsTest, FlagsOfASuperblockReachANewFileSystemAndMeanNothingToABind) {
  const std::vector<std::string> flags = {"sync", "dirsync", "lazytime", "acl",  "noacl",
                                          "loud", "silent",  "mand",     "async"};
  std::vector<std::string> options = {"bind"};
  options.insert(options.end(), flags.begin(), flags.end());
  EXPECT_THAT(OptionsOf(SpecMount{"/m", "bind", Shared(), options}), HasSubstr(" /m "));
  EXPECT_THAT(OptionsOf(SpecMount{"/m", "tmpfs", "tmpfs", {"sync", "dirsync"}}),
              HasSubstr("sync,dirsync"));
}

TEST_F(MountsTest, RecursiveAttributesReachWhatIsMountedBelow) {
  Spec spec = Shell("touch /m/sub/x 2>&1; touch /m/y 2>&1; grep ' /m/sub ' /proc/self/mounts");
  // A tree of two mounts, made in the container's own root before it is bound there again.
  const std::string tree = bundle_->root() + "/tree";
  ASSERT_EQ(MakeDirectories(tree + "/sub"), absl::OkStatus());
  ASSERT_EQ(MakeDirectories(bundle_->root() + "/m"), absl::OkStatus());
  spec.mounts.push_back(SpecMount{"/tree/sub", "tmpfs", "tmpfs", {}});
  spec.mounts.push_back(SpecMount{"/m", "bind", tree, {"rbind", "rro", "rnosuid"}});
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, HasSubstr("/m/sub/x: Read-only file system"));
  EXPECT_THAT(output, HasSubstr("/m/y: Read-only file system"));
  EXPECT_THAT(output, HasSubstr("nosuid"));
}

TEST_F(MountsTest, ATmpfsTakesTheModeOfWhatItCoversUnlessItIsGivenOne) {
  ASSERT_EQ(MakeDirectories(bundle_->root() + "/t"), absl::OkStatus());
  ASSERT_EQ(::chmod((bundle_->root() + "/t").c_str(), 01750), 0);
  Spec spec = Shell("stat -c %a /t");
  spec.mounts.push_back(SpecMount{"/t", "tmpfs", "tmpfs", {}});
  EXPECT_EQ(Run(spec).output, "1750\n");
  spec.mounts.back().options = {"mode=711"};
  EXPECT_EQ(Run(std::move(spec)).output, "711\n");
}

TEST_F(MountsTest, AReadOnlyTmpfsIsSoAfterTheMountsInIt) {
  Spec spec = Shell(
      "touch /t/x || echo refused; touch /t/in/y && echo written; "
      "touch /dev/x || echo no device; test -c /dev/null && echo null");
  spec.mounts.push_back(SpecMount{"/t", "tmpfs", "tmpfs", {"ro"}});
  spec.mounts.push_back(SpecMount{"/t/in", "tmpfs", "tmpfs", {}});
  for (SpecMount& mount : spec.mounts) {
    if (mount.destination == "/dev") mount.options.push_back("ro");
  }
  const std::string output = Run(std::move(spec)).output;
  for (const char* line : {"refused\n", "written\n", "no device\n", "null\n"}) {
    EXPECT_THAT(output, HasSubstr(line));
  }
}

TEST_F(MountsTest, TmpcopyupBringsWhatTheImageHas) {
  const std::string dir = bundle_->root() + "/var/lib";
  ASSERT_EQ(MakeDirectories(dir + "/a/b"), absl::OkStatus());
  WriteText(dir + "/a/b/file", "content\n", 0640);
  ASSERT_EQ(::chown((dir + "/a/b/file").c_str(), 7, 8), 0);
  ASSERT_EQ(::chmod((dir + "/a/b/file").c_str(), 04711), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (dir + "/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir + "/fifo").c_str(), 0600), 0);
  WriteText(dir + "/large", std::string(3 << 20, 'x'));
  ASSERT_EQ(::chmod(dir.c_str(), 0751), 0);
  Spec spec = Shell(
      "cd /var/lib; stat -c '%a %u:%g' a/b/file .; cat a/b/file; readlink link; "
      "test -p fifo && echo fifo; wc -c <large; echo new >a/b/file; touch more; "
      "grep -c ' /var/lib ' /proc/self/mounts");
  spec.mounts.push_back(SpecMount{"/var/lib", "tmpfs", "tmpfs", {"tmpcopyup"}});
  EXPECT_EQ(Run(std::move(spec)).output,
            "4711 7:8\n751 0:0\ncontent\n/etc/passwd\nfifo\n3145728\n1\n");
  EXPECT_EQ(*ReadFile(dir + "/a/b/file"), "content\n");
  spec = Shell("true");
  spec.mounts.push_back(SpecMount{"/var/lib", "tmpfs", "tmpfs", {"tmpcopyup", "size=1m"}});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("No space left"));
  spec = Shell("true");
  spec.mounts.push_back(SpecMount{"/var/lib", "bind", "/etc", {"bind", "tmpcopyup"}});
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("only a tmpfs"));
}

TEST_F(MountsTest, ProcTakesItsOptions) {
  Spec spec = Shell("ls /proc | grep -c meminfo; test -d /proc/1 && echo processes");
  for (SpecMount& mount : spec.mounts) {
    if (mount.destination == "/proc") mount.options.push_back("subset=pid");
  }
  spec.linux_.masked_paths.clear();
  spec.linux_.readonly_paths.clear();
  spec.process.args[2] = "ls -d /proc/meminfo; test -d /proc/1 && echo processes";
  const std::string output = Run(std::move(spec)).output;
  EXPECT_THAT(output, HasSubstr("/proc/meminfo: No such file"));
  EXPECT_THAT(output, HasSubstr("processes\n"));
}

// Runs `body` in a child whose mounts are shared among themselves and apart from the host's.
int InSharedNamespace(const std::function<bool()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_SHARED | MS_REC, nullptr) != 0) {
      ::_exit(99);
    }
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool IsMounted(const std::string& path) {
  const absl::StatusOr<std::string> mounts = ReadFile("/proc/self/mounts");
  return mounts.ok() && mounts->find(" " + path + " ") != std::string::npos;
}

TEST_F(MountsTest, ABidirectionalBindShowsTheContainersMountsOnTheHostAndNothingElseDoes) {
  const std::string shared = Shared();
  ASSERT_EQ(MakeDirectories(shared + "/inner"), absl::OkStatus());
  ASSERT_EQ(MakeDirectories(bundle_->root() + "/private"), absl::OkStatus());
  Spec spec = Shell("mount -t tmpfs x /m/inner && mount -t tmpfs x /private && echo mounted");
  spec.linux_.rootfs_propagation = "rshared";
  spec.mounts.push_back(SpecMount{"/m", "bind", shared, {"rbind", "rshared"}});
  spec.process.capabilities->effective |= 1 << 21;
  spec.process.capabilities->permitted |= 1 << 21;
  spec.process.capabilities->bounding |= 1 << 21;
  EXPECT_EQ(InSharedNamespace([&] {
              const bool ran = Run(spec).output == "mounted\n";
              return ran && IsMounted(shared + "/inner") &&
                     !IsMounted(bundle_->root() + "/private") &&
                     !IsMounted(bundle_->root() + "/m") && !IsMounted(bundle_->root() + "/proc");
            }),
            0);
  spec.linux_.rootfs_propagation = "";
  spec.mounts.back().options = {"rbind"};
  EXPECT_EQ(InSharedNamespace([&] {
              const bool ran = Run(spec).output == "mounted\n";
              return ran && !IsMounted(shared + "/inner");
            }),
            0)
      << "a bind is private unless it is said otherwise";
}

TEST_F(MountsTest, ASlaveBindShowsTheHostsMountsInTheContainer) {
  const std::string shared = Shared();
  ASSERT_EQ(MakeDirectories(shared + "/inner"), absl::OkStatus());
  for (const bool slave : {true, false}) {
    Spec spec = bundle_->DefaultSpec(Args{"sleep", "1000"});
    spec.mounts.push_back(
        SpecMount{"/m", "bind", shared, {"rbind", slave ? "rslave" : "rprivate"}});
    EXPECT_EQ(
        InSharedNamespace([&] {
          const std::unique_ptr<Container> container = Started(spec);
          if (container == nullptr) return false;
          if (::mount("x", (shared + "/inner").c_str(), "tmpfs", 0, nullptr) != 0) return false;
          const bool seen =
              ExecOutput(*container, Shell("cat /proc/self/mounts").process).find(" /m/inner ") !=
              std::string::npos;
          End(*container);
          return seen == slave;
        }),
        0)
        << slave;
  }
}

TEST_F(MountsTest, TheRootsPropagationIsThatOfTheSpec) {
  ASSERT_EQ(::symlink("busybox", (bundle_->root() + "/bin/awk").c_str()), 0);
  const std::vector<std::pair<std::string, std::string>> words = {
      {"", "-"},        {"shared", "shared"}, {"rprivate", "-"},
      {"private", "-"}, {"rslave", "-"},      {"unbindable", "unbindable"}};
  for (const auto& [propagation, word] : words) {
    Spec spec =
        Shell("awk '$5 == \"/\" { sub(\":.*\", \"\", $7); print $7 }' /proc/self/mountinfo");
    spec.linux_.rootfs_propagation = propagation;
    EXPECT_EQ(Run(std::move(spec)).output, word + "\n") << propagation;
  }
}

TEST_F(MountsTest, DevicesOfAllKindsAreMade) {
  Spec spec = Shell("cd /dev; stat -c '%F %t:%T %a %u:%g' ch bl fi un");
  const auto device = [](const char* path, char type, int64_t major, int64_t minor) {
    LinuxDevice made;
    made.path = path;
    made.type = type;
    made.major = major;
    made.minor = minor;
    made.file_mode = 0604;
    made.uid = 3;
    made.gid = 4;
    return made;
  };
  spec.linux_.devices = {device("/dev/ch", 'c', 1, 3), device("/dev/bl", 'b', 7, 300),
                         device("/dev/fi", 'p', 0, 0), device("/dev/un", 'u', 1, 5)};
  EXPECT_EQ(Run(std::move(spec)).output,
            "character special file 1:3 604 3:4\nblock special file 7:12c 604 3:4\n"
            "fifo 0:0 604 3:4\ncharacter special file 1:5 604 3:4\n");
}

}  // namespace
}  // namespace gantry::runtime
