#ifndef GANTRY_SERVICES_DIFF_PAX_HEADER_H_
#define GANTRY_SERVICES_DIFF_PAX_HEADER_H_

#include <time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/diff/tar_format.h"

namespace gantry::diff {

// What an extended header says of the entry behind it, where a layer has use for it.
struct PaxHeader {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<int64_t> uid;
  std::optional<int64_t> gid;
  std::optional<int64_t> size;
  std::optional<struct timespec> mtime;
  std::vector<std::pair<std::string, std::string>> xattrs;  // SCHILY.xattr.*

  // GNU's sparse files, formats 0.0, 0.1 and 1.0.
  struct Sparse {
    std::string major;
    std::string minor;
    std::optional<std::string> name;
    std::optional<int64_t> real_size;
    // 0.x: the map itself. In 1.0 it comes before the data.
    std::optional<std::vector<Extent>> map;
  };
  std::optional<Sparse> sparse;
};

// Adds the records of one extended header ("LENGTH KEY=VALUE\n" each) to `header`; a record without
// a value takes back what came before. Keys that are not known are passed over. Errors:
// InvalidArgument that names the record. Source: POSIX.1-2017, pax, "pax Extended Header"; star(5);
// GNU tar manual, "Storing Sparse Files".
absl::Status ParsePaxRecords(absl::string_view records, PaxHeader* header);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_PAX_HEADER_H_
