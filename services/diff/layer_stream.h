#ifndef GANTRY_SERVICES_DIFF_LAYER_STREAM_H_
#define GANTRY_SERVICES_DIFF_LAYER_STREAM_H_

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "services/diff/byte_source.h"
#include "services/diff/decompressor.h"
#include "services/diff/layer_limits.h"

namespace gantry::diff {

// What a layer was, once inflated: the diff id of the image's config.
struct Applied {
  Digest digest;
  int64_t size_bytes = 0;
};

// The inflated bytes of a layer. One thread inflates and one hashes, while the caller's makes files
// of what they are; all three share a ring of 16 blocks of 512 KiB, so that a layer of any size
// takes 8 MiB and no byte is copied on its way.
class LayerStream final : public ByteSource {
 public:
  // As MakeDecompressor; `fd` outlives this.
  static absl::StatusOr<std::unique_ptr<LayerStream>> Start(int fd, uint64_t size_bytes,
                                                            const LayerLimits& limits);
  ~LayerStream() override;

  // Errors: DataLoss for a broken stream; ResourceExhausted for one past the limits.
  absl::StatusOr<absl::string_view> Next() override;

  // Passes over what is left (what follows an archive's end mark belongs to the diff id as well)
  // and tells what it all was.
  absl::StatusOr<Applied> Finish();

 private:
  static constexpr size_t kBlockBytes = 512 << 10;
  static constexpr uint64_t kBlocks = 16;
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };

  LayerStream(std::unique_ptr<Decompressor> decompressor, Digester digester, uint64_t compressed,
              const LayerLimits& limits);
  void Inflate();
  void Hash();
  absl::Status CheckLimits(int64_t inflated) const;
  Block& At(uint64_t number) { return ring_[number % kBlocks]; }

  const std::unique_ptr<Decompressor> decompressor_;  // the inflating thread's
  Digester digester_;                                 // the hashing thread's
  const int64_t compressed_;
  const LayerLimits limits_;
  std::array<Block, kBlocks> ring_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Blocks made, hashed and given back by the caller, since the start. A block is free once both
  // have passed it.
  uint64_t made_ = 0;
  uint64_t hashed_ = 0;
  uint64_t read_ = 0;
  bool ended_ = false;
  bool stopping_ = false;
  absl::Status end_;
  int64_t size_ = 0;
  bool reading_ = false;  // the caller holds block read_

  std::thread inflater_;
  std::thread hasher_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_LAYER_STREAM_H_
