#ifndef GANTRY_BENCH_DRIVER_BLOBS_H_
#define GANTRY_BENCH_DRIVER_BLOBS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bench/driver/client.h"

namespace gantry::bench {

// Bytes that do not compress, the same for the same seed. Large ones repeat a block of a mebibyte
// with a counter in it, so that they need no memory.
class RandomBlob {
 public:
  RandomBlob(uint64_t seed, int64_t size);
  // The bytes from `offset`, at most a block; good until the next call.
  absl::string_view Block(int64_t offset);
  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] const std::string& digest() const { return digest_; }

 private:
  int64_t size_;
  std::string block_;
  std::string digest_;
};

// Uploads as clients do: messages of a mebibyte at most, the commit apart from the data.
absl::Status WriteBlob(Client& client, RandomBlob& blob, const std::string& ref);

// Reads and forgets; gives the number of bytes.
absl::StatusOr<int64_t> DrainBlob(Client& client, const std::string& digest);

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_DRIVER_BLOBS_H_
