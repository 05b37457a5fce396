#ifndef GANTRY_SERVICES_DIFF_DIFF_SERVICE_H_
#define GANTRY_SERVICES_DIFF_DIFF_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/diff/v1/diff.grpc.pb.h"
#include "services/content/content.h"
#include "services/diff/layer_limits.h"

namespace gantry::diff {

// containerd.services.diff.v1.Diff: layers into mounts, and mounts compared to layers.
class DiffService final : public containerd::services::diff::v1::Diff::CallbackService {
 public:
  // Both outlive this. No layer past `limits` is applied.
  DiffService(content::ContentProvider& content, Executor& executor, const LayerLimits& limits)
      : content_(content), executor_(executor), limits_(limits) {}

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const containerd::services::diff::v1::ApplyRequest* request,
                                  containerd::services::diff::v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* Diff(grpc::CallbackServerContext* context,
                                 const containerd::services::diff::v1::DiffRequest* request,
                                 containerd::services::diff::v1::DiffResponse* response) override;

 private:
  content::ContentProvider& content_;
  Executor& executor_;
  const LayerLimits limits_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_DIFF_SERVICE_H_
