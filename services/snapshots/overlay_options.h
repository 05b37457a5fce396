#ifndef GANTRY_SERVICES_SNAPSHOTS_OVERLAY_OPTIONS_H_
#define GANTRY_SERVICES_SNAPSHOTS_OVERLAY_OPTIONS_H_

#include <string>
#include <vector>

namespace gantry::snapshots {

// As containerd's configuration has them.
struct OverlayOptions {
  // For every overlay, besides what gantry adds: "index=off", and "userxattr" in a user namespace.
  std::vector<std::string> mount_options;
  // Tell clients the upper directory of each snapshot (containerd.io/snapshot/overlay.upperdir).
  bool upperdir_label = false;
  // Remove waits until all is unlinked.
  bool sync_remove = false;
  // Clients may change the owners of a whole image where mounts cannot map ids. They are told so by
  // a capability; one that does not ask does it anyway.
  bool slow_chown = false;
  // Mounts that clients get have the options that map ids. containerd 2 takes them; earlier ones
  // refuse them, and a client's reading of the image comes before its container.
  bool maps_in_mounts = false;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_OVERLAY_OPTIONS_H_
