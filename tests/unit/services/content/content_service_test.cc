#include "services/content/content_service.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "absl/time/clock.h"
#include "proto/containerd/events/content.pb.h"
#include "services/content/forwarded_content_service.h"
#include "services/rpc/remote.h"
#include "tests/unit/services/content/fixture.h"

namespace gantry::content {
namespace {

namespace api = containerd::services::content::v1;
using grpc::StatusCode;

class RecordedEvents : public rpc::EventPublisher {
 public:
  void Publish(absl::string_view ns, absl::string_view topic,
               const google::protobuf::Message& event) override {
    const std::lock_guard lock(mutex_);
    seen_.push_back(absl::StrCat(ns, " ", topic, " ", event.ShortDebugString()));
  }
  std::vector<std::string> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> seen_;
};

// The service behind a socket of its own, with a client: at once, or through another process that
// passes calls on.
enum class Way { kDirect, kForwarded };

class ContentServiceTest : public ContentStoreTest, public testing::WithParamInterface<Way> {
 protected:
  void SetUp() override {
    ContentStoreTest::SetUp();
    const bool forwarded = GetParam() == Way::kForwarded;
    service_ = std::make_unique<ContentService>(*content_, executor_,
                                                forwarded ? unheard_events_ : events_);
    server_ = Serve(service_.get(), dir_.path() + "/s");
    ASSERT_NE(server_, nullptr);
    if (forwarded) {
      forwarding_ =
          std::make_unique<ForwardedContentService>(rpc::DialUnix(dir_.path() + "/s"), events_);
      forwarder_ = Serve(forwarding_.get(), dir_.path() + "/f");
      ASSERT_NE(forwarder_, nullptr);
    }
    stub_ = api::Content::NewStub(rpc::DialUnix(dir_.path() + (forwarded ? "/f" : "/s")));
  }
  static std::unique_ptr<grpc::Server> Serve(grpc::Service* service, const std::string& path) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(16 << 20);
    builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
    builder.RegisterService(service);
    return builder.BuildAndStart();
  }
  void TearDown() override {
    for (grpc::Server* server : {forwarder_.get(), server_.get()}) {
      if (server == nullptr) continue;
      server->Shutdown(std::chrono::system_clock::now());
      server->Wait();
    }
  }

  // A Write stream; ends it, cancelled if it is not finished, with this.
  struct Stream {
    explicit Stream(api::Content::Stub& stub, const std::string& ns = "ns") {
      if (!ns.empty()) context.AddMetadata("containerd-namespace", ns);
      stream = stub.Write(&context);
    }
    ~Stream() {
      if (stream == nullptr) return;
      context.TryCancel();
      stream->Finish();
    }
    // The answer, or nothing if the stream has ended instead.
    std::optional<api::WriteContentResponse> Send(const api::WriteContentRequest& request) {
      stream->Write(request);
      api::WriteContentResponse response;
      if (!stream->Read(&response)) return std::nullopt;
      return response;
    }
    // What the stream has ended with.
    grpc::Status End() {
      stream->WritesDone();
      api::WriteContentResponse response;
      while (stream->Read(&response)) {
      }
      const grpc::Status status = stream->Finish();
      stream.reset();
      return status;
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<api::WriteContentRequest, api::WriteContentResponse>>
        stream;
  };
  static api::WriteContentRequest Request(api::WriteAction action, const std::string& ref = "",
                                          int64_t offset = 0, const std::string& data = "") {
    api::WriteContentRequest request;
    request.set_action(action);
    request.set_ref(ref);
    request.set_offset(offset);
    request.set_data(data);
    return request;
  }
  struct Got {
    std::string data;
    size_t messages = 0;
    grpc::Status status;
  };
  Got ReadBlob(const std::string& digest, int64_t offset = 0, int64_t size = 0) {
    grpc::ClientContext context;
    context.AddMetadata("containerd-namespace", "ns");
    api::ReadContentRequest request;
    request.set_digest(digest);
    request.set_offset(offset);
    request.set_size(size);
    auto stream = stub_->Read(&context, request);
    Got got;
    api::ReadContentResponse response;
    while (stream->Read(&response)) {
      EXPECT_EQ(response.offset(), offset + static_cast<int64_t>(got.data.size()));
      got.data += response.data();
      ++got.messages;
    }
    got.status = stream->Finish();
    return got;
  }

