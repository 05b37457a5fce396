// A real gantryd on a file system without a byte left, at every step of imports, deletes and
// collections.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <iostream>

#include "base/file.h"
#include "tests/fault/scenario.h"

namespace gantry::test {
namespace {

using testing::IsEmpty;

class DiskFullTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
    Stop();
    // The gantryds to come are children, and so see what is mounted here and nowhere else.
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount("", "/", "", MS_REC | MS_PRIVATE, ""), 0);
    ASSERT_EQ(::mount("tmpfs", daemon_->root().c_str(), "tmpfs", 0, "size=6m"), 0);
    const absl::Status restarted = daemon_->Restart();
    ASSERT_TRUE(restarted.ok()) << restarted;
  }
  void TearDown() override {
    Stop();
    EXPECT_EQ(::umount2(daemon_->root().c_str(), MNT_DETACH), 0);
  }
  void Stop() {
    daemon_->Signal(SIGTERM);
    EXPECT_TRUE(daemon_->Wait().ok());
  }

  [[nodiscard]] std::string Filler() const { return daemon_->root() + "/filler"; }
  void Fill() {
    const auto file = OpenFile(Filler(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_TRUE(file.ok());
    const std::string page(4096, 'f');
    while (::write(file->get(), page.data(), page.size()) > 0) {
    }
    struct statvfs room {};
    ASSERT_EQ(::statvfs(daemon_->root().c_str(), &room), 0);
    ASSERT_EQ(room.f_bavail, 0u);
  }
  void Free() { ASSERT_EQ(::unlink(Filler().c_str()), 0); }

  std::unique_ptr<DaemonProcess> daemon_;
};

TEST_F(DiskFullTest, EachStepOnAFullDiskIsDoneOrToldAsSuchAndGoesThroughWhenThereIsRoom) {
  Scenario scenario(*daemon_);
  int refused = 0;
  int done = 0;
  for (const Scenario::Step& step : scenario.Steps()) {
    SCOPED_TRACE(step.name);
    Fill();
    const absl::Status status = step.run();
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
    ++(status.ok() ? done : refused);
    EXPECT_THAT(scenario.Problems(), IsEmpty()) << "with the disk full";
    Free();
    EXPECT_THAT(scenario.Problems(), IsEmpty());
    const absl::Status again = step.run();
    EXPECT_TRUE(again.ok()) << again;
  }
  EXPECT_GT(refused, 0) << "the disk was never full";
  std::cout << done << " steps done on a full disk, " << refused << " refused\n";
  EXPECT_THAT(scenario.Remains(daemon_->root()), IsEmpty());
}

TEST_F(DiskFullTest, ImagesAreDeletedAndCollectedOnAFullDiskAndGiveTheirSpaceBack) {
  Scenario scenario(*daemon_);
  for (const Scenario::Step& step : scenario.Steps()) ASSERT_TRUE(step.run().ok()) << step.name;
  Fill();
  EXPECT_THAT(scenario.Remains(daemon_->root()), IsEmpty());
  struct statvfs room {};
  ASSERT_EQ(::statvfs(daemon_->root().c_str(), &room), 0);
  EXPECT_GT(room.f_bavail * room.f_frsize, 60000u);
}

TEST_F(DiskFullTest, ALayerThatDoesNotFitIsToldWithItsEntryAndGivesItsSpaceBack) {
  Scenario scenario(*daemon_);
  const std::string layer = Unpacking::Layer(1 << 20);
  for (const char* name : {"make a lease", "write the layer", "unpack the base"}) {
    ASSERT_TRUE(scenario.Run(name).ok()) << name;
  }
  ASSERT_TRUE(scenario.Write(layer, {}).ok());
  // Half of it fits.
  Fill();
  struct stat filler {};
  ASSERT_EQ(::stat(Filler().c_str(), &filler), 0);
  ASSERT_EQ(::truncate(Filler().c_str(), filler.st_size - (512 << 10)), 0);
  Unpacking& client = scenario.unpacking();
  const absl::Status status = client.Unpack("large", "base", layer);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("layer entry \"etc/large\""));
  EXPECT_THAT(scenario.Problems(), IsEmpty());
  ASSERT_TRUE(client.Abandon("large").ok());
  ASSERT_TRUE(scenario.CleanUp().ok());
  struct statvfs room {};
  ASSERT_EQ(::statvfs(daemon_->root().c_str(), &room), 0);
  EXPECT_GT(room.f_bavail * room.f_frsize, 400u << 10);
  Free();
  ASSERT_TRUE(client.Unpack("large", "base", layer).ok());
  EXPECT_THAT(client.Problems("large", 1 << 20), IsEmpty());
}

TEST_F(DiskFullTest, GantrydStartsOnAFullDiskWithAllThatItHad) {
  Scenario scenario(*daemon_);
  for (const Scenario::Step& step : scenario.Steps()) ASSERT_TRUE(step.run().ok()) << step.name;
  Fill();
  Stop();
  const absl::Status restarted = daemon_->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  scenario.Connect(*daemon_);
  EXPECT_THAT(scenario.Problems(), IsEmpty());
}

}  // namespace
}  // namespace gantry::test
