#include "services/tasks/binary_launcher.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/wire.h"
#include "proto/containerd/task/v2/shim.pb.h"
#include "services/rpc/convert.h"
#include "services/tasks/bundle.h"
#include "services/tasks/run_program.h"
#include "services/tasks/shim_answer.h"
#include "services/tasks/shim_client.h"
#include "services/tasks/shim_log.h"

namespace gantry::tasks {
namespace {

constexpr absl::Duration kProgramTimeout = absl::Seconds(30);
constexpr char kNewestVersion[] = "3";

// Waits for the answer of a call that the loop's thread gives; the call's own deadline bounds it.
absl::StatusOr<uint32_t> AwaitPid(ShimClient& shim, const std::string& id) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<absl::StatusOr<uint32_t>> answer;
  };
  const auto waiting = std::make_shared<Waiting>();
  shim.Connect(id, [waiting](absl::StatusOr<uint32_t> pid) {
    const std::lock_guard lock(waiting->mutex);
    waiting->answer = std::move(pid);
    waiting->answered.notify_all();
  });
  std::unique_lock lock(waiting->mutex);
  waiting->answered.wait(lock, [&] { return waiting->answer.has_value(); });
  return *waiting->answer;
}

std::string EncodeAny(const Any& any) {
  WireWriter writer;
  writer.Bytes(1, any.type_url);
  writer.Bytes(2, any.value);
  return writer.Take();
}

}  // namespace

std::vector<std::string> BinaryLauncher::Environment(const std::string& ns) const {
  std::vector<std::string> variables = {
      absl::StrCat("TTRPC_ADDRESS=", daemon_.ttrpc_address),
      absl::StrCat("GRPC_ADDRESS=", daemon_.grpc_address), absl::StrCat("NAMESPACE=", ns),
      absl::StrCat("MAX_SHIM_VERSION=", kNewestVersion), "GOMAXPROCS=2"};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view text = *variable;
    const std::string name(text.substr(0, text.find('=')));
    if (name != "NOTIFY_SOCKET" && name != "GANTRY_FAULT" && name != "TTRPC_ADDRESS" &&
        name != "GRPC_ADDRESS" && name != "NAMESPACE" && name != "MAX_SHIM_VERSION" &&
        name != "GOMAXPROCS") {
      variables.emplace_back(text);
    }
  }
  return variables;
}

absl::StatusOr<std::string> BinaryLauncher::Run(const std::string& binary, const std::string& ns,
                                                const std::string& id, const std::string& bundle,
                                                const std::vector<std::string>& more,
                                                const char* action,
                                                const std::string& input) const {
  Program program;
  program.path = binary;
  program.arguments = {"-namespace",    ns,    "-address", daemon_.grpc_address, "-publish-binary",
                       daemon_.program, "-id", id};
  program.arguments.insert(program.arguments.end(), more.begin(), more.end());
  if (daemon_.debug) program.arguments.emplace_back("-debug");
  program.arguments.emplace_back(action);
  program.environment = Environment(ns);
  program.directory = bundle;
  program.input = input;
  program.timeout = kProgramTimeout;
  return RunProgram(program);
}

absl::Status BinaryLauncher::Connect(const std::string& ns, const std::string& id,
                                     LaunchedShim* launched) {
  ShimAddress& address = launched->address;
  GANTRY_ASSIGN_OR_RETURN(std::shared_ptr<ttrpc::Client> client,
                          ttrpc::Client::Connect(loop_, address.socket));
  const auto shim = std::make_shared<ShimClient>(std::move(client), ns, address.version);
  launched->shim = shim;
  if (address.pid > 0) return absl::OkStatus();
  const absl::StatusOr<uint32_t> pid = AwaitPid(*shim, id);
  if (absl::IsUnavailable(pid.status()) || absl::IsDeadlineExceeded(pid.status())) {
    return pid.status();
  }
  // One that does not tell is watched by its connection alone.
  if (!pid.ok() || *pid == 0) return absl::OkStatus();
  launched->pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  const absl::StatusOr<uint64_t> start_time = StartTimeOf(static_cast<pid_t>(*pid));
  if (!launched->pidfd.valid() || !start_time.ok()) {
    return absl::UnavailableError(absl::StrCat("shim ", *pid, " has ended"));
  }
  address.pid = static_cast<pid_t>(*pid);
  address.start_time = *start_time;
  return absl::OkStatus();
}

