#include "services/rpc/unary.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <thread>

#include "proto/containerd/services/namespaces/v1/namespace.grpc.pb.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::rpc {
namespace {

namespace api = containerd::services::namespaces::v1;

// Any service would do: Get answers what its headers say, Create fails, List needs no namespace and
// Delete waits for `release` or for the client's leaving.
class Probe final : public api::Namespaces::CallbackService {
 public:
  explicit Probe(Executor& executor) : executor_(executor) {}

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const api::GetNamespaceRequest*,
                                api::GetNamespaceResponse* response) override {
    return Unary(context, executor_, [response](const RequestContext& request) {
      response->mutable_namespace_()->set_name(absl::StrCat(request.ns, " ", request.lease));
      return absl::OkStatus();
    });
  }
  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* context,
                                   const api::CreateNamespaceRequest*,
                                   api::CreateNamespaceResponse*) override {
    return Unary(context, executor_, [](const RequestContext&) {
      return absl::OutOfRangeError("offset 7: out of range");
    });
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const api::ListNamespacesRequest*,
                                 api::ListNamespacesResponse*) override {
    return UnaryWithoutNamespace(context, executor_, [] { return absl::OkStatus(); });
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const api::DeleteNamespaceRequest*,
                                   google::protobuf::Empty*) override {
    return UnaryAsync(context,
                      [this](const RequestContext&, std::shared_ptr<AsyncReactor> reactor) {
                        const std::lock_guard lock(mutex_);
                        waiting_ = std::move(reactor);
                        arrived_.notify_all();
                      });
  }
  // The reactor of the call of Delete that arrives next.
  std::shared_ptr<AsyncReactor> Arrival() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return waiting_ != nullptr; });
    return std::exchange(waiting_, nullptr);
  }

 private:
  Executor& executor_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::shared_ptr<AsyncReactor> waiting_;
};

class UnaryTest : public testing::Test {
 protected:
  grpc::Status Get(grpc::ClientContext& context) { return stub_->Get(&context, {}, &got_); }

  Executor executor_{2};
  Probe probe_{executor_};
  GrpcServer server_{probe_};
  std::unique_ptr<api::Namespaces::Stub> stub_ = api::Namespaces::NewStub(server_.Channel());
  api::GetNamespaceResponse got_;
};

TEST_F(UnaryTest, NamespaceAndLeaseComeFromTheHeaders) {
  const auto context = In("k8s.io");
  context->AddMetadata("containerd-lease", "my lease/1");
  ASSERT_TRUE(Get(*context).ok());
  EXPECT_EQ(got_.namespace_().name(), "k8s.io my lease/1");
}

TEST_F(UnaryTest, ACallWithoutANamespaceIsRefusedInContainerdsWords) {
  const grpc::Status status = Get(*In(""));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("namespace is required"), std::string::npos);
}

TEST_F(UnaryTest, ANamespaceThatIsNoIdentifierIsRefusedByName) {
  for (const std::string ns : {"a/b", "-a", "a..b", "a b"}) {
    const grpc::Status status = Get(*In(ns));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << ns;
    EXPECT_NE(status.error_message().find(ns), std::string::npos) << status.error_message();
  }
}

TEST_F(UnaryTest, TheBodysErrorIsTheAnswer) {
  api::CreateNamespaceResponse response;
  const grpc::Status status = stub_->Create(In("ns").get(), {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(status.error_message(), "offset 7: out of range");
}

TEST_F(UnaryTest, SomeCallsNeedNoNamespace) {
  api::ListNamespacesResponse response;
  EXPECT_TRUE(stub_->List(In("").get(), {}, &response).ok());
}

TEST_F(UnaryTest, AWaitingCallIsAnsweredOnceByWhoeverIsFirst) {
  std::thread finisher([this] {
    const std::shared_ptr<AsyncReactor> reactor = probe_.Arrival();
    reactor->Complete(absl::NotFoundError("gone"));
    reactor->Complete(absl::OkStatus(), [] { FAIL() << "the answer has gone out"; });
  });
  google::protobuf::Empty empty;
  const grpc::Status status = stub_->Delete(In("ns").get(), {}, &empty);
  finisher.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(UnaryTest, AWaitingCallSurvivesAClientThatLeaves) {
  const auto context = In("ns");
  std::shared_ptr<AsyncReactor> reactor;
  std::thread leaver([&] {
    reactor = probe_.Arrival();
    context->TryCancel();
  });
  google::protobuf::Empty empty;
  const grpc::Status status = stub_->Delete(context.get(), {}, &empty);
  leaver.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  // The server may not know yet; either way this must neither crash nor hang.
  reactor->Complete(absl::OkStatus());
  reactor.reset();
  ASSERT_TRUE(Get(*In("ns")).ok());
}

TEST_F(UnaryTest, AWaitingCallWithoutANamespaceIsRefusedAtOnce) {
  google::protobuf::Empty empty;
  EXPECT_EQ(stub_->Delete(In("").get(), {}, &empty).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

}  // namespace
}  // namespace gantry::rpc
