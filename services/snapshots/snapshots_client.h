#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_CLIENT_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "proto/containerd/services/snapshots/v1/snapshots.grpc.pb.h"
#include "services/rpc/remote.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// A snapshotter that another process serves, as containerd's proxy plugins are. Thread-safe; calls
// block on the other process.
//
// Such a snapshotter need know nothing of namespaces: a key "x" of namespace "ns" is "ns/x" there,
// which is cut off of what comes back. The label containerd.io/snapshot.ref is looked after here,
// since what it names is a key too.
class SnapshotsClient final : public Snapshotter {
 public:
  // `name` is what requests call the snapshotter.
  SnapshotsClient(std::shared_ptr<grpc::Channel> channel, std::string name);

  absl::StatusOr<std::vector<Mount>> Prepare(const Scope& scope, const std::string& key,
                                             const std::string& parent,
                                             const Labels& labels) override;
  absl::StatusOr<std::vector<Mount>> View(const Scope& scope, const std::string& key,
                                          const std::string& parent, const Labels& labels) override;
  absl::StatusOr<std::vector<Mount>> Mounts(const Scope& scope, const std::string& key) override;
  absl::Status Commit(const Scope& scope, const std::string& name, const std::string& key,
                      const Labels& labels) override;
  absl::Status Remove(const Scope& scope, const std::string& key) override;
  absl::StatusOr<Info> Stat(const Scope& scope, const std::string& key) override;
  absl::StatusOr<Info> Update(const Scope& scope, const Info& info,
                              const std::vector<std::string>& paths) override;
  absl::StatusOr<std::vector<Info>> List(const Scope& scope,
                                         const std::vector<std::string>& filters) override;
  absl::StatusOr<Usage> GetUsage(const Scope& scope, const std::string& key) override;
  // A snapshotter that has no Cleanup has nothing to clean up.
  absl::Status Cleanup() override;

  // Ends the calls under way and refuses those to come.
  void CancelAll() { calls_.CancelAll(); }

 private:
  template <typename Request, typename Response>
  using Method = grpc::Status (containerd::services::snapshots::v1::Snapshots::Stub::*)(
      grpc::ClientContext*, const Request&, Response*);
  // Fills in the snapshotter's name and calls.
  template <typename Request, typename Response>
  absl::Status Call(const Scope& scope, Method<Request, Response> method, Request request,
                    Response* response);

  const std::unique_ptr<containerd::services::snapshots::v1::Snapshots::Stub> stub_;
  const std::string name_;
  rpc::RemoteCalls calls_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_CLIENT_H_
