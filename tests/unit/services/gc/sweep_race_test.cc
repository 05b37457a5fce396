#include <functional>

#include "services/gc/collector.h"
#include "tests/unit/services/gc/fixture.h"

namespace gantry::gc {
namespace {

// A kind of record whose only one is looked at when all others have been: what a request does while
// a collection runs is done there, after the snapshot was taken and before anything is swept.
class Interruption final : public Collectible {
 public:
  explicit Interruption(std::function<void()> act) : act_(std::move(act)) {}
  [[nodiscard]] std::string bucket() const override { return "~last"; }
  [[nodiscard]] absl::StatusOr<Links> LinksOf(const metadata::Reader&, const Node&,
                                              absl::string_view, absl::Time) const override {
    if (const auto act = std::exchange(act_, nullptr)) act();
    return Links{.root = true};
  }

 private:
  mutable std::function<void()> act_;
};

class SweepRaceTest : public CollectionTest {
 protected:
  // A collection with `act` in its middle. The number of records that went.
  size_t CollectWhile(const std::function<void()>& act) {
    EXPECT_TRUE(
        store_->Update([](metadata::Writer& w) { return w.Put("~last", "ns", "x", ""); }).ok());
    bool done = false;
    Interruption interruption([&] {
      act();
      done = true;
    });
    std::vector<Collectible*> kinds = {containers_.get(), images_.get(), leases_.get(),
                                       &snapshotter_->collectible(), &interruption};
    for (Collectible* kind : content_->collectibles()) kinds.push_back(kind);
    const auto stats = Collector(*store_, kinds, Scope::kRecords, nullptr).Collect();
    EXPECT_TRUE(stats.ok()) << stats.status();
    EXPECT_TRUE(done);
    return stats.ok() ? stats->removed : 0;
  }
};

TEST_F(SweepRaceTest, AnImageMadeMeanwhileKeepsAllItRefersTo) {
  const std::string layer = Blob("layer");
  Snapshot("s");
  const std::string manifest = Blob("manifest", {{"containerd.io/gc.ref.content", layer},
                                                 {"containerd.io/gc.ref.snapshot.overlayfs", "s"}});
  const std::string garbage = Blob("garbage");
  EXPECT_EQ(CollectWhile([&] { Image("image", manifest); }), 1u);
  EXPECT_TRUE(HasBlob(layer) && HasBlob(manifest) && HasSnapshot("s"));
  EXPECT_FALSE(HasBlob(garbage));
  EXPECT_EQ(Collect(), 0u);
}

TEST_F(SweepRaceTest, AnImageMovedMeanwhileKeepsItsNewTarget) {
  const std::string before = Blob("before");
  const std::string after = Blob("after");
  Image("image", before);
  EXPECT_EQ(CollectWhile([&] {
              images::Image image;
              image.name = "image";
              image.target = {"application/x", after, 1, {}};
              EXPECT_TRUE(images_->Update("ns", image, {"target"}, std::nullopt).ok());
            }),
            0u);
  EXPECT_TRUE(HasBlob(after));
  EXPECT_EQ(Collect(), 1u) << "what it pointed to goes by the next";
}

TEST_F(SweepRaceTest, ALabelSetMeanwhileOnLiveContentKeepsWhatItRefersTo) {
  const std::string referred = Blob("referred");
  const std::string root = Blob("root", {{"containerd.io/gc.root", ""}});
  EXPECT_EQ(
      CollectWhile([&] {
        content::BlobInfo info;
        info.digest = *Digest::Parse(root);
        info.labels = {{"containerd.io/gc.ref.content", referred}};
        EXPECT_TRUE(content_->Update("ns", info, {"labels.containerd.io/gc.ref.content"}).ok());
      }),
      0u);
  EXPECT_TRUE(HasBlob(referred));
}

TEST_F(SweepRaceTest, WhatALeaseIsGivenMeanwhileStays) {
  Lease("l");
  const std::string layer = Blob("layer");
  const std::string manifest = Blob("manifest", {{"containerd.io/gc.ref.content", layer}});
  EXPECT_EQ(CollectWhile([&] { Hold("l", "content", manifest); }), 0u);
  EXPECT_TRUE(HasBlob(layer));
}

TEST_F(SweepRaceTest, ContentFoundToExistMeanwhileUnderALeaseStays) {
  Lease("l");
  const std::string blob = Blob("x");
  EXPECT_EQ(CollectWhile([&] {
              EXPECT_TRUE(absl::IsAlreadyExists(
                  content_->OpenWriter({"ns", "l"}, "again", 0, blob).status()));
            }),
            0u);
  EXPECT_TRUE(HasBlob(blob));
}

TEST_F(SweepRaceTest, ASnapshotFoundToExistMeanwhileUnderALeaseStays) {
  Lease("l");
  Snapshot("chain");
  EXPECT_EQ(
      CollectWhile([&] {
        EXPECT_TRUE(absl::IsAlreadyExists(
            snapshotter_->Prepare({"ns", "l"}, "key", "", {{"containerd.io/snapshot.ref", "chain"}})
                .status()));
      }),
      0u);
  EXPECT_TRUE(HasSnapshot("chain"));
}

TEST_F(SweepRaceTest, TheParentsOfASnapshotPreparedMeanwhileStay) {
  Snapshot("base");
  Snapshot("top", "base");
  Snapshot("other");
  EXPECT_EQ(CollectWhile([&] {
              EXPECT_TRUE(snapshotter_->Prepare({"ns", ""}, "active", "top", {}).ok());
            }),
            1u);
  EXPECT_TRUE(HasSnapshot("base") && HasSnapshot("top") && HasSnapshot("active"));
}

TEST_F(SweepRaceTest, AContainerMadeMeanwhileKeepsItsSnapshot) {
  Snapshot("base");
  Snapshot("rw", "base");
  EXPECT_EQ(CollectWhile([&] { Container("c", "rw"); }), 0u);
  EXPECT_TRUE(HasSnapshot("base"));
}

TEST_F(SweepRaceTest, AnOwnerMadeMeanwhileKeepsWhatRefersBackToIt) {
  const std::string owner = Blob("owner");
  const std::string child = Blob("child", {{"containerd.io/gc.bref.content", owner}});
  EXPECT_EQ(CollectWhile([&] { Image("image", owner); }), 0u);
  EXPECT_TRUE(HasBlob(child));
}

TEST_F(SweepRaceTest, ContentDeletedAndWrittenAgainMeanwhileStaysWithItsFile) {
  const std::string blob = Blob("x");
  EXPECT_EQ(CollectWhile([&] {
              EXPECT_TRUE(content_->Delete({"ns", ""}, *Digest::Parse(blob)).ok());
              Blob("x");
            }),
            0u);
  EXPECT_TRUE(HasBlob(blob));
}

TEST_F(SweepRaceTest, WhatWasDeletedMeanwhileIsNoTrouble) {
  Snapshot("base");
  Snapshot("top", "base");
  const std::string blob = Blob("x");
  // The parent was touched by the removal of its child, and so waits for the next collection.
  EXPECT_EQ(CollectWhile([&] {
              EXPECT_TRUE(content_->Delete({"ns", ""}, *Digest::Parse(blob)).ok());
              EXPECT_TRUE(snapshotter_->Remove({"ns", ""}, "top").ok());
            }),
            0u);
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(Collect(), 1u);
  EXPECT_EQ(SnapshotDirectories(), 0u);
}

}  // namespace
}  // namespace gantry::gc
