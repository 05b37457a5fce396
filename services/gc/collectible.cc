#include "services/gc/gc.h"

namespace gantry::gc {

std::optional<Node> Collectible::Affected(const metadata::RecordName& written) const {
  if (written.bucket != bucket()) return std::nullopt;
  return Node{.bucket = written.bucket, .ns = written.ns, .name = written.name};
}

absl::StatusOr<bool> Collectible::Remove(metadata::Writer&, const Node&) { return false; }

void Collectible::Settle(bool) {}

absl::Status Collectible::Finish() { return absl::OkStatus(); }

}  // namespace gantry::gc
