#include "services/content/content_client.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <thread>

#include "services/content/content_service.h"
#include "tests/unit/services/content/fixture.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::content {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

// Content of another daemon, which leaves namespaces to its callers, seen from this one.
class ContentClientTest : public ContentStoreTest {
 protected:
  void SetUp() override {
    ContentStoreTest::SetUp();
    service_ =
        std::make_unique<ContentService>(*content_, executor_, events_, rpc::Caller::kDaemon);
    server_ = std::make_unique<rpc::GrpcServer>(*service_);
    client_ = std::make_unique<ContentClient>(server_->Channel(), dir_.path());
  }
  std::string ReadOver(const Digest& digest) {
    const auto blob = client_->Open("ns", digest);
    EXPECT_TRUE(blob.ok()) << blob.status();
    if (!blob.ok()) return "";
    std::string bytes((*blob)->size(), '\0');
    EXPECT_EQ(::pread((*blob)->fd(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    return bytes;
  }

  Executor executor_{4};
  rpc::RecordingPublisher events_;
  std::unique_ptr<ContentService> service_;
  std::unique_ptr<rpc::GrpcServer> server_;
  std::unique_ptr<ContentClient> client_;
};

TEST_F(ContentClientTest, ABlobOfManyChunksIsReadWhole) {
  std::string data;
  for (int i = 0; i < 500000; ++i) absl::StrAppend(&data, i, ",");
  const Digest digest = Ingest(data);
  EXPECT_EQ(ReadOver(digest), data);
  EXPECT_EQ(ListDirectory(dir_.path())->size(), 2u) << "nothing but the store is left behind";
}

TEST_F(ContentClientTest, WhatIsNotThereAndWhatIsDamagedIsSaid) {
  const auto missing = client_->Open("ns", Sha256("never"));
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("fetch content sha256:"));

  const Digest digest = Ingest("abcdef");
  ASSERT_EQ(::chmod(BlobPath(digest).c_str(), 0644), 0);
  const UniqueFd file(::open(BlobPath(digest).c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(file.get(), "x", 1, 2), 1);
  EXPECT_EQ(client_->Open("ns", digest).status().code(), StatusCode::kDataLoss);
}

TEST_F(ContentClientTest, ABlobIsMadeWithItsLabels) {
  auto maker = client_->Make(kNs, "made");
  ASSERT_TRUE(maker.ok()) << maker.status();
  ASSERT_TRUE((*maker)->Write(std::string(3 << 20, 'a')).ok());
  ASSERT_TRUE((*maker)->Write("b").ok());
  const auto info = (*maker)->Commit({{"k", "v"}});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->size_bytes, (3 << 20) + 1);
  EXPECT_EQ(info->digest, Sha256(std::string(3 << 20, 'a') + "b"));
  const auto there = content_->Info("ns", info->digest);
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(there->labels, (Labels{{"k", "v"}}));
}

TEST_F(ContentClientTest, ABlobThatIsThereAlreadyGetsTheLabelsBesideItsOwn) {
  const Digest digest = Ingest("known");
  BlobInfo own;
  own.digest = digest;
  own.labels = {{"own", "1"}};
  ASSERT_TRUE(content_->Update("ns", own, {}).ok());
  auto maker = client_->Make(kNs, "again");
  ASSERT_TRUE(maker.ok()) << maker.status();
  ASSERT_TRUE((*maker)->Write("known").ok());
  const auto info = (*maker)->Commit({{"added", "2"}});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->digest, digest);
  EXPECT_EQ(content_->Info("ns", digest)->labels, (Labels{{"added", "2"}, {"own", "1"}}));
}

TEST_F(ContentClientTest, AnUploadLeftUnfinishedIsDroppedThere) {
  {
    auto maker = client_->Make(kNs, "left");
    ASSERT_TRUE(maker.ok()) << maker.status();
    ASSERT_TRUE((*maker)->Write("half").ok());
    EXPECT_EQ(IngestDirectories(), 1u);
  }
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(ContentClientTest, CancelEndsWhatWaitsAndRefusesWhatComes) {
  client_->CancelAll();
  EXPECT_EQ(client_->Open("ns", Sha256("x")).status().code(), StatusCode::kCancelled);
}

TEST_F(ContentClientTest, AnotherProcessThatIsNotThereIsUnavailable) {
  ContentClient nobody(rpc::DialUnix(dir_.path() + "/nobody"), dir_.path());
  const auto status = nobody.Open("ns", Sha256("x")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nobody"));
}

TEST_F(ContentClientTest, WhatADaemonMakesWithoutANamespaceIsSeenInAll) {
  const Digest shared = Ingest("shared", Scope{"", ""});
  EXPECT_EQ(ReadOver(shared), "shared");
  const Digest own = Ingest("own", Scope{"ns", ""});
  Ingest("own", Scope{"other", ""});
  EXPECT_EQ(content_->List("ns", {})->size(), 2u);
  EXPECT_EQ(content_->List("other", {})->size(), 2u);
  EXPECT_EQ(content_->List("third", {})->size(), 1u);
  EXPECT_EQ(content_->List("", {})->size(), 2u) << "all, each once";
  // A collection names no namespace: the blob goes from all of them.
  ASSERT_TRUE(content_->Delete(Scope{"", ""}, own).ok());
  EXPECT_EQ(content_->Info("ns", own).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(content_->Info("other", own).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(content_->Delete(Scope{"", ""}, own).code(), StatusCode::kNotFound);
}

TEST_F(ContentClientTest, AnUploadIsFoundByItsRefAloneAndAborted) {
  { const auto writer = Writer("default/1/layer", 0, "", Scope{"ns", ""}); }
  { const auto writer = Writer("default/2/layer", 0, "", Scope{"", ""}); }
  EXPECT_EQ(content_->ListStatuses("", {})->size(), 2u);
  EXPECT_TRUE(content_->Status("", "default/1/layer").ok());
  EXPECT_TRUE(content_->Abort("", "default/1/layer").ok());
  EXPECT_TRUE(content_->Abort("", "default/2/layer").ok());
  EXPECT_EQ(content_->Abort("", "default/2/layer").code(), StatusCode::kNotFound);
  EXPECT_EQ(IngestDirectories(), 0u);
}

}  // namespace
}  // namespace gantry::content