  Executor executor_{2};
  RecordedEvents events_;
  RecordedEvents unheard_events_;
  std::unique_ptr<ContentService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ForwardedContentService> forwarding_;
  std::unique_ptr<grpc::Server> forwarder_;
  std::unique_ptr<api::Content::Stub> stub_;
};

TEST_P(ContentServiceTest, OneStreamCanAskWriteAndCommit) {
  const std::string digest = Sha256("hello world").text();
  Stream stream(*stub_);
  api::WriteContentRequest first = Request(api::STAT, "r");
  first.set_total(11);
  first.set_expected(digest);
  auto answer = stream.Send(first);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->offset(), 0);
  EXPECT_EQ(answer->total(), 11);
  EXPECT_EQ(answer->digest(), Sha256("").text());
  EXPECT_GT(answer->started_at().seconds(), 0);
  EXPECT_EQ(stream.Send(Request(api::WRITE, "", 0, "hello"))->offset(), 5);
  api::WriteContentRequest last = Request(api::COMMIT, "", 5, " world");
  last.set_expected(digest);
  (*last.mutable_labels())["k"] = "v";
  answer = stream.Send(last);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->action(), api::COMMIT);
  EXPECT_EQ(answer->offset(), 11);
  EXPECT_EQ(answer->digest(), digest);
  EXPECT_TRUE(stream.End().ok());
  EXPECT_EQ(content_->Info("ns", Sha256("hello world"))->labels, (Labels{{"k", "v"}}));
  EXPECT_EQ(events_.seen(),
            (std::vector<std::string>{"ns /content/create digest: \"" + digest + "\" size: 11"}));
}

TEST_P(ContentServiceTest, OffsetsAreCheckedAndZeroStartsOver) {
  {
    Stream stream(*stub_);
    ASSERT_TRUE(stream.Send(Request(api::WRITE, "r", 0, "abc")).has_value());
    EXPECT_FALSE(stream.Send(Request(api::WRITE, "", 2, "x")).has_value());
    const grpc::Status status = stream.End();
    EXPECT_EQ(status.error_code(), StatusCode::OUT_OF_RANGE);
    EXPECT_EQ(status.error_message(), "write @2 must occur at current offset 3: out of range");
  }
  EXPECT_EQ(content_->Status("ns", "r")->offset_bytes, 3);
  Stream stream(*stub_);
  EXPECT_EQ(stream.Send(Request(api::STAT, "r"))->offset(), 3);
  EXPECT_EQ(stream.Send(Request(api::WRITE, "", 0, "zz"))->offset(), 2);
  EXPECT_EQ(stream.Send(Request(api::COMMIT, "", 2))->digest(), Sha256("zz").text());
}

