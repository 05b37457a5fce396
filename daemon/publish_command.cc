#include "daemon/publish_command.h"

#include <google/protobuf/any.pb.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "proto/containerd/services/events/v1/events.grpc.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/remote.h"

namespace gantry::daemon {
namespace {

namespace pb = containerd::services::events::v1;

// As much as a daemon takes in one message.
constexpr size_t kMostBytes = 16 << 20;
// A shim runs this for each of its events, one after another.
constexpr std::chrono::seconds kPatience(10);

absl::StatusOr<std::string> ReadStandardInput() {
  std::string all;
  char buffer[65536];
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoError(errno, "read the event from standard input");
    if (count == 0) return all;
    all.append(buffer, static_cast<size_t>(count));
    if (all.size() > kMostBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the event on standard input is longer than ", kMostBytes, " bytes"));
    }
  }
}

absl::Status Publish(const std::string& address, const std::string& topic, const std::string& ns) {
  if (topic.empty()) return absl::InvalidArgumentError("--topic is required to publish an event");
  if (ns.empty()) return absl::InvalidArgumentError("--namespace is required to publish an event");
  GANTRY_ASSIGN_OR_RETURN(const std::string bytes, ReadStandardInput());
  pb::ForwardRequest request;
  containerd::types::Envelope& envelope = *request.mutable_envelope();
  if (!envelope.mutable_event()->ParseFromString(bytes)) {
    return absl::InvalidArgumentError("standard input holds no google.protobuf.Any");
  }
  envelope.set_topic(topic);
  envelope.set_namespace_(ns);
  rpc::ToProto(absl::Now(), envelope.mutable_timestamp());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  google::protobuf::Empty response;
  const grpc::Status status =
      pb::Events::NewStub(rpc::DialUnix(address))->Forward(&context, request, &response);
  if (status.ok()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("publish to ", address, ": ", status.error_message()));
}

}  // namespace

int RunPublish(const std::string& address, const std::string& topic, const std::string& ns) {
  const absl::Status published = Publish(address, topic, ns);
  if (published.ok()) return 0;
  std::fprintf(stderr, "gantryd: %s\n", std::string(published.message()).c_str());
  return 1;
}

}  // namespace gantry::daemon
