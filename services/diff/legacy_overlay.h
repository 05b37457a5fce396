#ifndef GANTRY_SERVICES_DIFF_LEGACY_OVERLAY_H_
#define GANTRY_SERVICES_DIFF_LEGACY_OVERLAY_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "services/diff/mounted_tree.h"

namespace gantry::diff {

// The same as OpenMountedTree for an overlay, on kernels whose overlayfs takes its options in one
// string only (before 6.5; Debian 12 has 6.1) or its layers in 256 bytes (before 6.8): by mount(2),
// on a thread of its own in a mount namespace of its own, of which nothing is left but the detached
// tree. Lower directories are given relative to the one they share, so that many fit into a page.
// Errors: InvalidArgument if they do not fit; what mount(2) said.
absl::StatusOr<UniqueFd> OpenLegacyOverlay(const Mount& mount);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_LEGACY_OVERLAY_H_