TEST_P(ContentServiceTest, BadRequestsAreRefusedBeforeAnythingIsMade) {
  const auto refusal = [this](const api::WriteContentRequest& request, const std::string& ns) {
    Stream stream(*stub_, ns);
    EXPECT_FALSE(stream.Send(request).has_value());
    return stream.End().error_code();
  };
  EXPECT_EQ(refusal(Request(api::WRITE), "ns"), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refusal(Request(api::WRITE, "r"), ""), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refusal(Request(api::WRITE, "r", -1), "ns"), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refusal(Request(static_cast<api::WriteAction>(7), "r"), "ns"),
            StatusCode::INVALID_ARGUMENT);
  api::WriteContentRequest negative = Request(api::STAT, "r");
  negative.set_total(-5);
  EXPECT_EQ(refusal(negative, "ns"), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
}

TEST_P(ContentServiceTest, TotalAndExpectedMayBeLearntLateAndAreCheckedAtTheCommit) {
  Stream stream(*stub_);
  api::WriteContentRequest first = Request(api::WRITE, "r", 0, "data");
  first.set_total(99);
  ASSERT_TRUE(stream.Send(first).has_value());
  api::WriteContentRequest last = Request(api::COMMIT, "", 4);
  last.set_total(4);
  last.set_expected(Sha256("data").text());
  EXPECT_TRUE(stream.Send(last).has_value());
  EXPECT_TRUE(stream.End().ok());
}

TEST_P(ContentServiceTest, ContentThatIsKnownEndsTheStreamWithAlreadyExists) {
  Ingest("known");
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Send(Request(api::WRITE, "r", 0, "kno")).has_value());
  api::WriteContentRequest next = Request(api::WRITE, "", 3, "wn");
  next.set_expected(Sha256("known").text());
  EXPECT_FALSE(stream.Send(next).has_value());
  EXPECT_EQ(stream.End().error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  EXPECT_TRUE(events_.seen().empty());
}

TEST_P(ContentServiceTest, ASecondStreamIsRefusedWhileTheFirstIsOpen) {
  Stream first(*stub_);
  ASSERT_TRUE(first.Send(Request(api::WRITE, "r", 0, "x")).has_value());
  Stream second(*stub_);
  EXPECT_FALSE(second.Send(Request(api::STAT, "r")).has_value());
  EXPECT_EQ(second.End().error_code(), StatusCode::UNAVAILABLE);
}

TEST_P(ContentServiceTest, StreamsThatWaitForARefHoldNoThread) {
  Stream first(*stub_);
  ASSERT_TRUE(first.Send(Request(api::WRITE, "r", 0, "x")).has_value());
  // More of them than the pool has threads.
  std::vector<std::unique_ptr<Stream>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::make_unique<Stream>(*stub_));
    waiting.back()->stream->Write(Request(api::STAT, "r"));
  }
  const absl::Time start = absl::Now();
  EXPECT_EQ(first.Send(Request(api::WRITE, "", 1, "y"))->offset(), 2);
  // Two threads with eight waits of 300 ms before them would take 1.2 s.
  EXPECT_LT(absl::Now() - start, absl::Milliseconds(900));
  // At most one of them follows the first, and the others are refused.
  first.context.TryCancel();
  int opened = 0;
  for (const auto& stream : waiting) {
    api::WriteContentResponse response;
    if (stream->stream->Read(&response)) ++opened;
  }
  EXPECT_LE(opened, 1);
}

TEST_P(ContentServiceTest, ABrokenStreamLeavesItsUploadAndFreesTheRef) {
  {
    Stream stream(*stub_);
    ASSERT_TRUE(stream.Send(Request(api::WRITE, "r", 0, "half")).has_value());
  }
  Stream stream(*stub_);
  const auto answer = stream.Send(Request(api::STAT, "r"));
  ASSERT_TRUE(answer.has_value()) << "a writer may follow a broken one at once";
  EXPECT_EQ(answer->offset(), 4);
  EXPECT_EQ(answer->digest(), Sha256("half").text());
}

TEST_P(ContentServiceTest, ReadsStreamWholeBlobsAndRanges) {
  std::string data;
  while (data.size() < (3 << 20) + 5) data += absl::StrCat(data.size(), " ");
  const std::string digest = Ingest(data).text();
  const Got whole = ReadBlob(digest);
  EXPECT_TRUE(whole.status.ok());
  EXPECT_EQ(Sha256(whole.data).text(), digest);
  EXPECT_GE(whole.messages, 4u) << "a message holds at most 1 MiB";
  EXPECT_EQ(ReadBlob(digest, 7, 9).data, data.substr(7, 9));
  EXPECT_EQ(ReadBlob(digest, (1 << 20) - 3, 6).data, data.substr((1 << 20) - 3, 6));
  EXPECT_EQ(ReadBlob(digest, static_cast<int64_t>(data.size()) - 2, 100).data,
            data.substr(data.size() - 2));
  const Got end = ReadBlob(digest, static_cast<int64_t>(data.size()));
  EXPECT_TRUE(end.status.ok());
  EXPECT_EQ(end.data, "");
}

