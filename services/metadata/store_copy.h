#ifndef GANTRY_SERVICES_METADATA_STORE_COPY_H_
#define GANTRY_SERVICES_METADATA_STORE_COPY_H_

#include <string>

#include "absl/status/status.h"

namespace gantry::metadata {

// Copies the records of the store in the directory `path` to a new store in `destination`, as they
// were at one moment. Another process may have the store open and write meanwhile: LMDB's own lock
// file tells it of this reader, which holds up nobody. The copy is on the disk when this returns.
//
// Errors: AlreadyExists if there is a store in `destination`; NotFound if there is none in `path`.
absl::Status CopyStore(const std::string& path, const std::string& destination);

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_STORE_COPY_H_
