#ifndef GANTRY_SERVICES_DIFF_BYTE_SINK_H_
#define GANTRY_SERVICES_DIFF_BYTE_SINK_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gantry::diff {

// Takes the bytes of a stream in order; they are good until it returns. An error ends the stream.
using ByteSink = std::function<absl::Status(absl::string_view bytes)>;

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_BYTE_SINK_H_