TEST_P(ContentServiceTest, BadReadsAreToldApart) {
  const Digest digest = Ingest("data");
  EXPECT_EQ(ReadBlob(digest.text(), 5).status.error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(ReadBlob(digest.text(), -1).status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReadBlob(digest.text(), 0, -1).status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReadBlob("sha256:no").status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReadBlob(Sha256("other").text()).status.error_code(), StatusCode::NOT_FOUND);
  ASSERT_EQ(::truncate(BlobPath(digest).c_str(), 1), 0);
  const Got damaged = ReadBlob(digest.text());
  EXPECT_EQ(damaged.status.error_code(), StatusCode::DATA_LOSS);
  EXPECT_NE(damaged.status.error_message().find(digest.text()), std::string::npos);
}

TEST_P(ContentServiceTest, AReaderThatGoesAwayDisturbsNobody) {
  const std::string digest = Ingest(std::string(8 << 20, 'x')).text();
  {
    grpc::ClientContext context;
    context.AddMetadata("containerd-namespace", "ns");
    api::ReadContentRequest request;
    request.set_digest(digest);
    auto stream = stub_->Read(&context, request);
    api::ReadContentResponse response;
    ASSERT_TRUE(stream->Read(&response));
    context.TryCancel();
    stream->Finish();
  }
  EXPECT_EQ(ReadBlob(digest).data.size(), size_t{8} << 20);
}

TEST_P(ContentServiceTest, ABlobThatIsCutWhileItIsReadEndsItsStreamWithDataLossAndNothingElse) {
  const Digest digest = Ingest(std::string(24 << 20, 'x'));
  const std::string other = Ingest(std::string(3 << 20, 'y')).text();
  grpc::ClientContext context;
  context.AddMetadata("containerd-namespace", "ns");
  api::ReadContentRequest request;
  request.set_digest(digest.text());
  auto stream = stub_->Read(&context, request);
  api::ReadContentResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(::truncate(BlobPath(digest).c_str(), 1 << 20), 0);
  while (stream->Read(&response)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::DATA_LOSS);
  EXPECT_NE(status.error_message().find(digest.text()), std::string::npos);
  EXPECT_EQ(ReadBlob(other).data.size(), size_t{3} << 20);
}

TEST_P(ContentServiceTest, ListComesInBatchesOfAHundred) {
  for (int i = 0; i < 205; ++i) Ingest(std::to_string(i));
  grpc::ClientContext context;
  context.AddMetadata("containerd-namespace", "ns");
  auto stream = stub_->List(&context, {});
  api::ListContentResponse response;
  std::vector<int> sizes;
  while (stream->Read(&response)) sizes.push_back(response.info_size());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(sizes, (std::vector<int>{100, 100, 5}));
}

TEST_P(ContentServiceTest, UnaryMethodsAnswerAndADeleteIsAnnounced) {
  const std::string digest = Ingest("data").text();
  const auto call = [](auto method) {
    grpc::ClientContext context;
    context.AddMetadata("containerd-namespace", "ns");
    return method(&context);
  };
  api::InfoRequest info_request;
  info_request.set_digest(digest);
  api::InfoResponse info;
  EXPECT_TRUE(call([&](auto* c) { return stub_->Info(c, info_request, &info); }).ok());
  EXPECT_EQ(info.info().size(), 4);
  api::UpdateRequest update;
  update.mutable_info()->set_digest(digest);
  (*update.mutable_info()->mutable_labels())["a"] = "b";
  update.mutable_update_mask()->add_paths("labels.a");
  api::UpdateResponse updated;
  EXPECT_TRUE(call([&](auto* c) { return stub_->Update(c, update, &updated); }).ok());
  EXPECT_EQ(updated.info().labels().at("a"), "b");
  Writer("open")->Write("abc").IgnoreError();
  api::ListStatusesResponse statuses;
  EXPECT_TRUE(call([&](auto* c) { return stub_->ListStatuses(c, {}, &statuses); }).ok());
  ASSERT_EQ(statuses.statuses_size(), 1);
  EXPECT_EQ(statuses.statuses(0).offset(), 3);
  api::AbortRequest abort;
  abort.set_ref("open");
  google::protobuf::Empty nothing;
  EXPECT_TRUE(call([&](auto* c) { return stub_->Abort(c, abort, &nothing); }).ok());
  api::StatusRequest status;
  status.set_ref("open");
  api::StatusResponse gone;
  EXPECT_EQ(call([&](auto* c) { return stub_->Status(c, status, &gone); }).error_code(),
            StatusCode::NOT_FOUND);
  api::DeleteContentRequest remove;
  remove.set_digest(digest);
  EXPECT_TRUE(call([&](auto* c) { return stub_->Delete(c, remove, &nothing); }).ok());
  EXPECT_EQ(events_.seen(),
            (std::vector<std::string>{"ns /content/delete digest: \"" + digest + "\""}));
}

INSTANTIATE_TEST_SUITE_P(Ways, ContentServiceTest, testing::Values(Way::kDirect, Way::kForwarded),
                         [](const auto& info) {
                           return info.param == Way::kDirect ? "Direct" : "Forwarded";
                         });

}  // namespace
}  // namespace gantry::content
