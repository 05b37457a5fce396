#ifndef GANTRY_DAEMON_SERVICE_SET_H_
#define GANTRY_DAEMON_SERVICE_SET_H_

#include <bitset>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::daemon {

// The services that a gantryd may serve or leave to another. Version, introspection, health and
// reflection are always there.
enum class Service {
  kContainers,
  kContent,
  kDiff,
  kEvents,
  kImages,
  kLeases,
  kNamespaces,
  kSnapshots,
  kTasks,
};
inline constexpr size_t kServiceCount = 9;

// Which of them one daemon serves; all unless it was told otherwise.
class ServiceSet {
 public:
  ServiceSet() { members_.set(); }

  // A list such as "content,snapshots". Errors: InvalidArgument that names what is unknown, or the
  // service that one of the list cannot be without.
  static absl::StatusOr<ServiceSet> Parse(absl::string_view list);

  [[nodiscard]] bool Has(Service service) const {
    return members_.test(static_cast<size_t>(service));
  }
  [[nodiscard]] bool IsWhole() const { return members_.all(); }
  // As Parse reads it, in alphabetical order.
  [[nodiscard]] std::string Text() const;

  bool operator==(const ServiceSet&) const = default;

 private:
  std::bitset<kServiceCount> members_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_SERVICE_SET_H_
