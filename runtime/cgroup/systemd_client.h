#ifndef GANTRY_RUNTIME_CGROUP_SYSTEMD_CLIENT_H_
#define GANTRY_RUNTIME_CGROUP_SYSTEMD_CLIENT_H_

#include <sys/types.h>

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "runtime/cgroup/dbus_message.h"

namespace gantry::runtime {

// A property of a unit: a name and a value of the D-Bus types s, b, t, au or ay.
struct UnitProperty {
  std::string name;
  std::variant<std::string, bool, uint64_t, std::vector<uint32_t>, std::vector<uint8_t>> value;

  bool operator==(const UnitProperty&) const = default;
};

// A connection to systemd's manager (process 1) over its private socket, which takes root alone and
// needs no message bus. One call at a time; each waits a bounded time. Thread-compatible.
// Source: org.freedesktop.systemd1(5).
class SystemdClient {
 public:
  // Errors: FailedPrecondition if systemd is not the init here.
  static absl::StatusOr<SystemdClient> Connect();

  // Starts a scope that holds `pid`, and waits until it is there. Errors: AlreadyExists if a unit
  // of this name is loaded; what systemd says, else.
  absl::Status StartScope(const std::string& unit, pid_t pid,
                          const std::vector<UnitProperty>& properties);
  // Until the next boot.
  absl::Status SetProperties(const std::string& unit, const std::vector<UnitProperty>& properties);
  // Stops and unloads; a unit that is not loaded is OK.
  absl::Status StopUnit(const std::string& unit);

 private:
  explicit SystemdClient(UniqueFd socket) : socket_(std::move(socket)) {}
  absl::Status Authenticate();
  absl::Status Send(absl::string_view bytes);
  absl::Status Receive(size_t size, std::string* bytes);
  absl::StatusOr<DBusMessage> ReadMessage();
  absl::StatusOr<DBusMessage> Call(const char* member, const char* signature, std::string body);
  // Waits for the job that `reply` names.
  absl::Status WaitForJob(const DBusMessage& reply, const std::string& unit);

  UniqueFd socket_;
  uint32_t serial_ = 0;
  absl::Time deadline_ = absl::InfiniteFuture();
  // Jobs that ended while a reply was waited for: path and result.
  std::vector<std::pair<std::string, std::string>> ended_jobs_;
};

// The bodies, for tests.
std::string StartScopeBody(const std::string& unit, const std::vector<UnitProperty>& properties);
std::string SetPropertiesBody(const std::string& unit, const std::vector<UnitProperty>& properties);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_SYSTEMD_CLIENT_H_
