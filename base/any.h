#ifndef GANTRY_BASE_ANY_H_
#define GANTRY_BASE_ANY_H_

#include <string>

#include "absl/strings/string_view.h"

namespace gantry {

// A google.protobuf.Any that nobody has looked into: container specs, runtime options, extensions
// and event payloads, kept byte for byte. On this contract `type_url` is the bare full name of a
// message
// ("containerd.events.TaskExit") or a JSON type of the Go side
// ("types.containerd.io/opencontainers/runtime-spec/1/Spec").
struct Any {
  std::string type_url;
  std::string value;

  bool operator==(const Any&) const = default;
};

// Whether `type_url` names `full_name`, with or without a "type.googleapis.com/" prefix.
bool TypeUrlIs(absl::string_view type_url, absl::string_view full_name);

}  // namespace gantry

#endif  // GANTRY_BASE_ANY_H_
