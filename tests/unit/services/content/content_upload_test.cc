#include <thread>

#include "services/content/content_store.h"
#include "tests/unit/services/content/fixture.h"

namespace gantry::content {
namespace {

using absl::StatusCode;
using metadata::LeaseResource;
using ContentUploadTest = ContentStoreTest;

TEST_F(ContentUploadTest, AWrongSizeOrDigestIsRefusedAndTheUploadStays) {
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("sixsix").ok());
  EXPECT_EQ(
      writer->Commit(99, "", {}).status(),
      absl::FailedPreconditionError("unexpected commit size 6, expected 99: failed precondition"));
  EXPECT_EQ(writer->Commit(6, Sha256("other").text(), {}).status(),
            absl::FailedPreconditionError("unexpected commit digest " + Sha256("sixsix").text() +
                                          ", expected " + Sha256("other").text() +
                                          ": failed precondition"));
  EXPECT_TRUE(content_->List("ns", {})->empty());
  EXPECT_EQ(*writer->Commit(6, Sha256("sixsix").text(), {}), Sha256("sixsix"));
}

TEST_F(ContentUploadTest, WhatWasRefusedAtItsCommitCanBeResumed) {
  {
    auto writer = Writer("r");
    ASSERT_TRUE(writer->Write("half").ok());
    ASSERT_FALSE(writer->Commit(8, "", {}).ok());
  }
  auto writer = Writer("r");
  EXPECT_EQ(writer->status().offset_bytes, 4);
  ASSERT_TRUE(writer->Write("full").ok());
  EXPECT_EQ(*writer->Commit(8, "", {}), Sha256("halffull"));
}

TEST_F(ContentUploadTest, AnUploadResumesWhereItWasLeftAcrossARestart) {
  const std::string expected = Sha256("halffull").text();
  ASSERT_TRUE(Writer("r", 8, expected)->Write("half").ok());
  const absl::Time started = content_->Status("ns", "r")->started_at;
  Reopen();
  const auto status = content_->Status("ns", "r");
  EXPECT_EQ(status->offset_bytes, 4);
  EXPECT_EQ(status->total_bytes, 8);
  EXPECT_EQ(status->expected, expected);
  EXPECT_EQ(status->started_at, started);
  auto writer = Writer("r");
  EXPECT_EQ(writer->status().offset_bytes, 4);
  EXPECT_EQ(writer->CurrentDigest(), Sha256("half"));
  ASSERT_TRUE(writer->Write("full").ok());
  EXPECT_EQ(*writer->Commit(8, expected, {}), Sha256("halffull"));
}

TEST_F(ContentUploadTest, AnUploadBegunForAnotherTotalStartsOver) {
  ASSERT_TRUE(Writer("size", 10)->Write("old").ok());
  EXPECT_EQ(Writer("size", 7)->status().offset_bytes, 0);
  EXPECT_EQ(content_->Status("ns", "size")->total_bytes, 7);
}

TEST_F(ContentUploadTest, WhatALaterWriterExpectsThrowsNothingAway) {
  ASSERT_TRUE(Writer("r")->Write("half").ok());
  EXPECT_EQ(Writer("r", 10)->status().offset_bytes, 4);
  EXPECT_EQ(Writer("r", 9)->status().offset_bytes, 4);
  EXPECT_EQ(content_->Status("ns", "r")->total_bytes, 0);
  EXPECT_EQ(Writer("r", 8, Sha256("other").text())->status().offset_bytes, 4);
  auto writer = Writer("r", 8, Sha256("halffull").text());
  EXPECT_EQ(content_->Status("ns", "r")->expected, Sha256("halffull").text());
  ASSERT_TRUE(writer->Write("full").ok());
  EXPECT_EQ(*writer->Commit(8, Sha256("halffull").text(), {}), Sha256("halffull"));
}

TEST_F(ContentUploadTest, ARefHasOneWriterAtATime) {
  auto writer = Writer("r");
  EXPECT_EQ(Refusal("r"), absl::UnavailableError("ref r locked: unavailable"));
  EXPECT_TRUE(Refusal("r", 0, "", {"two", ""}).ok()) << "refs belong to their namespace";
  writer.reset();
  EXPECT_TRUE(Refusal("r").ok());
}

TEST_F(ContentUploadTest, WhoWaitsForARefIsToldOnceWhenItsWriterCloses) {
  auto writer = Writer("r");
  int called = 0;
  const auto ready = std::make_shared<const std::function<void()>>([&called] { ++called; });
  const auto gone = std::make_shared<const std::function<void()>>([&called] { called += 100; });
  content_->WhenFree("ns", "r", ready);
  content_->WhenFree("ns", "r", std::make_shared<const std::function<void()>>(*gone));
  EXPECT_EQ(called, 0);
  writer.reset();
  EXPECT_EQ(called, 1);
  content_->WhenFree("ns", "r", ready);
  EXPECT_EQ(called, 2) << "at once where nobody writes";
}

TEST_F(ContentUploadTest, BadArgumentsAreNamedAndLeaveNothingBehind) {
  EXPECT_EQ(Refusal("").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal("r", -1).code(), StatusCode::kInvalidArgument);
  const absl::Status status = Refusal("r", 0, "sha256:short");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("sha256:short"), absl::string_view::npos);
  EXPECT_EQ(Refusal("r", 0, "", {"ns", "no-such-lease"}).code(), StatusCode::kNotFound);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(ContentUploadTest, BadLabelsAreRefusedAtCommitAndTheUploadStays) {
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("x").ok());
  EXPECT_EQ(writer->Commit(0, "", {{"k", std::string(5000, 'v')}}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(content_->Status("ns", "r")->offset_bytes, 1);
  EXPECT_TRUE(writer->Commit(0, "", {{"k", "v"}}).ok());
  EXPECT_EQ(content_->Info("ns", Sha256("x"))->labels, (Labels{{"k", "v"}}));
}

TEST_F(ContentUploadTest, KnownContentIsNotUploadedAgainAndItsUploadIsDropped) {
  ASSERT_TRUE(Writer("r")->Write("x").ok());
  const Digest digest = Ingest("x");
  EXPECT_EQ(Refusal("r", 1, digest.text()),
            absl::AlreadyExistsError("content " + digest.text() + ": already exists"));
  auto writer = Writer("r2");
  ASSERT_TRUE(writer->Write("x").ok());
  EXPECT_EQ(writer->Commit(0, "", {}).status().code(), StatusCode::kAlreadyExists);
  auto learns_late = Writer("r3");
  EXPECT_TRUE(learns_late->DropIfKnown(Sha256("y").text()).ok());
  EXPECT_EQ(learns_late->DropIfKnown(digest.text()).code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(ContentUploadTest, ALeaseHoldsTheUploadAndThenTheContent) {
  MakeLease("l");
  const Digest digest = Sha256("x");
  auto writer = Writer("r", 0, "", {"ns", "l"});
  ASSERT_TRUE(writer->Write("x").ok());
  writer.reset();
  EXPECT_EQ(HeldBy("l"), (std::vector<LeaseResource>{{"ingests", "r"}}));
  writer = Writer("r", 0, "", {"ns", "l"});
  ASSERT_TRUE(writer->Commit(0, "", {}).ok());
  EXPECT_EQ(HeldBy("l"), (std::vector<LeaseResource>{{"content", digest.text()}}));
  ASSERT_TRUE(content_->Delete({"ns", "l"}, digest).ok());
  EXPECT_TRUE(HeldBy("l").empty());
}

TEST_F(ContentUploadTest, AnUploadIsSeenWhileItsFirstWriterHasIt) {
  auto writer = Writer("r", 10, Sha256("0123456789").text());
  ASSERT_TRUE(writer->Write("01234").ok());
  Writer("other", 1).reset();
  const auto status = content_->Status("ns", "r");
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->offset_bytes, 5);
  EXPECT_EQ(status->total_bytes, 10);
  EXPECT_EQ(status->expected, Sha256("0123456789").text());
  EXPECT_EQ(content_->ListStatuses("ns", {})->size(), 2u);
  EXPECT_EQ(content_->ListStatuses("ns", {"ref==r"})->size(), 1u);
  EXPECT_TRUE(content_->ListStatuses("two", {})->empty());
  ASSERT_TRUE(writer->Write("56789").ok());
  ASSERT_TRUE(writer->Commit(10, "", {}).ok());
  EXPECT_TRUE(absl::IsNotFound(content_->Status("ns", "r").status()));
}

TEST_F(ContentUploadTest, OfAnUploadWhoseLeaseIsGoneByItsEndNothingIsKept) {
  MakeLease("l");
  auto writer = Writer("r", 0, "", {"ns", "l"});
  ASSERT_TRUE(writer->Write("x").ok());
  ASSERT_TRUE(store_
                  ->Update([](metadata::Writer& records) {
                    return records.Delete("leases", "ns", "l").status();
                  })
                  .ok());
  writer.reset();
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(ContentUploadTest, ALeaseHoldsContentThatWasThereAlready) {
  const Digest digest = Ingest("x");
  MakeLease("at-open");
  MakeLease("at-commit");
  EXPECT_EQ(Refusal("r", 1, digest.text(), {"ns", "at-open"}).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(HeldBy("at-open"), (std::vector<LeaseResource>{{"content", digest.text()}}));
  auto writer = Writer("r", 0, "", {"ns", "at-commit"});
  ASSERT_TRUE(writer->Write("x").ok());
  ASSERT_EQ(writer->Commit(0, "", {}).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(HeldBy("at-commit"), (std::vector<LeaseResource>{{"content", digest.text()}}));
}

TEST_F(ContentUploadTest, AnAbortedUploadIsGoneAndItsWriterCannotCommit) {
  MakeLease("l");
  auto writer = Writer("r", 0, "", {"ns", "l"});
  ASSERT_TRUE(writer->Write("x").ok());
  ASSERT_TRUE(content_->Abort("ns", "r").ok());
  EXPECT_EQ(content_->Status("ns", "r").status(), absl::NotFoundError("reference r: not found"));
  EXPECT_TRUE(HeldBy("l").empty());
  EXPECT_EQ(IngestDirectories(), 0u);
  EXPECT_EQ(writer->Commit(0, "", {}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(content_->Info("ns", Sha256("x")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(content_->Abort("ns", "r").code(), StatusCode::kNotFound);
  EXPECT_EQ(Writer("r")->status().offset_bytes, 0);
}

TEST_F(ContentUploadTest, ResetStartsOver) {
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("wrong and long").ok());
  ASSERT_TRUE(writer->Reset().ok());
  EXPECT_EQ(content_->Status("ns", "r")->offset_bytes, 0);
  ASSERT_TRUE(writer->Write("right").ok());
  EXPECT_EQ(*writer->Commit(5, "", {}), Sha256("right"));
  EXPECT_EQ(Read(Sha256("right")), "right");
}

TEST_F(ContentUploadTest, StatusTellsTheTimeOfTheLastWriteByTheClientsClock) {
  const absl::Time before = absl::Now();
  auto writer = Writer("r");
  const absl::Time opened = absl::Now();
  EXPECT_GE(content_->Status("ns", "r")->updated_at, before);
  ASSERT_TRUE(writer->Write("x").ok());
  EXPECT_GE(content_->Status("ns", "r")->updated_at, opened);
  EXPECT_LE(content_->Status("ns", "r")->updated_at, absl::Now());
}

TEST_F(ContentUploadTest, StatusesAreListedByRef) {
  Writer("one");
  Writer("two/with spaces and \"quotes\"");
  Writer("one", 0, "", {"two", ""});
  EXPECT_EQ(content_->ListStatuses("ns", {})->size(), 2u);
  const auto list = content_->ListStatuses("ns", {"ref==one"});
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->front().ref, "one");
  EXPECT_EQ(content_->ListStatuses("ns", {"ref~=[bad"}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ContentUploadTest, Sha512IsComputedWhenItIsExpectedEvenIfThatIsSaidLate) {
  Digester digester = *Digester::Create("sha512");
  digester.Update("data");
  const Digest expected = digester.Finish();
  auto late = Writer("late");
  ASSERT_TRUE(late->Write("data").ok());
  EXPECT_EQ(*late->Commit(4, expected.text(), {}), expected);
  EXPECT_EQ(Read(expected), "data");
  auto early = Writer("early", 4, expected.text(), {"two", ""});
  EXPECT_EQ(early->CurrentDigest(), expected);
}

TEST_F(ContentUploadTest, AnEmptyBlobIsABlob) {
  EXPECT_EQ(*Writer("r")->Commit(0, Sha256("").text(), {}), Sha256(""));
  EXPECT_EQ(Read(Sha256("")), "");
}

TEST_F(ContentUploadTest, ManyUploadsAtOnceAllArrive) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < 25; ++i) {
        const std::string data = std::to_string(thread) + "/" + std::to_string(i);
        auto writer = Writer(data, static_cast<int64_t>(data.size()), Sha256(data).text());
        ASSERT_TRUE(writer->Write(data).ok());
        ASSERT_TRUE(writer->Commit(0, "", {}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(content_->List("ns", {})->size(), 100u);
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(ContentUploadTest, OfManyWhoCommitTheSameContentOneWinsAndTheRestAreTold) {
  std::atomic<int> won = 0;
  std::atomic<int> told = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([this, thread, &won, &told] {
      auto writer = Writer("ref-" + std::to_string(thread));
      ASSERT_TRUE(writer->Write("the same").ok());
      const absl::Status status = writer->Commit(0, "", {}).status();
      if (status.ok()) ++won;
      if (absl::IsAlreadyExists(status)) ++told;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(told, 7);
  EXPECT_EQ(Read(Sha256("the same")), "the same");
}

}  // namespace
}  // namespace gantry::content
