#include "services/rpc/context.h"

#include "base/errors.h"
#include "base/identifiers.h"

namespace gantry::rpc {
namespace {

std::string Header(const grpc::CallbackServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

absl::StatusOr<RequestContext> ContextOf(const grpc::CallbackServerContext& context,
                                         Caller caller) {
  RequestContext request{Header(context, kNamespaceHeader), Header(context, kLeaseHeader)};
  if (caller == Caller::kDaemon) request.lease.clear();
  if (request.ns.empty()) {
    if (caller == Caller::kDaemon) return request;
    return absl::FailedPreconditionError("namespace is required: failed precondition");
  }
  GANTRY_RETURN_IF_ERROR(
      Annotate(ValidateIdentifier("namespace", request.ns), "header containerd-namespace"));
  // A lease's id is whatever its maker chose; whether it exists is for the store to say.
  return request;
}

}  // namespace gantry::rpc
