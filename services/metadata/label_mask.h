#ifndef GANTRY_SERVICES_METADATA_LABEL_MASK_H_
#define GANTRY_SERVICES_METADATA_LABEL_MASK_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/identifiers.h"

namespace gantry::metadata {

// Applies one path of an update mask if it is about labels: "labels" replaces all, "labels.KEY"
// sets one, or removes it if its new value is empty or absent. False if the path is about something
// else.
bool ApplyLabelPath(absl::string_view path, const Labels& from, Labels* to);

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_LABEL_MASK_H_
