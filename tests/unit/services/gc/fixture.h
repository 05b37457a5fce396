#ifndef GANTRY_TESTS_UNIT_SERVICES_GC_FIXTURE_H_
#define GANTRY_TESTS_UNIT_SERVICES_GC_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "base/time.h"
#include "services/containers/containers.h"
#include "services/content/content_store.h"
#include "services/gc/collector.h"
#include "services/images/images.h"
#include "services/leases/leases.h"
#include "services/snapshots/overlay_snapshotter.h"

namespace gantry::gc {

// Every kind of record over one store, as the daemon puts them together, and the shortest ways to
// make some. All in the namespace "ns" unless said otherwise.
class CollectionTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  // As a restart of the daemon does.
  void Reopen(const content::ContentOptions& options = {}) {
    collector_.reset();
    leases_.reset();
    images_.reset();
    containers_.reset();
    snapshotter_.reset();
    content_.reset();
    store_.reset();
    store_ = *metadata::Store::Open(dir_.path() + "/meta", {size_t{256} << 20});
    content_ = *content::ContentStore::Open(ContentPath(), *store_, options);
    snapshotter_ = *snapshots::OverlaySnapshotter::Open(SnapshotPath(), *store_);
    containers_ = std::make_unique<containers::Containers>(*store_);
    images_ = std::make_unique<images::Images>(*store_);
    leases_ = std::make_unique<leases::Leases>(*store_);
    std::vector<Collectible*> kinds = {containers_.get(), images_.get(), leases_.get(),
                                       &snapshotter_->collectible()};
    for (Collectible* kind : content_->collectibles()) kinds.push_back(kind);
    collector_ = std::make_unique<Collector>(
        *store_, kinds, Scope::kRecords, [this](const std::vector<Node>& gone) {
          for (const Node& node : gone) {
            removed_.push_back(absl::StrCat(node.ns, " ", node.bucket, " ", node.name));
          }
        });
  }

  [[nodiscard]] std::string ContentPath() const { return dir_.path() + "/content"; }
  [[nodiscard]] std::string SnapshotPath() const { return dir_.path() + "/snapshots"; }

  // The number of records that went.
  size_t Collect() {
    const absl::StatusOr<Stats> stats = collector_->Collect();
    EXPECT_TRUE(stats.ok()) << stats.status();
    return stats.ok() ? stats->removed : 0;
  }

  std::string Blob(const std::string& data, const Labels& labels = {},
                   const content::Scope& scope = {"ns", ""}) {
    const std::string digest = Sha256(data).text();
    auto writer = content_->OpenWriter(scope, "ref-" + digest, 0, "");
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE((*writer)->Write(data).ok());
    const auto committed = (*writer)->Commit(0, digest, labels);
    EXPECT_TRUE(committed.ok()) << committed.status();
    return digest;
  }
  void Image(const std::string& name, const std::string& digest, const Labels& labels = {},
             const std::string& ns = "ns") {
    images::Image image;
    image.name = name;
    image.labels = labels;
    image.target = {"application/x", digest, 1, {}};
    const auto created = images_->Create(ns, image, std::nullopt);
    EXPECT_TRUE(created.ok()) << created.status();
  }
  void Lease(const std::string& id, const Labels& labels = {}) {
    EXPECT_TRUE(leases_->Create("ns", {.id = id, .labels = labels}).ok());
  }
  void Hold(const std::string& lease, const std::string& type, const std::string& id) {
    EXPECT_TRUE(leases_->AddResource("ns", lease, {type, id}).ok());
  }
  void Snapshot(const std::string& name, const std::string& parent = "",
                const Labels& labels = {}) {
    const snapshots::Scope scope = {"ns", ""};
    EXPECT_TRUE(snapshotter_->Prepare(scope, "active-" + name, parent, {}).ok());
    const absl::Status committed = snapshotter_->Commit(scope, name, "active-" + name, labels);
    EXPECT_TRUE(committed.ok()) << committed;
  }
  void Container(const std::string& id, const std::string& snapshot, const Labels& labels = {}) {
    containers::Container container;
    container.id = id;
    container.labels = labels;
    container.runtime_name = "io.containerd.runc.v2";
    container.spec = {"x", "{}"};
    container.snapshotter = snapshot.empty() ? "" : "overlayfs";
    container.snapshot_key = snapshot;
    const auto created = containers_->Create("ns", container);
    EXPECT_TRUE(created.ok()) << created.status();
  }

  bool HasBlob(const std::string& digest, const std::string& ns = "ns") {
    const auto blob = content_->Open(ns, *Digest::Parse(digest));
    EXPECT_TRUE(blob.ok() || absl::IsNotFound(blob.status())) << blob.status();
    return blob.ok();
  }
  bool HasSnapshot(const std::string& name) { return snapshotter_->Stat({"ns", ""}, name).ok(); }
  bool HasImage(const std::string& name) { return images_->Get("ns", name).ok(); }
  bool HasLease(const std::string& id) { return leases_->ListResources("ns", id).ok(); }
  bool HasIngest(const std::string& ref) { return content_->Status("ns", ref).ok(); }
  size_t BlobFiles() { return ListDirectory(ContentPath() + "/blobs/sha256")->size(); }
  size_t IngestDirectories() { return ListDirectory(ContentPath() + "/ingest")->size(); }
  size_t SnapshotDirectories() {
    EXPECT_TRUE(snapshotter_->Cleanup().ok());
    return ListDirectory(SnapshotPath())->size();
  }
  static std::string InOneHour() { return FormatRfc3339(absl::Now() + absl::Hours(1)); }
  static std::string AnHourAgo() { return FormatRfc3339(absl::Now() - absl::Hours(1)); }

  TempDir dir_ = *TempDir::Create("gantry-gc-test-");
  std::unique_ptr<metadata::Store> store_;
  std::unique_ptr<content::ContentStore> content_;
  std::unique_ptr<snapshots::OverlaySnapshotter> snapshotter_;
  std::unique_ptr<containers::Containers> containers_;
  std::unique_ptr<images::Images> images_;
  std::unique_ptr<leases::Leases> leases_;
  std::unique_ptr<Collector> collector_;
  std::vector<std::string> removed_;
};

}  // namespace gantry::gc

#endif  // GANTRY_TESTS_UNIT_SERVICES_GC_FIXTURE_H_
