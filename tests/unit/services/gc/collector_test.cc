#include "services/gc/collector.h"

#include <gmock/gmock.h>

#include "tests/unit/services/gc/fixture.h"

namespace gantry::gc {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

TEST_F(CollectionTest, WhatNothingRefersToGoesRecordAndFile) {
  const std::string blob = Blob("alone");
  Snapshot("s");
  EXPECT_EQ(Collect(), 2u);
  EXPECT_FALSE(HasBlob(blob));
  EXPECT_FALSE(HasSnapshot("s"));
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(SnapshotDirectories(), 0u);
  EXPECT_THAT(removed_, UnorderedElementsAre("ns blobs " + blob, "ns snapshots/overlayfs s"));
  EXPECT_EQ(Collect(), 0u);
}

TEST_F(CollectionTest, AnImageHoldsItsTargetAndWhatThatsLabelsReferTo) {
  const std::string layer = Blob("layer");
  Snapshot("base");
  Snapshot("top", "base");
  const std::string config = Blob("config", {{"containerd.io/gc.ref.snapshot.overlayfs", "top"}});
  const std::string manifest = Blob("manifest", {{"containerd.io/gc.ref.content.0", config},
                                                 {"containerd.io/gc.ref.content.l.0", layer}});
  Image("image", manifest);
  EXPECT_EQ(Collect(), 0u);
  ASSERT_TRUE(images_->Delete("ns", "image", std::nullopt).ok());
  EXPECT_EQ(Collect(), 5u);
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(SnapshotDirectories(), 0u);
}

TEST_F(CollectionTest, LabelsReferWithAndWithoutNames) {
  const std::string root = Blob("root");
  const std::string plain = Blob("plain");
  const std::string dotted = Blob("dotted");
  const std::string slashed = Blob("slashed");
  const std::string similar = Blob("similar");
  const std::string tagged = Blob("tagged");
  Snapshot("named");
  Snapshot("other");
  Image("tag", tagged, {{"containerd.io/gc.expire", AnHourAgo()}});
  Image("image", root,
        {{"containerd.io/gc.ref.content", plain},
         {"containerd.io/gc.ref.content.x", dotted},
         {"containerd.io/gc.ref.content/y", slashed},
         {"containerd.io/gc.ref.contents", similar},
         {"containerd.io/gc.ref.image.a", "tag"},
         {"containerd.io/gc.ref.snapshot.overlayfs/a", "named"},
         {"containerd.io/gc.ref.snapshot.unknown", "other"},
         {"containerd.io/gc.ref.content.nonsense", "no digest"},
         {"containerd.io/gc.ref.content.nul", std::string("\0", 1)},
         {"containerd.io/gc.ref.content.empty", ""}});
  EXPECT_EQ(Collect(), 2u);
  for (const std::string& kept : {root, plain, dotted, slashed, tagged}) EXPECT_TRUE(HasBlob(kept));
  EXPECT_FALSE(HasBlob(similar));
  EXPECT_TRUE(HasSnapshot("named"));
  EXPECT_FALSE(HasSnapshot("other"));
}

TEST_F(CollectionTest, BackReferencesHoldTheChildAsLongAsItsOwner) {
  const std::string target = Blob("target");
  Image("image", target);
  Snapshot("layer", "", {{"containerd.io/gc.bref.content.x", target}});
  const std::string by_image = Blob("by image", {{"containerd.io/gc.bref.image", "image"}});
  const std::string by_snapshot =
      Blob("by snapshot", {{"containerd.io/gc.bref.snapshot.overlayfs", "layer"}});
  Container("c", "");
  const std::string by_container = Blob("by container", {{"containerd.io/gc.bref.container", "c"}});
  const std::string by_none = Blob("by none", {{"containerd.io/gc.bref.image", "missing"}});
  EXPECT_EQ(Collect(), 1u);
  EXPECT_FALSE(HasBlob(by_none));
  EXPECT_TRUE(HasBlob(by_image) && HasBlob(by_snapshot) && HasBlob(by_container));
  ASSERT_TRUE(images_->Delete("ns", "image", std::nullopt).ok());
  ASSERT_TRUE(containers_->Delete("ns", "c").ok());
  EXPECT_EQ(Collect(), 5u);
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(CollectionTest, AContainerHoldsItsSnapshotAndWhatItsLabelsReferTo) {
  Snapshot("base");
  Snapshot("rw", "base");
  const std::string checkpoint = Blob("checkpoint");
  Container("c", "rw", {{"containerd.io/gc.ref.content", checkpoint}});
  EXPECT_EQ(Collect(), 0u);
  ASSERT_TRUE(containers_->Delete("ns", "c").ok());
  EXPECT_EQ(Collect(), 3u);
}

TEST_F(CollectionTest, RootAndExpiryLabelsHoldContentAndSnapshots) {
  const std::string root = Blob("root", {{"containerd.io/gc.root", "any"}});
  const std::string fresh = Blob("fresh", {{"containerd.io/gc.expire", InOneHour()}});
  const std::string stale = Blob("stale", {{"containerd.io/gc.expire", AnHourAgo()}});
  const std::string unreadable = Blob("unreadable", {{"containerd.io/gc.expire", "soon"}});
  Snapshot("s", "", {{"containerd.io/gc.root", "2026"}});
  Snapshot("f", "", {{"containerd.io/gc.expire", InOneHour()}});
  EXPECT_EQ(Collect(), 2u);
  EXPECT_TRUE(HasBlob(root) && HasBlob(fresh) && HasSnapshot("s") && HasSnapshot("f"));
  EXPECT_FALSE(HasBlob(stale) || HasBlob(unreadable));
}

TEST_F(CollectionTest, AnImageGoesWhenItHasExpiredUnlessSomethingRefersToIt) {
  const std::string one = Blob("one");
  const std::string two = Blob("two");
  const std::string three = Blob("three");
  Image("past", one, {{"containerd.io/gc.expire", AnHourAgo()}});
  Image("future", two, {{"containerd.io/gc.expire", InOneHour()}});
  Image("unreadable", three, {{"containerd.io/gc.expire", "x"}});
  EXPECT_EQ(Collect(), 2u);
  EXPECT_FALSE(HasImage("past") || HasBlob(one));
  EXPECT_TRUE(HasImage("future") && HasBlob(two) && HasImage("unreadable") && HasBlob(three));
  // The record before what it holds, so that no reader finds an image without its content.
  EXPECT_THAT(removed_, ElementsAre("ns images past", "ns blobs " + one));
}

TEST_F(CollectionTest, ALeaseHoldsWhatItListsAndWhatThatRefersTo) {
  Lease("l");
  const std::string layer = Blob("layer");
  const std::string manifest = Blob("manifest", {{"containerd.io/gc.ref.content", layer}});
  const std::string tagged = Blob("tagged");
  Image("tag", tagged, {{"containerd.io/gc.expire", AnHourAgo()}});
  Snapshot("base");
  Snapshot("top", "base", {{"containerd.io/gc.ref.content", layer}});
  Hold("l", "content", manifest);
  Hold("l", "snapshots/overlayfs", "top");
  Hold("l", "images", "tag");
  Hold("l", "snapshots/none", "nothing");
  EXPECT_EQ(Collect(), 0u);
  ASSERT_TRUE(leases_->Delete("ns", "l").ok());
  EXPECT_EQ(Collect(), 6u);
}

TEST_F(CollectionTest, AFlatLeaseHoldsWhatItListsAndParentsAndTargetsOnly) {
  Lease("l", {{"containerd.io/gc.flat", ""}});
  const std::string layer = Blob("layer");
  const std::string manifest = Blob("manifest", {{"containerd.io/gc.ref.content", layer}});
  const std::string tagged = Blob("tagged", {{"containerd.io/gc.ref.content", layer}});
  const std::string beside = Blob("beside");
  Image("tag", tagged,
        {{"containerd.io/gc.expire", AnHourAgo()}, {"containerd.io/gc.ref.content", beside}});
  Snapshot("base");
  Snapshot("top", "base", {{"containerd.io/gc.ref.content", layer}});
  Hold("l", "content", manifest);
  Hold("l", "snapshots/overlayfs", "top");
  Hold("l", "images", "tag");
  EXPECT_EQ(Collect(), 2u);
  EXPECT_TRUE(HasBlob(manifest) && HasBlob(tagged) && HasImage("tag"));
  EXPECT_TRUE(HasSnapshot("top") && HasSnapshot("base"));
  EXPECT_FALSE(HasBlob(layer) || HasBlob(beside));
}

TEST_F(CollectionTest, WhatOneLeaseHoldsFlatAnotherMayHoldWhole) {
  Lease("a-flat", {{"containerd.io/gc.flat", ""}});
  Lease("b-whole");
  Lease("c-flat", {{"containerd.io/gc.flat", ""}});
  const std::string layer = Blob("layer");
  const std::string manifest = Blob("manifest", {{"containerd.io/gc.ref.content", layer}});
  for (const char* lease : {"a-flat", "b-whole", "c-flat"}) Hold(lease, "content", manifest);
  EXPECT_EQ(Collect(), 0u);
}

TEST_F(CollectionTest, ALeaseThatHasExpiredGoesWithWhatItHolds) {
  Lease("past", {{"containerd.io/gc.expire", AnHourAgo()}});
  Lease("future", {{"containerd.io/gc.expire", InOneHour()}});
  const std::string one = Blob("one");
  const std::string two = Blob("two");
  Hold("past", "content", one);
  Hold("future", "content", two);
  EXPECT_EQ(Collect(), 2u);
  EXPECT_FALSE(HasLease("past") || HasBlob(one));
  EXPECT_TRUE(HasLease("future") && HasBlob(two));
}

TEST_F(CollectionTest, AnUploadLivesWithItsLeaseOrForADay) {
  Lease("l");
  const auto open = [this](const std::string& ref, const std::string& lease) {
    auto writer = content_->OpenWriter({"ns", lease}, ref, 0, "");
    EXPECT_TRUE(writer.ok() && (*writer)->Write("half").ok());
  };
  open("unleased", "");
  open("leased", "l");
  EXPECT_EQ(Collect(), 0u);
  EXPECT_TRUE(HasIngest("unleased") && HasIngest("leased"));
  ASSERT_TRUE(leases_->Delete("ns", "l").ok());
  EXPECT_EQ(Collect(), 1u);
  EXPECT_TRUE(HasIngest("unleased"));
  EXPECT_FALSE(HasIngest("leased"));
  EXPECT_EQ(IngestDirectories(), 1u);
}

TEST_F(CollectionTest, AnUploadThatHasAWriterStays) {
  Lease("l");
  content_->OpenWriter({"ns", "l"}, "r", 0, "").IgnoreError();
  auto writer = content_->OpenWriter({"ns", "l"}, "r", 0, "");
  ASSERT_TRUE((*writer)->Write("half").ok());
  ASSERT_TRUE(leases_->Delete("ns", "l").ok());
  EXPECT_EQ(Collect(), 0u);
  EXPECT_TRUE((*writer)->Write(" and half").ok());
  writer->reset();
  EXPECT_EQ(Collect(), 1u);
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(CollectionTest, AFileStaysWhileAnyNamespaceHasARecordOfIt) {
  const std::string blob = Blob("shared");
  Blob("shared", {{"containerd.io/gc.root", ""}}, {"two", ""});
  EXPECT_EQ(Collect(), 1u);
  EXPECT_FALSE(HasBlob(blob, "ns"));
  EXPECT_TRUE(HasBlob(blob, "two"));
}

TEST_F(CollectionTest, LabelsReferInTheirOwnNamespaceOnly) {
  const std::string blob = Blob("x");
  Blob("x", {}, {"two", ""});
  Image("image", blob, {}, "two");
  EXPECT_EQ(Collect(), 1u);
  EXPECT_FALSE(HasBlob(blob, "ns"));
  EXPECT_TRUE(HasBlob(blob, "two"));
}

TEST_F(CollectionTest, TheBytesOfDeletedContentGoAtTheNextCollection) {
  const std::string blob = Blob("x", {{"containerd.io/gc.root", ""}});
  EXPECT_EQ(Collect(), 0u);
  ASSERT_TRUE(content_->Delete({"ns", ""}, *Digest::Parse(blob)).ok());
  EXPECT_EQ(BlobFiles(), 1u);
  Collect();
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(CollectionTest, WhoDoesNotKnowAllReferencesOnlyRemovesWhatClientsDeleted) {
  const std::string kept = Blob("kept");
  const std::string deleted = Blob("deleted");
  ASSERT_TRUE(content_->Delete({"ns", ""}, *Digest::Parse(deleted)).ok());
  Collector alone(*store_, content_->collectibles(), Scope::kFilesOfDeleted, nullptr);
  EXPECT_EQ(alone.Collect()->removed, 0u);
  EXPECT_TRUE(HasBlob(kept));
  EXPECT_EQ(BlobFiles(), 1u);
}

TEST_F(CollectionTest, FilesThatACrashLeftWithoutARecordGoAtTheFirstCollection) {
  const std::string kept = Blob("kept", {{"containerd.io/gc.root", ""}});
  const std::string path = ContentPath() + "/blobs/sha256/" + std::string(Sha256("lost").hex());
  ASSERT_TRUE(WriteFileAtomic(path, "lost", 0444, Durability::kNotDurable).ok());
  Reopen();
  Collect();
  EXPECT_EQ(BlobFiles(), 1u);
  EXPECT_TRUE(HasBlob(kept));
}

TEST_F(CollectionTest, AFileThatIsAboutToBeRecordedStays) {
  const std::string blob = Blob("x", {{"containerd.io/gc.root", ""}});
  // A writer of another namespace stands for it.
  auto writer = content_->OpenWriter({"two", ""}, "r", 0, blob);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(content_->Delete({"ns", ""}, *Digest::Parse(blob)).ok());
  Collect();
  ASSERT_TRUE((*writer)->Commit(0, blob, {{"containerd.io/gc.root", ""}}).ok());
  EXPECT_TRUE(HasBlob(blob, "two"));
  // And goes after all if it was not.
  writer = content_->OpenWriter({"three", ""}, "r", 0, blob);
  ASSERT_TRUE(content_->Delete({"two", ""}, *Digest::Parse(blob)).ok());
  Collect();
  EXPECT_EQ(BlobFiles(), 1u);
  writer->reset();
  Collect();
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(CollectionTest, ALongChainOfSnapshotsGoesInOneCollectionWhateverTheNames) {
  std::string parent;
  for (int i = 0; i < 40; ++i) {
    // Neither names in order nor against it.
    const std::string name = Sha256(absl::StrCat(i)).text();
    Snapshot(name, parent);
    parent = name;
  }
  EXPECT_EQ(Collect(), 40u);
  EXPECT_EQ(SnapshotDirectories(), 0u);
}

TEST_F(CollectionTest, MoreThanOneTransactionIsSwept) {
  ASSERT_TRUE(store_
                  ->Update([](metadata::Writer& writer) -> absl::Status {
                    for (int i = 0; i < 1500; ++i) {
                      const std::string digest = Sha256(absl::StrCat(i)).text();
                      if (auto put = writer.Put(kContentBucket, "ns", digest, ""); !put.ok())
                        return put;
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(Collect(), 1500u);
}

}  // namespace
}  // namespace gantry::gc
