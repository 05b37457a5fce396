#ifndef GANTRY_TESTS_FAULT_UNPACKING_H_
#define GANTRY_TESTS_FAULT_UNPACKING_H_

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/containerd/services/diff/v1/diff.grpc.pb.h"
#include "proto/containerd/services/snapshots/v1/snapshots.grpc.pb.h"

namespace gantry::test {

// Where what is written through the mounts of a snapshot lands.
std::string UpperOf(const google::protobuf::RepeatedPtrField<containerd::types::Mount>& mounts);

// A client that unpacks layers as containerd's does: Prepare, Apply, Commit. It keeps in mind where
// each snapshot's files are, so that a gantryd that was killed meanwhile can be held to them.
class Unpacking {
 public:
  // Again after a restart.
  void Connect(const std::shared_ptr<grpc::Channel>& channel);

  // A tar of a directory with a file of `bytes` bytes, a symbolic and a hard link.
  static std::string Layer(size_t bytes);

  // Makes the committed snapshot `name` on `parent` ("" for none) of the blob `layer`, a tar of
  // Layer. One that is there is fine; what an earlier try has left of it is removed first.
  absl::Status Unpack(const std::string& name, const std::string& parent, const std::string& layer);
  // Takes back what a try has left of `name`.
  absl::Status Abandon(const std::string& name);

  // What is not as the layer of Layer(`bytes`) has it in the committed `name`, a sentence each.
  [[nodiscard]] std::vector<std::string> Problems(const std::string& name, size_t bytes) const;

 private:
  absl::Status Prepare(const std::string& name, const std::string& parent,
                       google::protobuf::RepeatedPtrField<containerd::types::Mount>* mounts);

  std::unique_ptr<containerd::services::snapshots::v1::Snapshots::Stub> snapshots_;
  std::unique_ptr<containerd::services::diff::v1::Diff::Stub> diff_;
  std::map<std::string, std::string> places_;  // name -> directory of its own files
};

}  // namespace gantry::test

#endif  // GANTRY_TESTS_FAULT_UNPACKING_H_
