#ifndef GANTRY_TESTS_SUPPORT_SLEEPER_H_
#define GANTRY_TESTS_SUPPORT_SLEEPER_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/statusor.h"

namespace gantry::test {

// A call in `ns` that gives up in the end, however slow the machine is.
class Call : public grpc::ClientContext {
 public:
  explicit Call(const std::string& ns) {
    AddMetadata("containerd-namespace", ns);
    set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }
};

// A container of one process that sleeps, over a daemon's API. `directory` is for its root file
// system, and may be that of others. Gives its pid.
absl::StatusOr<uint32_t> RunSleeper(const std::shared_ptr<grpc::Channel>& channel,
                                    const std::string& ns, const std::string& id,
                                    const std::string& directory);
// Kills it and deletes its task.
absl::Status EndSleeper(const std::shared_ptr<grpc::Channel>& channel, const std::string& ns,
                        const std::string& id);

}  // namespace gantry::test

#endif  // GANTRY_TESTS_SUPPORT_SLEEPER_H_
