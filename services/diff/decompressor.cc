#include "services/diff/decompressor.h"

#include <isa-l/igzip_lib.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "base/errors.h"

namespace gantry::diff {
namespace {

constexpr size_t kChunk = 256 << 10;
// A zstd frame may ask for a window of any size; this is what the format's own tools accept.
constexpr int kMaxZstdWindowLog = 27;

// Reads the compressed file front to back.
class Source {
 public:
  Source(int fd, uint64_t size) : fd_(fd), size_(size) {}

  // Fills `out` with the next bytes of the file, as far as it goes; 0 at its end.
  absl::StatusOr<size_t> Read(char* out, size_t size) {
    if (offset_ == size_) return 0;
    const size_t want = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset_));
    ssize_t got;
    do {
      got = ::pread(fd_, out, want, static_cast<off_t>(offset_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return ErrnoError(errno, "read the layer");
    if (got == 0) return absl::DataLossError("the layer's blob is shorter than its record says");
    offset_ += static_cast<uint64_t>(got);
    return static_cast<size_t>(got);
  }

  // The next bytes of the file, good until the next call; empty at its end.
  absl::StatusOr<absl::string_view> Next() {
    buffer_.resize(kChunk);
    GANTRY_ASSIGN_OR_RETURN(const size_t got, Read(buffer_.data(), buffer_.size()));
    return absl::string_view(buffer_.data(), got);
  }

 private:
  const int fd_;
  const uint64_t size_;
  uint64_t offset_ = 0;
  std::vector<char> buffer_;
};

class Plain final : public Decompressor {
 public:
  Plain(int fd, uint64_t size) : source_(fd, size) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    size_t have = 0;
    while (have < out.size()) {
      GANTRY_ASSIGN_OR_RETURN(const size_t got, source_.Read(out.data() + have, out.size() - have));
      if (got == 0) break;
      have += got;
    }
    return have;
  }

 private:
  Source source_;
};

class Gzip final : public Decompressor {
 public:
  Gzip(int fd, uint64_t size) : source_(fd, size), state_(new inflate_state) { Reset(); }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    state_->next_out = reinterpret_cast<uint8_t*>(out.data());
    state_->avail_out = static_cast<uint32_t>(out.size());
    while (state_->avail_out > 0) {
      if (state_->avail_in == 0 && !at_end_) {
        GANTRY_ASSIGN_OR_RETURN(const absl::string_view more, source_.Next());
        at_end_ = more.empty();
        state_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(more.data()));
        state_->avail_in = static_cast<uint32_t>(more.size());
      }
      if (!in_member_) {
        // Padding of zero bytes after the last member is what tar and dd leave; gzip ignores it
        // too.
        while (state_->avail_in > 0 && *state_->next_in == 0) {
          ++state_->next_in;
          --state_->avail_in;
        }
        if (state_->avail_in == 0 && at_end_) break;
        if (state_->avail_in == 0) continue;
        Restart();
      }
      const uint32_t room = state_->avail_out;
      const int result = isal_inflate(state_.get());
      if (result != ISAL_DECOMP_OK) {
        return absl::DataLossError(
            absl::StrCat("inflate the layer: broken gzip stream (", result, ")"));
      }
      if (state_->block_state == ISAL_BLOCK_FINISH) {
        in_member_ = false;
      } else if (at_end_ && state_->avail_out == room) {
        return absl::DataLossError("inflate the layer: unexpected EOF in a gzip stream");
      }
    }
    return out.size() - state_->avail_out;
  }

 private:
  void Reset() {
    isal_inflate_init(state_.get());
    state_->crc_flag =
        ISAL_GZIP;  // read the header, and hold the trailer's checksum against the data
    state_->avail_in = 0;
    in_member_ = true;
  }

  // Starts the next member where the last ended.
  void Restart() {
    uint8_t* const next_in = state_->next_in;
    uint8_t* const next_out = state_->next_out;
    const uint32_t available = state_->avail_in;
    const uint32_t room = state_->avail_out;
    Reset();
    state_->next_in = next_in;
    state_->avail_in = available;
    state_->next_out = next_out;
    state_->avail_out = room;
  }

  Source source_;
  std::unique_ptr<inflate_state> state_;
  bool in_member_ = true;
  bool at_end_ = false;
};

class Zstd final : public Decompressor {
 public:
  Zstd(int fd, uint64_t size) : source_(fd, size), stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

  absl::StatusOr<size_t> Read(std::span<char> to) override {
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    while (out.pos < out.size) {
      // A buffer that was full may have more behind it, whatever has been read.
      if (input_.pos == input_.size && !flushing_) {
        GANTRY_ASSIGN_OR_RETURN(const absl::string_view more, source_.Next());
        if (more.empty() && pending_ != 0) {
          return absl::DataLossError("inflate the layer: unexpected EOF in a zstd stream");
        }
        if (more.empty()) break;
        input_ = {more.data(), more.size(), 0};
      }
      pending_ = ZSTD_decompressStream(stream_.get(), &out, &input_);
      if (ZSTD_isError(pending_)) {
        return absl::DataLossError(
            absl::StrCat("inflate the layer: ", ZSTD_getErrorName(pending_)));
      }
      flushing_ = out.pos == out.size && pending_ != 0;
    }
    return out.pos;
  }

 private:
  Source source_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  size_t pending_ = 0;  // 0: a frame has ended
  bool flushing_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Decompressor>> MakeDecompressor(int fd, uint64_t size_bytes) {
  unsigned char magic[4] = {};
  const ssize_t got = ::pread(fd, magic, sizeof magic, 0);
  if (got < 0) return ErrnoError(errno, "read the layer");
  const absl::string_view head(reinterpret_cast<char*>(magic), static_cast<size_t>(got));
  if (head.substr(0, 2) == "\x1f\x8b") return std::make_unique<Gzip>(fd, size_bytes);
  if (head == "\x28\xb5\x2f\xfd") return std::make_unique<Zstd>(fd, size_bytes);
  return std::make_unique<Plain>(fd, size_bytes);
}

}  // namespace gantry::diff
