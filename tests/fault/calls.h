#ifndef GANTRY_TESTS_FAULT_CALLS_H_
#define GANTRY_TESTS_FAULT_CALLS_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"

namespace gantry::test {

inline constexpr char kLease[] = "import";
inline constexpr char kSnapshotter[] = "overlayfs";

// Of one call, in the namespace of these tests.
struct Context : grpc::ClientContext {
  explicit Context(bool leased = false) {
    AddMetadata("containerd-namespace", "fault");
    if (leased) AddMetadata("containerd-lease", kLease);
    set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
};

inline absl::Status ToAbsl(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

// Doing a thing again finds it done.
inline absl::Status Idempotent(const absl::Status& status) {
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

}  // namespace gantry::test

#endif  // GANTRY_TESTS_FAULT_CALLS_H_
