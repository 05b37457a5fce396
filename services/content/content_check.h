#ifndef GANTRY_SERVICES_CONTENT_CONTENT_CHECK_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "services/check/check.h"
#include "services/metadata/store.h"

namespace gantry::content {

struct CheckedContent {
  size_t blobs = 0;
  int64_t bytes = 0;
  size_t ingests = 0;
};

// Holds the records of blobs and uploads against the files below `root`, the directory of a
// ContentStore that nobody has open. Blocks for as long as it takes to read every blob.
//
// Small blobs whose bytes are in the store are put back first, as a start of the daemon does.
//
// Mended: the records of a blob whose file is gone or damaged, which are removed so that the next
// pull fetches it (the file is kept in <root>/quarantine); files and directories that no record
// names; records of uploads whose data is gone.
absl::StatusOr<CheckedContent> CheckContent(const std::string& root, metadata::Store& store,
                                            const check::Options& options,
                                            const check::Report& report);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_CHECK_H_
