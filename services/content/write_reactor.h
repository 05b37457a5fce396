#ifndef GANTRY_SERVICES_CONTENT_WRITE_REACTOR_H_
#define GANTRY_SERVICES_CONTENT_WRITE_REACTOR_H_

#include <grpcpp/alarm.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "services/content/content_store.h"
#include "services/rpc/context.h"
#include "services/rpc/event_publisher.h"

namespace gantry::content {

// One Write stream: strictly request, answer, request, so one message is in flight and disk work
// never runs on gRPC's threads. The first message opens the writer; whatever ends the stream closes
// it, and leaves the upload for resume unless it was committed. Owned by gRPC until OnDone.
class WriteReactor final
    : public grpc::ServerBidiReactor<containerd::services::content::v1::WriteContentRequest,
                                     containerd::services::content::v1::WriteContentResponse> {
 public:
  WriteReactor(grpc::CallbackServerContext* context, Executor& executor, ContentStore& store,
               rpc::EventPublisher& events, rpc::Caller caller);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  // Serves `request_` and answers.
  void Answer();
  absl::Status Handle();
  absl::Status Validate() const;
  absl::Status OpenWriter();
  absl::Status MergeFields();
  absl::Status WriteAndCommit();
  // Has Answer called again when the ref's present writer closes, or at `give_up_`; holds no thread
  // until then.
  void AnswerWhenFree();
  void End(const absl::Status& status);

  grpc::CallbackServerContext* const context_;
  Executor& executor_;
  ContentStore& store_;
  rpc::EventPublisher& events_;
  const rpc::Caller caller_;
  containerd::services::content::v1::WriteContentRequest request_;
  containerd::services::content::v1::WriteContentResponse response_;
  std::string ns_;
  std::string ref_;
  int64_t total_ = 0;
  std::string expected_;
  Labels labels_;
  std::unique_ptr<ContentWriter> writer_;
  bool committed_ = false;
  std::chrono::system_clock::time_point give_up_{};
  std::shared_ptr<grpc::Alarm> alarm_;
  std::shared_ptr<const std::function<void()>> retry_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_WRITE_REACTOR_H_
