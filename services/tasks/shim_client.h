#ifndef GANTRY_SERVICES_TASKS_SHIM_CLIENT_H_
#define GANTRY_SERVICES_TASKS_SHIM_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/tasks/shim.h"
#include "ttrpc/client.h"

namespace google::protobuf {
class MessageLite;
}

namespace gantry::tasks {

// A shim over ttrpc: containerd.task.v2.Task or v3, whose messages are the same. Every call but
// Wait has a deadline by construction, so that a shim that hangs costs its callers a bounded time.
class ShimClient final : public Shim {
 public:
  // `ns` travels with each call, as containerd's shims expect.
  ShimClient(std::shared_ptr<ttrpc::Client> client, std::string ns, int version = 2)
      : client_(std::move(client)),
        ns_(std::move(ns)),
        service_(version == 3 ? "containerd.task.v3.Task" : "containerd.task.v2.Task") {}

  void Create(const CreateRequest& request, Done<uint32_t> done) override;
  void Start(const std::string& id, const std::string& exec_id, Done<uint32_t> done) override;
  void State(const std::string& id, const std::string& exec_id, Done<ProcessState> done) override;
  void Delete(const std::string& id, const std::string& exec_id, Done<Exit> done) override;
  void Kill(const std::string& id, const std::string& exec_id, uint32_t signal, bool all,
            DoneStatus done) override;
  void Exec(const std::string& id, const std::string& exec_id, const Stdio& io, const Any& spec,
            DoneStatus done) override;
  void ResizePty(const std::string& id, const std::string& exec_id, uint32_t width, uint32_t height,
                 DoneStatus done) override;
  void CloseStdin(const std::string& id, const std::string& exec_id, DoneStatus done) override;
  void Pause(const std::string& id, DoneStatus done) override;
  void Resume(const std::string& id, DoneStatus done) override;
  void Update(const std::string& id, const Any& resources, DoneStatus done) override;
  void Pids(const std::string& id, Done<std::vector<PidInfo>> done) override;
  void Stats(const std::string& id, Done<Any> done) override;
  void Wait(const std::string& id, const std::string& exec_id, Done<Exit> done) override;
  void Forward(const std::string& method, std::string payload, Done<std::string> done) override;
  void Shutdown(const std::string& id, bool now, DoneStatus done) override;
  void OnClose(std::function<void()> callback) override;
  // Asks for the shim's own pid.
  void Connect(const std::string& id, Done<uint32_t> done);

 private:
  void Call(absl::string_view method, const google::protobuf::MessageLite& request,
            absl::Duration timeout, ttrpc::Client::Done done);
  void CallForStatus(absl::string_view method, const google::protobuf::MessageLite& request,
                     absl::Duration timeout, DoneStatus done);

  const std::shared_ptr<ttrpc::Client> client_;
  const std::string ns_;
  const char* const service_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_SHIM_CLIENT_H_
