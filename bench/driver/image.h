#ifndef GANTRY_BENCH_DRIVER_IMAGE_H_
#define GANTRY_BENCH_DRIVER_IMAGE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/driver/client.h"

namespace gantry::bench {

struct Layer {
  ::containerd::types::Descriptor descriptor;
  std::string diff_id;
  std::string chain_id;  // the name that clients give to the snapshot of this layer
};

// The layers of an image that was imported, lowest first.
absl::StatusOr<std::vector<Layer>> LayersOf(Client& client, const std::string& image);

absl::StatusOr<std::string> ReadBlob(Client& client, const std::string& digest);

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_DRIVER_IMAGE_H_
