#include "bench/driver/client.h"

#include <unistd.h>

#include <chrono>

#include "base/errors.h"

namespace gantry::bench {
namespace {

constexpr std::chrono::minutes kDeadline(2);

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

void Client::Address(grpc::ClientContext* context) const {
  context->AddMetadata("containerd-namespace", target.ns);
  if (!target.lease.empty()) context->AddMetadata("containerd-lease", target.lease);
  context->set_deadline(std::chrono::system_clock::now() + kDeadline);
}

absl::Status Client::ToAbsl(const grpc::Status& status) {
  // The numbers of the codes are the same.
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

absl::StatusOr<std::unique_ptr<Lease>> Lease::Create(Target target) {
  Client client(target);
  api::leases::v1::CreateRequest request;
  request.set_id(absl::StrCat("bench-", ::getpid()));
  GANTRY_RETURN_IF_ERROR(
      client.Call(*client.leases, &api::leases::v1::Leases::Stub::Create, request).status());
  target.lease = request.id();
  return std::unique_ptr<Lease>(new Lease(std::move(target)));
}

Lease::~Lease() {
  Client client(target_);
  api::leases::v1::DeleteRequest request;
  request.set_id(target_.lease);
  client.Call(*client.leases, &api::leases::v1::Leases::Stub::Delete, request)
      .status()
      .IgnoreError();
}

}  // namespace gantry::bench
