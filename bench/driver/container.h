#ifndef GANTRY_BENCH_DRIVER_CONTAINER_H_
#define GANTRY_BENCH_DRIVER_CONTAINER_H_

#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/json.h"
#include "bench/driver/client.h"

namespace gantry::bench {

struct ContainerOptions {
  std::string image_chain;  // the snapshot that the container's own is made of
  std::vector<std::string> args = {"/bin/true"};
  std::string out;      // FIFOs for standard output and errors; empty: none
  std::string err;
  bool network = true;  // a network namespace of its own
};

// The specification that `ctr run` writes for such a container.
Json SpecOf(const Target& target, const std::string& id, const ContainerOptions& options);
// The process of an exec.
Json ProcessOf(const std::vector<std::string>& args);

// A container's records (snapshot and container), made by Prepare and removed by Remove; a task in
// between. One call of the contract per method, so that each can be timed.
class BenchContainer {
 public:
  BenchContainer(Client& client, std::string id) : client_(client), id_(std::move(id)) {}

  absl::Status Prepare(const ContainerOptions& options);
  absl::StatusOr<uint32_t> Create();
  absl::Status Start(const std::string& exec_id = "");
  // Errors: Internal if the process did not end with `expected`.
  absl::Status Wait(uint32_t expected, const std::string& exec_id = "");
  absl::Status Kill();
  absl::Status Delete();
  absl::Status Exec(const std::string& exec_id, const std::vector<std::string>& args,
                    const std::string& out);
  absl::Status DeleteExec(const std::string& exec_id);
  absl::Status Remove();

  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  Client& client_;
  std::string id_;
  std::string out_;
  std::string err_;
  google::protobuf::RepeatedPtrField<::containerd::types::Mount> mounts_;
};

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_DRIVER_CONTAINER_H_
