#ifndef GANTRY_TESTS_UNIT_SERVICES_CONTENT_FIXTURE_H_
#define GANTRY_TESTS_UNIT_SERVICES_CONTENT_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/file.h"
#include "base/temp_dir.h"
#include "services/content/content_store.h"
#include "services/metadata/lease_resources.h"

namespace gantry::content {

// A content store in a directory of its own, with the shortest ways to fill it.
class ContentStoreTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  // As a restart of the daemon does.
  void Reopen() {
    Close();
    store_ = *metadata::Store::Open(MetadataPath(), {64 << 20});
    content_ = *ContentStore::Open(ContentPath(), *store_);
  }
  void Close() {
    content_.reset();
    store_.reset();
  }
  [[nodiscard]] std::string MetadataPath() const { return dir_.path() + "/meta"; }
  [[nodiscard]] std::string ContentPath() const { return dir_.path() + "/content"; }
  [[nodiscard]] std::string BlobPath(const Digest& digest) const {
    return ContentPath() + "/blobs/" + std::string(digest.algorithm()) + "/" +
           std::string(digest.hex());
  }

  // The writer of `ref`, or a failure.
  std::unique_ptr<ContentWriter> Writer(const std::string& ref, int64_t total = 0,
                                        const std::string& expected = "",
                                        const Scope& scope = kNs) {
    auto writer = content_->OpenWriter(scope, ref, total, expected);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  absl::Status Refusal(const std::string& ref, int64_t total = 0, const std::string& expected = "",
                       const Scope& scope = kNs) {
    return content_->OpenWriter(scope, ref, total, expected).status();
  }
  Digest Ingest(const std::string& data, const Scope& scope = kNs) {
    auto writer = Writer("ingest", 0, "", scope);
    EXPECT_TRUE(writer->Write(data).ok());
    const auto digest = writer->Commit(0, "", {});
    EXPECT_TRUE(digest.ok()) << digest.status();
    return digest.ok() ? *digest : Digest();
  }
  std::string Read(const Digest& digest, const std::string& ns = "ns") {
    auto blob = content_->Open(ns, digest);
    EXPECT_TRUE(blob.ok()) << blob.status();
    return blob.ok() ? ReadFd((*blob)->fd(), 1 << 20, "blob").value_or("") : "";
  }
  // What lies in the directory of uploads.
  size_t IngestDirectories() { return ListDirectory(ContentPath() + "/ingest")->size(); }

  void MakeLease(const std::string& lease) {
    ASSERT_TRUE(store_
                    ->Update([&](metadata::Writer& writer) {
                      return writer.Put("leases", "ns", lease, "a lease");
                    })
                    .ok());
  }
  std::vector<metadata::LeaseResource> HeldBy(const std::string& lease) {
    std::vector<metadata::LeaseResource> held;
    EXPECT_TRUE(store_
                    ->View([&](const metadata::Reader& reader) -> absl::Status {
                      held = *metadata::ResourcesOfLease(reader, "ns", lease);
                      return absl::OkStatus();
                    })
                    .ok());
    return held;
  }

  inline static const Scope kNs = {"ns", ""};
  TempDir dir_ = *TempDir::Create("gantry-content-test-");
  std::unique_ptr<metadata::Store> store_;
  std::unique_ptr<ContentStore> content_;
};

}  // namespace gantry::content

#endif  // GANTRY_TESTS_UNIT_SERVICES_CONTENT_FIXTURE_H_
