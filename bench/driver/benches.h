#ifndef GANTRY_BENCH_DRIVER_BENCHES_H_
#define GANTRY_BENCH_DRIVER_BENCHES_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/json.h"
#include "bench/driver/client.h"
#include "bench/driver/load.h"

namespace gantry::bench {

// The loads that the driver can make. Each gives its figures as JSON and leaves the daemon as it
// found it; an error names the call that failed. `image` is one that was imported and unpacked.

// Calls of Version: what a call costs that does nothing.
absl::StatusOr<Json> BenchCalls(const Target& target, const LoadOptions& load);

// create, start, wait and delete of containers whose records were made before. With `first_byte`
// the container prints, and the time from Start's sending to the first byte is a lap as well.
absl::StatusOr<Json> BenchStart(const Target& target, const LoadOptions& load,
                                const std::string& image, bool first_byte, bool network);

// exec, start, wait and delete of /bin/true in a container that runs.
absl::StatusOr<Json> BenchExec(const Target& target, const LoadOptions& load,
                               const std::string& image);

// Containers that idle, named PREFIX0 and so on: started and left running, or ended and removed.
absl::StatusOr<Json> StartIdle(const Target& target, const LoadOptions& load,
                               const std::string& image, const std::string& prefix);
absl::StatusOr<Json> StopIdle(const Target& target, const LoadOptions& load,
                              const std::string& prefix);

// Prepare, Mounts and Remove while `existing` other snapshots are there.
absl::StatusOr<Json> BenchSnapshots(const Target& target, const LoadOptions& load,
                                    const std::string& image, int existing);

// Ingest of `load.runs` blobs of `size` bytes, and the reading of them.
absl::StatusOr<Json> BenchContent(const Target& target, const LoadOptions& load, int64_t size);

// `load.runs` image records: created, listed ten times, deleted.
absl::StatusOr<Json> BenchImages(const Target& target, const LoadOptions& load);

// Events published on one connection and received on another: from Publish to its arrival.
absl::StatusOr<Json> BenchEvents(const Target& target, const LoadOptions& load);

// Collection of `load.runs` small blobs whose lease is deleted. {"skipped": REASON} if the daemon
// keeps them.
absl::StatusOr<Json> BenchCollect(const Target& target, const LoadOptions& load);

// The layers of `image` unpacked into new snapshots, each applied and committed.
absl::StatusOr<Json> BenchUnpack(const Target& target, const LoadOptions& load,
                                 const std::string& image);

// Compare of a snapshot that holds `size` bytes in files more than its parent.
absl::StatusOr<Json> BenchCompare(const Target& target, const LoadOptions& load,
                                  const std::string& image, int64_t size);

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_DRIVER_BENCHES_H_
