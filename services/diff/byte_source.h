#ifndef GANTRY_SERVICES_DIFF_BYTE_SOURCE_H_
#define GANTRY_SERVICES_DIFF_BYTE_SOURCE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::diff {

// A stream of bytes, read front to back by one thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, empty at the end; good until the next call.
  virtual absl::StatusOr<absl::string_view> Next() = 0;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_BYTE_SOURCE_H_
