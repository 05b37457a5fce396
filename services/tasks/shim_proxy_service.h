#ifndef GANTRY_SERVICES_TASKS_SHIM_PROXY_SERVICE_H_
#define GANTRY_SERVICES_TASKS_SHIM_PROXY_SERVICE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <string>

#include "services/tasks/task_manager.h"

namespace gantry::tasks {

// The Task API of every shim on the daemon's own socket, so that grpcurl can look at any of them:
// a call goes, byte for byte, to the shim of the container that its request names (field 1, `id`)
// in the namespace of its header. Which methods there are, the contract's descriptor says.
class ShimProxyService final : public grpc::Service {
 public:
  // `name`: containerd.task.v2.Task or containerd.task.v3.Task. `tasks` outlives this.
  ShimProxyService(const std::string& name, TaskManager& tasks);

 private:
  grpc::ServerUnaryReactor* Forward(const std::string& method, grpc::CallbackServerContext* context,
                                    const grpc::ByteBuffer* request, grpc::ByteBuffer* response);

  TaskManager& tasks_;
  std::deque<std::string> paths_;  // gRPC keeps pointers to them
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_SHIM_PROXY_SERVICE_H_
