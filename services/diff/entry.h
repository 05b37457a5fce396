#ifndef GANTRY_SERVICES_DIFF_ENTRY_H_
#define GANTRY_SERVICES_DIFF_ENTRY_H_

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace gantry::diff {

// One entry of a layer's tar. `name` and `link` are as the archive has them, so hostile.
struct Entry {
  std::string name;
  std::string link;  // target of a hard or symbolic link
  bool is_hardlink = false;
  mode_t mode = 0;  // type and permission bits, as st_mode
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t device = 0;  // of a device node
  struct timespec mtime {};
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// `name` for a message: quoted, other than printable bytes escaped, and cut to a length that fits
// gRPC's trailers.
std::string QuotedName(absl::string_view name);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_ENTRY_H_
