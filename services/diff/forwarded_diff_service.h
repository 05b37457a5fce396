#ifndef GANTRY_SERVICES_DIFF_FORWARDED_DIFF_SERVICE_H_
#define GANTRY_SERVICES_DIFF_FORWARDED_DIFF_SERVICE_H_

#include "absl/strings/str_cat.h"
#include "proto/containerd/services/diff/v1/diff.grpc.pb.h"
#include "services/rpc/forward.h"

namespace gantry::diff {

// containerd.services.diff.v1.Diff that another process serves: calls are passed on as they come.
class ForwardedDiffService final
    : public containerd::services::diff::v1::Diff::WithRawCallbackMethod_Apply<
          containerd::services::diff::v1::Diff::WithRawCallbackMethod_Diff<
              containerd::services::diff::v1::Diff::Service>> {
 public:
  explicit ForwardedDiffService(std::shared_ptr<grpc::Channel> channel)
      : forwarder_(std::move(channel)) {}

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override {
    return forwarder_.Unary(context, Method("Apply"), request, response);
  }
  grpc::ServerUnaryReactor* Diff(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override {
    return forwarder_.Unary(context, Method("Diff"), request, response);
  }

 private:
  static std::string Method(const char* name) {
    return absl::StrCat("/", containerd::services::diff::v1::Diff::service_full_name(), "/", name);
  }

  rpc::Forwarder forwarder_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_FORWARDED_DIFF_SERVICE_H_
