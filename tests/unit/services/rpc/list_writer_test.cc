#include "services/rpc/list_writer.h"

#include <gtest/gtest.h>

#include "proto/containerd/services/containers/v1/containers.grpc.pb.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::rpc {
namespace {

namespace api = containerd::services::containers::v1;

class Probe final : public api::Containers::CallbackService {
 public:
  explicit Probe(Executor& executor) : executor_(executor) {}

  // As many messages as the first filter says, or an error if there is none.
  grpc::ServerWriteReactor<api::ListContainerMessage>* ListStream(
      grpc::CallbackServerContext* context, const api::ListContainersRequest* request) override {
    return WriteAll<api::ListContainerMessage>(
        context, executor_,
        [request](
            const RequestContext& rpc) -> absl::StatusOr<std::vector<api::ListContainerMessage>> {
          if (request->filters().empty()) return absl::InvalidArgumentError("no filter");
          std::vector<api::ListContainerMessage> list(std::stoul(request->filters(0)));
          for (size_t i = 0; i < list.size(); ++i) {
            list[i].mutable_container()->set_id(absl::StrCat(rpc.ns, i));
          }
          return list;
        });
  }

 private:
  Executor& executor_;
};

class ListWriterTest : public testing::Test {
 protected:
  grpc::Status List(const std::string& ns, const std::vector<std::string>& filters) {
    api::ListContainersRequest request;
    for (const std::string& filter : filters) request.add_filters(filter);
    const auto context = In(ns);
    const auto reader = stub_->ListStream(context.get(), request);
    api::ListContainerMessage message;
    ids_.clear();
    while (reader->Read(&message)) ids_.push_back(message.container().id());
    return reader->Finish();
  }

  Executor executor_{2};
  Probe probe_{executor_};
  GrpcServer server_{probe_};
  std::unique_ptr<api::Containers::Stub> stub_ = api::Containers::NewStub(server_.Channel());
  std::vector<std::string> ids_;
};

TEST_F(ListWriterTest, AllMessagesArriveInOrder) {
  ASSERT_TRUE(List("n", {"1000"}).ok());
  ASSERT_EQ(ids_.size(), 1000u);
  EXPECT_EQ(ids_.front(), "n0");
  EXPECT_EQ(ids_.back(), "n999");
}

TEST_F(ListWriterTest, AnEmptyListIsAnAnswer) {
  EXPECT_TRUE(List("n", {"0"}).ok());
  EXPECT_TRUE(ids_.empty());
}

TEST_F(ListWriterTest, ErrorsEndTheStream) {
  EXPECT_EQ(List("n", {}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(List("", {"1"}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ListWriterTest, AClientMayLeaveInTheMiddle) {
  api::ListContainersRequest request;
  request.add_filters("100000");
  const auto context = In("n");
  const auto reader = stub_->ListStream(context.get(), request);
  api::ListContainerMessage message;
  ASSERT_TRUE(reader->Read(&message));
  context->TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(List("n", {"1"}).ok());
}

}  // namespace
}  // namespace gantry::rpc
