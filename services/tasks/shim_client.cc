#include "services/tasks/shim_client.h"

#include "proto/containerd/task/v2/shim.pb.h"
#include "services/rpc/convert.h"

namespace gantry::tasks {
namespace {

namespace api = containerd::task::v2;

// Create and Start do a container's whole set-up, image loading of the program included, perhaps on
// a slow disk; the rest is short. Metrics are asked of many at once and rather missed than late.
constexpr absl::Duration kSetUpTimeout = absl::Seconds(30);
constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr absl::Duration kStatsTimeout = absl::Seconds(3);

// A handler of the bytes of `Response` from a handler of what `convert` makes of it.
template <typename Response, typename T, typename Convert>
ttrpc::Client::Done Parsing(absl::string_view method, Done<T> done, Convert convert) {
  return [method = std::string(method), done = std::move(done),
          convert](absl::StatusOr<std::string> payload) {
    if (!payload.ok()) return done(payload.status());
    Response response;
    if (!response.ParseFromString(*payload)) {
      return done(
          absl::InternalError(absl::StrCat("shim answered ", method, " with a malformed message")));
    }
    done(convert(response));
  };
}

template <typename Request>
Request ProcessRequest(const std::string& id, const std::string& exec_id) {
  Request request;
  request.set_id(id);
  request.set_exec_id(exec_id);
  return request;
}

template <typename Request>
void SetStdio(const Stdio& io, Request* request) {
  request->set_terminal(io.terminal);
  request->set_stdin(io.in);
  request->set_stdout(io.out);
  request->set_stderr(io.err);
}

template <typename Response>
uint32_t PidOf(const Response& response) {
  return response.pid();
}

ProcessState ToState(const api::StateResponse& response) {
  ProcessState state;
  state.container_id = response.id();
  state.exec_id = response.exec_id();
  state.pid = response.pid();
  state.status = static_cast<Status>(response.status());
  state.io = {response.stdin(), response.stdout(), response.stderr(), response.terminal()};
  state.exit_status = response.exit_status();
  if (response.has_exited_at()) state.exited_at = rpc::ToTime(response.exited_at());
  return state;
}

Exit ToExit(const api::DeleteResponse& response) {
  return {response.pid(), response.exit_status(), rpc::ToTime(response.exited_at())};
}

std::vector<PidInfo> ToPids(const api::PidsResponse& response) {
  std::vector<PidInfo> pids;
  pids.reserve(response.processes_size());
  for (const auto& process : response.processes()) {
    pids.push_back({process.pid(), rpc::ToAny(process.info())});
  }
  return pids;
}

}  // namespace

void ShimClient::Call(absl::string_view method, const google::protobuf::MessageLite& request,
                      absl::Duration timeout, ttrpc::Client::Done done) {
  ttrpc::CallOptions options;
  options.timeout = timeout;
  options.metadata = {{"containerd-namespace-ttrpc", ns_}};
  client_->CallMethod(service_, method, request.SerializeAsString(), std::move(options),
                      std::move(done));
}

void ShimClient::CallForStatus(absl::string_view method,
                               const google::protobuf::MessageLite& request, absl::Duration timeout,
                               DoneStatus done) {
  Call(method, request, timeout,
       [done = std::move(done)](const absl::StatusOr<std::string>& payload) {
         done(payload.status());
       });
}

void ShimClient::Create(const CreateRequest& request, Done<uint32_t> done) {
  api::CreateTaskRequest message;
  message.set_id(request.id);
  message.set_bundle(request.bundle);
  for (const Mount& mount : request.rootfs) {
    containerd::types::Mount* added = message.add_rootfs();
    added->set_type(mount.type);
    added->set_source(mount.source);
    added->set_target(mount.target);
    for (const std::string& option : mount.options) added->add_options(option);
  }
  SetStdio(request.io, &message);
  if (!request.options.type_url.empty()) rpc::ToProto(request.options, message.mutable_options());
  Call("Create", message, kSetUpTimeout,
       Parsing<api::CreateTaskResponse, uint32_t>("Create", std::move(done),
                                                  PidOf<api::CreateTaskResponse>));
}

void ShimClient::Start(const std::string& id, const std::string& exec_id, Done<uint32_t> done) {
  Call("Start", ProcessRequest<api::StartRequest>(id, exec_id), kSetUpTimeout,
       Parsing<api::StartResponse, uint32_t>("Start", std::move(done), PidOf<api::StartResponse>));
}

void ShimClient::State(const std::string& id, const std::string& exec_id, Done<ProcessState> done) {
  Call("State", ProcessRequest<api::StateRequest>(id, exec_id), kCallTimeout,
       Parsing<api::StateResponse, ProcessState>("State", std::move(done), ToState));
}

void ShimClient::Delete(const std::string& id, const std::string& exec_id, Done<Exit> done) {
  Call("Delete", ProcessRequest<api::DeleteRequest>(id, exec_id), kCallTimeout,
       Parsing<api::DeleteResponse, Exit>("Delete", std::move(done), ToExit));
}

void ShimClient::Kill(const std::string& id, const std::string& exec_id, uint32_t signal, bool all,
                      DoneStatus done) {
  auto message = ProcessRequest<api::KillRequest>(id, exec_id);
  message.set_signal(signal);
  message.set_all(all);
  CallForStatus("Kill", message, kCallTimeout, std::move(done));
}

void ShimClient::Exec(const std::string& id, const std::string& exec_id, const Stdio& io,
                      const Any& spec, DoneStatus done) {
  auto message = ProcessRequest<api::ExecProcessRequest>(id, exec_id);
  SetStdio(io, &message);
  rpc::ToProto(spec, message.mutable_spec());
  CallForStatus("Exec", message, kCallTimeout, std::move(done));
}

void ShimClient::ResizePty(const std::string& id, const std::string& exec_id, uint32_t width,
                           uint32_t height, DoneStatus done) {
  auto message = ProcessRequest<api::ResizePtyRequest>(id, exec_id);
  message.set_width(width);
  message.set_height(height);
  CallForStatus("ResizePty", message, kCallTimeout, std::move(done));
}

void ShimClient::CloseStdin(const std::string& id, const std::string& exec_id, DoneStatus done) {
  auto message = ProcessRequest<api::CloseIORequest>(id, exec_id);
  message.set_stdin(true);
  CallForStatus("CloseIO", message, kCallTimeout, std::move(done));
}

void ShimClient::Pause(const std::string& id, DoneStatus done) {
  api::PauseRequest message;
  message.set_id(id);
  CallForStatus("Pause", message, kCallTimeout, std::move(done));
}

void ShimClient::Resume(const std::string& id, DoneStatus done) {
  api::ResumeRequest message;
  message.set_id(id);
  CallForStatus("Resume", message, kCallTimeout, std::move(done));
}

void ShimClient::Update(const std::string& id, const Any& resources, DoneStatus done) {
  api::UpdateTaskRequest message;
  message.set_id(id);
  rpc::ToProto(resources, message.mutable_resources());
  CallForStatus("Update", message, kCallTimeout, std::move(done));
}

void ShimClient::Pids(const std::string& id, Done<std::vector<PidInfo>> done) {
  api::PidsRequest message;
  message.set_id(id);
  Call("Pids", message, kCallTimeout,
       Parsing<api::PidsResponse, std::vector<PidInfo>>("Pids", std::move(done), ToPids));
}

void ShimClient::Stats(const std::string& id, Done<Any> done) {
  api::StatsRequest message;
  message.set_id(id);
  Call("Stats", message, kStatsTimeout,
       Parsing<api::StatsResponse, Any>(
           "Stats", std::move(done),
           [](const api::StatsResponse& response) { return rpc::ToAny(response.stats()); }));
}

void ShimClient::Wait(const std::string& id, const std::string& exec_id, Done<Exit> done) {
  const auto to_exit = [](const api::WaitResponse& response) {
    return Exit{0, response.exit_status(), rpc::ToTime(response.exited_at())};
  };
  Call("Wait", ProcessRequest<api::WaitRequest>(id, exec_id), absl::InfiniteDuration(),
       Parsing<api::WaitResponse, Exit>("Wait", std::move(done), to_exit));
}

void ShimClient::Forward(const std::string& method, std::string payload, Done<std::string> done) {
  ttrpc::CallOptions options;
  if (method != "Wait") options.timeout = kSetUpTimeout;
  options.metadata = {{"containerd-namespace-ttrpc", ns_}};
  client_->CallMethod(service_, method, std::move(payload), std::move(options), std::move(done));
}

void ShimClient::Connect(const std::string& id, Done<uint32_t> done) {
  api::ConnectRequest message;
  message.set_id(id);
  const auto to_pid = [](const api::ConnectResponse& response) { return response.shim_pid(); };
  Call("Connect", message, kCallTimeout,
       Parsing<api::ConnectResponse, uint32_t>("Connect", std::move(done), to_pid));
}

void ShimClient::Shutdown(const std::string& id, bool now, DoneStatus done) {
  api::ShutdownRequest message;
  message.set_id(id);
  message.set_now(now);
  CallForStatus("Shutdown", message, kCallTimeout, std::move(done));
}

void ShimClient::OnClose(std::function<void()> callback) { client_->OnClose(std::move(callback)); }

}  // namespace gantry::tasks
