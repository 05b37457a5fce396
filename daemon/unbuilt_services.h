#ifndef GANTRY_DAEMON_UNBUILT_SERVICES_H_
#define GANTRY_DAEMON_UNBUILT_SERVICES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace grpc {
class Service;
}

namespace gantry::daemon {

// The services of the contract that gantry does not have: transfer, streaming, mounts and the two
// of sandboxes. They are registered so that reflection describes them, and each method answers
// Unimplemented with a sentence, on which clients fall back to what they did before these services.
std::vector<std::pair<std::string, std::unique_ptr<grpc::Service>>> UnbuiltServices();

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_UNBUILT_SERVICES_H_
