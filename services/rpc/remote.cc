#include "services/rpc/remote.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/str_cat.h"
#include "services/rpc/status.h"

namespace gantry::rpc {

std::shared_ptr<grpc::Channel> DialUnix(const std::string& path) {
  constexpr int kMostMessageBytes = 16 << 20;  // containerd's
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostMessageBytes);
  arguments.SetMaxSendMessageSize(kMostMessageBytes);
  // The other side is on this machine: when it is back it is to be found soon.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3000);
  return grpc::CreateCustomChannel(absl::StrCat("unix:", path), grpc::InsecureChannelCredentials(),
                                   arguments);
}

RemoteCalls::Call::Call(RemoteCalls& calls, const RequestContext& from) : calls_(calls) {
  if (!from.ns.empty()) context_.AddMetadata(kNamespaceHeader, from.ns);
  if (!from.lease.empty()) context_.AddMetadata(kLeaseHeader, from.lease);
  const std::lock_guard lock(calls_.mutex_);
  calls_.under_way_.insert(&context_);
  if (calls_.cancelled_) context_.TryCancel();
}

RemoteCalls::Call::~Call() {
  const std::lock_guard lock(calls_.mutex_);
  calls_.under_way_.erase(&context_);
}

absl::Status RemoteCalls::Run(const RequestContext& from,
                              const std::function<grpc::Status(grpc::ClientContext*)>& call) {
  Call under_way(*this, from);
  return FromGrpc(call(under_way.context()));
}

void RemoteCalls::CancelAll() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : under_way_) context->TryCancel();
}

}  // namespace gantry::rpc
