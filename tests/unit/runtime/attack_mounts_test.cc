// CVE-2019-19921, CVE-2021-30465, CVE-2023-27561, CVE-2023-28642, CVE-2025-31133, CVE-2025-52565:
// what the image, or another container that shares a volume, puts where the runtime mounts.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <atomic>
#include <thread>

#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AttackMountsTest : public ContainerFixture {
 protected:
  std::string Outside() {
    const std::string path = bundle_->path() + "/outside";
    EXPECT_EQ(MakeDirectories(path), absl::OkStatus());
    return path;
  }
  // The image's own /dev, without a tmpfs on it.
  Spec WithoutDevMounts(const std::string& script) {
    Spec spec = Shell(script);
    std::erase_if(spec.mounts,
                  [](const SpecMount& mount) { return mount.destination.rfind("/dev", 0) == 0; });
    EXPECT_EQ(MakeDirectories(bundle_->root() + "/dev"), absl::OkStatus());
    return spec;
  }
};

// Exchanges two names as fast as it can until it goes.
class Swapper {
 public:
  Swapper(std::string one, std::string other)
      : thread_([this, one = std::move(one), other = std::move(other)] {
          while (!stop_)
            ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
        }) {}
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_F(AttackMountsTest, ATargetThatBecomesALinkInBetweenLeadsNowhereOutside) {
  const std::string outside = Outside();
  ASSERT_EQ(MakeDirectories(bundle_->root() + "/vol/target"), absl::OkStatus());
  ASSERT_EQ(::symlink(outside.c_str(), (bundle_->root() + "/vol/link").c_str()), 0);
  const Swapper swapper(bundle_->root() + "/vol/target", bundle_->root() + "/vol/link");
  for (int i = 0; i < 25; ++i) {
    // The link is read within the root, where it may lead to nothing: then the create fails, which
    // is fine.
    Spec spec = Shell("ls /bin/busybox; grep -c gantry-runtime /proc/self/mountinfo");
    spec.mounts.push_back(SpecMount{"/vol/target/made", "tmpfs", "tmpfs", {}});
    spec.mounts.push_back(SpecMount{"/vol/target/file", "bind", "/etc/passwd", {"bind"}});
    const absl::StatusOr<RunResult> result = RunContainer(OptionsFor(*bundle_, std::move(spec)));
    if (result.ok()) {
      EXPECT_THAT(result->output, HasSubstr("/bin/busybox\n"));
    }
    EXPECT_THAT(*ListDirectory(outside), IsEmpty());
  }
}

TEST_F(AttackMountsTest, ADeviceThatBecomesALinkInBetweenGivesNoFileAway) {
  const std::string secret = Outside() + "/secret";
  WriteText(secret, "x");
  ASSERT_EQ(::chmod(secret.c_str(), 0600), 0);
  Spec spec = WithoutDevMounts("true");
  const std::string dev = bundle_->root() + "/dev";
  ASSERT_EQ(::mknod((dev + "/fuse").c_str(), S_IFCHR | 0600, makedev(10, 229)), 0);
  ASSERT_EQ(::symlink(secret.c_str(), (dev + "/other").c_str()), 0);
  LinuxDevice device;
  device.path = "/dev/fuse";
  device.major = 10;
  device.minor = 229;
  device.uid = 1234;
  spec.linux_.devices.push_back(device);
  const Swapper swapper(dev + "/fuse", dev + "/other");
  for (int i = 0; i < 25; ++i) {
    RunContainer(OptionsFor(*bundle_, spec)).status().IgnoreError();
    struct stat status {};
    ASSERT_EQ(::stat(secret.c_str(), &status), 0);
    ASSERT_EQ(status.st_mode & 07777, 0600u);
    ASSERT_EQ(status.st_uid, 0u);
  }
}

TEST_F(AttackMountsTest, AnImagesOwnDevNullIsRefusedUnlessItIsTheDevice) {
  const std::string secret = Outside() + "/secret";
  WriteText(secret, "x", 0600);
  Spec spec = WithoutDevMounts("true");
  const std::string null = bundle_->root() + "/dev/null";
  ASSERT_EQ(::symlink(secret.c_str(), null.c_str()), 0);
  EXPECT_THAT(Failure(spec).message(), HasSubstr("make device /dev/null: File exists"));
  ASSERT_EQ(::unlink(null.c_str()), 0);
  // Memory, under the name of nothing.
  ASSERT_EQ(::mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 1)), 0);
  EXPECT_THAT(Failure(spec).message(), HasSubstr("make device /dev/null"));
  ASSERT_EQ(::unlink(null.c_str()), 0);
  ASSERT_EQ(::mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_EQ(Failure(spec), absl::OkStatus());
}