absl::StatusOr<LaunchedShim> BinaryLauncher::Launch(const LaunchRequest& request) {
  LaunchedShim launched;
  launched.address.binary = request.binary;
  GANTRY_ASSIGN_OR_RETURN(launched.address.boot_id, BootId());
  GANTRY_ASSIGN_OR_RETURN(launched.log,
                          ShimLog::Open(loop_, request.bundle, request.ns, request.id));
  const std::string options =
      request.options.type_url.empty() ? std::string() : EncodeAny(request.options);
  const absl::StatusOr<std::string> said =
      Run(request.binary, request.ns, request.id, request.bundle, {}, "start", options);
  GANTRY_RETURN_IF_ERROR(Annotate(said.status(), "start shim"));
  const absl::Status status = [&]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const ShimAnswer answer, ParseShimAnswer(*said));
    launched.address.socket = answer.socket;
    launched.address.version = answer.version;
    GANTRY_RETURN_IF_ERROR(Annotate(Connect(request.ns, request.id, &launched), "connect to shim"));
    return WriteAddress(request.bundle, launched.address);
  }();
  if (status.ok()) return launched;
  // It has left a shim behind, which its own program knows how to end.
  RunDelete(request.binary, request.ns, request.id, request.bundle).status().IgnoreError();
  return Annotate(status, absl::StrCat("shim ", request.binary));
}

absl::StatusOr<LaunchedShim> BinaryLauncher::Reconnect(const std::string& ns, const std::string& id,
                                                       const std::string& bundle) {
  LaunchedShim found;
  GANTRY_ASSIGN_OR_RETURN(found.address, ReadAddress(bundle));
  GANTRY_ASSIGN_OR_RETURN(const std::string boot_id, BootId());
  if (found.address.boot_id != boot_id) {
    return absl::NotFoundError("shim was of an earlier boot");
  }
  if (found.address.pid > 0) {
    found.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, found.address.pid, 0)));
    // Asked after the pidfd was taken: the two are of one process.
    const absl::StatusOr<uint64_t> start_time = StartTimeOf(found.address.pid);
    if (!found.pidfd.valid() || !start_time.ok() || *start_time != found.address.start_time) {
      return absl::NotFoundError(absl::StrCat("shim ", found.address.pid, " has ended"));
    }
  }
  GANTRY_ASSIGN_OR_RETURN(found.log, ShimLog::Open(loop_, bundle, ns, id));
  if (absl::Status connected = Connect(ns, id, &found); !connected.ok()) {
    return absl::NotFoundError(absl::StrCat("shim does not listen: ", connected.message()));
  }
  return found;
}

absl::StatusOr<Exit> BinaryLauncher::RunDelete(const std::string& binary, const std::string& ns,
                                               const std::string& id,
                                               const std::string& bundle) const {
  const absl::StatusOr<std::string> said =
      Run(binary, ns, id, bundle, {"-bundle", bundle}, "delete", "");
  // A runc shim mounts the root on the host; what stayed would be deleted with the bundle.
  while (::umount2(absl::StrCat(bundle, "/rootfs").c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  GANTRY_RETURN_IF_ERROR(Annotate(said.status(), "clean up after the shim"));
  containerd::task::v2::DeleteResponse response;
  if (!response.ParseFromString(*said)) {
    return absl::InternalError(absl::StrCat(binary, " delete: malformed answer"));
  }
  return Exit{response.pid(), response.exit_status(), rpc::ToTime(response.exited_at())};
}

absl::StatusOr<Exit> BinaryLauncher::CleanUp(const std::string& ns, const std::string& id,
                                             const std::string& bundle) {
  GANTRY_ASSIGN_OR_RETURN(const ShimAddress address, ReadAddress(bundle));
  return RunDelete(address.binary, ns, id, bundle);
}

void BinaryLauncher::Forget(const std::string&, const std::string&, const std::string& bundle) {
  // The shim has unmounted it when it deleted the container.
  while (::umount2(absl::StrCat(bundle, "/rootfs").c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
}

}  // namespace gantry::tasks
