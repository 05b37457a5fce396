#ifndef GANTRY_BENCH_DRIVER_CLIENT_H_
#define GANTRY_BENCH_DRIVER_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/containerd/services/containers/v1/containers.grpc.pb.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "proto/containerd/services/diff/v1/diff.grpc.pb.h"
#include "proto/containerd/services/events/v1/events.grpc.pb.h"
#include "proto/containerd/services/images/v1/images.grpc.pb.h"
#include "proto/containerd/services/leases/v1/leases.grpc.pb.h"
#include "proto/containerd/services/snapshots/v1/snapshots.grpc.pb.h"
#include "proto/containerd/services/tasks/v1/tasks.grpc.pb.h"
#include "proto/containerd/services/version/v1/version.grpc.pb.h"

namespace gantry::bench {

namespace api = ::containerd::services;

// Where the daemon is and under which names the driver works there.
struct Target {
  std::string address;  // path of a unix socket
  std::string ns = "bench";
  std::string runtime = "io.containerd.runc.v2";
  std::string snapshotter = "overlayfs";
  // Sent with every call: what nothing refers to yet must survive a collection.
  std::string lease;
};

// One connection to a daemon and the stubs of its services. Thread-safe, as the stubs are.
class Client {
 public:
  explicit Client(const Target& target);

  // Calls a unary method: `client.Call(*client.tasks, &Tasks::Stub::Create, request)`. The context
  // carries the namespace, the lease and a deadline that only a daemon that hangs can miss.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    grpc::ClientContext context;
    Address(&context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return ToAbsl(status);
    return response;
  }

  // For streams, which make their contexts themselves.
  void Address(grpc::ClientContext* context) const;
  static absl::Status ToAbsl(const grpc::Status& status);

  const Target target;

 private:
  std::shared_ptr<grpc::Channel> channel_;

 public:
  const std::unique_ptr<api::containers::v1::Containers::Stub> containers;
  const std::unique_ptr<api::content::v1::Content::Stub> content;
  const std::unique_ptr<api::diff::v1::Diff::Stub> diff;
  const std::unique_ptr<api::events::v1::Events::Stub> events;
  const std::unique_ptr<api::images::v1::Images::Stub> images;
  const std::unique_ptr<api::leases::v1::Leases::Stub> leases;
  const std::unique_ptr<api::snapshots::v1::Snapshots::Stub> snapshots;
  const std::unique_ptr<api::tasks::v1::Tasks::Stub> tasks;
  const std::unique_ptr<api::version::v1::Version::Stub> version;
};

// A lease of the driver's own for as long as this lives.
class Lease {
 public:
  static absl::StatusOr<std::unique_ptr<Lease>> Create(Target target);
  ~Lease();
  [[nodiscard]] const Target& target() const { return target_; }

 private:
  explicit Lease(Target target) : target_(std::move(target)) {}
  Target target_;
};

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_DRIVER_CLIENT_H_