TEST_F(AttackMountsTest, AMaskedPathIsCoveredByTheRealNullWhereverALinkLeads) {
  WriteText(bundle_->root() + "/hidden", "secret\n");
  ASSERT_EQ(::symlink("/hidden", (bundle_->root() + "/masked").c_str()), 0);
  ASSERT_EQ(::symlink("../../../../../../../../etc", (bundle_->root() + "/up").c_str()), 0);
  Spec spec = Shell(
      "cat /hidden; stat -c '%t:%T' /masked/ 2>/dev/null; stat -L -c '%t:%T' /masked; "
      "ls /etc | wc -l");
  spec.linux_.masked_paths = {"/masked", "/up"};
  EXPECT_EQ(Run(std::move(spec)).output, "1:3\n0\n");
  EXPECT_THAT(*ListDirectory("/etc"), testing::Not(IsEmpty()));
}

TEST_F(AttackMountsTest, AReadOnlyPathThatIsALinkCoversWhatItLeadsToInside) {
  ASSERT_EQ(MakeDirectories(bundle_->root() + "/data"), absl::OkStatus());
  ASSERT_EQ(::symlink("../../../data", (bundle_->root() + "/protected").c_str()), 0);
  Spec spec = Shell("touch /data/x || echo refused");
  spec.linux_.readonly_paths = {"/protected"};
  EXPECT_THAT(Run(std::move(spec)).output, HasSubstr("refused"));
}

TEST_F(AttackMountsTest, AConsoleThatIsALinkIsRefused) {
  Spec spec = Shell("true");
  const std::string fake = bundle_->path() + "/fake-dev";
  ASSERT_EQ(MakeDirectories(fake + "/pts"), absl::OkStatus());
  ASSERT_EQ(::symlink("/proc/sys/kernel/core_pattern", (fake + "/console").c_str()), 0);
  for (SpecMount& mount : spec.mounts) {
    if (mount.destination == "/dev") mount = SpecMount{"/dev", "bind", fake, {"rbind"}};
  }
  std::erase_if(spec.mounts, [](const SpecMount& mount) {
    return mount.destination == "/dev/shm" || mount.destination == "/dev/mqueue";
  });
  // Which would be refused first, for want of a /dev/null.
  spec.linux_.masked_paths.clear();
  spec.process.terminal = true;
  const absl::Status status = Container::Create(OptionsFor(*bundle_, std::move(spec))).status();
  EXPECT_THAT(status.message(), HasSubstr("open a terminal"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST_F(AttackMountsTest, ATerminalIsOfTheContainersOwnDevptsOrNotAtAll) {
  const std::string fake = bundle_->path() + "/fake-dev";
  ASSERT_EQ(MakeDirectories(fake + "/pts"), absl::OkStatus());
  const std::string ptmx = fake + "/pts/ptmx";
  for (const int kind : {0, 1, 2}) {
    ::unlink(ptmx.c_str());
    if (kind == 0) {
      ASSERT_EQ(::symlink("/dev/ptmx", ptmx.c_str()), 0);
    }
    if (kind == 1) WriteText(ptmx, "");
    // The host's: a terminal from there would be seen by everybody on the host.
    if (kind == 2) {
      ASSERT_EQ(::mknod(ptmx.c_str(), S_IFCHR | 0666, makedev(5, 2)), 0);
    }
    Spec spec = Shell("true");
    std::erase_if(spec.mounts,
                  [](const SpecMount& mount) { return mount.destination.rfind("/dev", 0) == 0; });
    spec.mounts.push_back(SpecMount{"/dev", "bind", fake, {"rbind"}});
    spec.linux_.masked_paths.clear();
    spec.process.terminal = true;
    EXPECT_THAT(Container::Create(OptionsFor(*bundle_, std::move(spec))).status().message(),
                HasSubstr("open a terminal in /dev/pts"))
        << kind;
  }
}

TEST_F(AttackMountsTest, ProcAndSysThatAreLinksAreRefused) {
  for (const char* name : {"/proc", "/sys"}) {
    ASSERT_EQ(::symlink("/bin", (bundle_->root() + name).c_str()), 0);
    EXPECT_THAT(Failure(Shell("true")).message(), HasSubstr("the target is a symbolic link"));
    ASSERT_EQ(::unlink((bundle_->root() + name).c_str()), 0);
  }
}

}  // namespace
}  // namespace gantry::runtime
