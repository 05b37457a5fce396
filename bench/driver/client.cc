#include "bench/driver/client.h"

#include "absl/strings/str_cat.h"

namespace gantry::bench {
namespace {

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  // Channels of one process share a connection if nothing tells them apart.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return grpc::CreateCustomChannel(absl::StrCat("unix:", address),
                                   grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Client::Client(const Target& where)
    : target(where),
      channel_(Connect(where.address)),
      containers(api::containers::v1::Containers::NewStub(channel_)),
      content(api::content::v1::Content::NewStub(channel_)),
      diff(api::diff::v1::Diff::NewStub(channel_)),
      events(api::events::v1::Events::NewStub(channel_)),
      images(api::images::v1::Images::NewStub(channel_)),
      leases(api::leases::v1::Leases::NewStub(channel_)),
      snapshots(api::snapshots::v1::Snapshots::NewStub(channel_)),
      tasks(api::tasks::v1::Tasks::NewStub(channel_)),
      version(api::version::v1::Version::NewStub(channel_)) {}

void Client::Address(grpc::ClientContext* context, const std::string& lease) const {
  context->AddMetadata("containerd-namespace", target.ns);
  if (!lease.empty()) context->AddMetadata("containerd-lease", lease);
  context->set_wait_for_ready(false);
}

absl::Status Client::ToAbsl(const grpc::Status& status) {
  // The numbers of the codes are the same.
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace gantry::bench
