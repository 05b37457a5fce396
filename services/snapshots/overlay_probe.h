#ifndef GANTRY_SERVICES_SNAPSHOTS_OVERLAY_PROBE_H_
#define GANTRY_SERVICES_SNAPSHOTS_OVERLAY_PROBE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gantry::snapshots {

// Errors: FailedPrecondition that says what to load.
absl::Status CheckKernelHasOverlay();

// Whether this process is in another user namespace than the machine's first, where overlayfs keeps
// its own attributes under user.* (5.11).
bool InUserNamespace();

// Makes an overlay with `options` (none: nothing to do) in a directory below `root` that goes
// again, attached to nothing. Errors: FailedPrecondition with the kernel's words; InvalidArgument
// for the directories, which are gantry's to set, and for metacopy and redirect_dir: a layer made
// with them is not one for whoever reads its directory alone.
absl::Status ProbeOverlayOptions(const std::string& root, const std::vector<std::string>& options);

// Whether an overlay in `root` can have lower directories whose ids are mapped (Linux 5.19, and a
// file system that can), so that an image need not be copied for each range of ids.
bool CanMapIds(const std::string& root);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_OVERLAY_PROBE_H_
