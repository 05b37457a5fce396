#ifndef GANTRY_SERVICES_CHECK_REFERENCE_CHECK_H_
#define GANTRY_SERVICES_CHECK_REFERENCE_CHECK_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/check/check.h"
#include "services/gc/gc.h"
#include "services/metadata/store.h"

namespace gantry::check {

// Finds records that cannot do without a record that is not there: images without their target,
// leases and containers that name what is gone. A record refers as a collection sees it; labels may
// refer to what was never fetched, and are passed over. What lies in a bucket that is not in
// `known` is another process's.
//
// Mended: a lease lets go of what is not there. What an image or a container misses has to come
// from where it came from.
absl::Status CheckReferences(metadata::Store& store,
                             const std::vector<const gc::Collectible*>& kinds,
                             const std::set<std::string>& known, const Options& options,
                             const Report& report);

}  // namespace gantry::check

#endif  // GANTRY_SERVICES_CHECK_REFERENCE_CHECK_H_
