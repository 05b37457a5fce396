#ifndef GANTRY_BENCH_FLOOR_FLOOR_H_
#define GANTRY_BENCH_FLOOR_FLOOR_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::bench {

struct FloorOptions {
  std::string root_tree;  // the lower directory of the overlay
  std::string work;       // on the file system that the snapshots would be on
  std::string tmpfs;      // on the one that bundles would be on
  std::vector<std::string> argv = {"/bin/true"};
  bool network = true;  // a network namespace of its own
};

// The steps of one container, each with the nanoseconds that it took, in their order.
using FloorRun = std::vector<std::pair<std::string, int64_t>>;

// What the kernel alone needs for a container: no daemon, no specification, no protocol; the calls
// that are unavoidable, from one process to another. It is what a runtime's own share is told by.
// The process that calls it is single-threaded and root.
absl::StatusOr<FloorRun> RunFloor(const FloorOptions& options, int number);

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_FLOOR_FLOOR_H_
