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
  Source(int fd, uint64_t size) : fd_(fd), size_(size), buffer_(kChunk) {}

  // The next bytes of the file; empty at its end.
  absl::StatusOr<absl::string_view> Next() {
    if (offset_ == size_) return absl::string_view();
    const size_t want = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), size_ - offset_));
    ssize_t got;
    do {
      got = ::pread(fd_, buffer_.data(), want, static_cast<off_t>(offset_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return ErrnoError(errno, "read the layer");
    if (got == 0) return absl::DataLossError("the layer's blob is shorter than its record says");
    offset_ += static_cast<uint64_t>(got);
    return absl::string_view(buffer_.data(), static_cast<size_t>(got));
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
  absl::StatusOr<absl::string_view> Next() override { return source_.Next(); }

 private:
  Source source_;
};

class Gzip final : public Decompressor {
 public:
  Gzip(int fd, uint64_t size) : source_(fd, size), state_(new inflate_state), output_(kChunk) {
    Reset();
  }

  absl::StatusOr<absl::string_view> Next() override {
    for (;;) {
      if (state_->avail_in == 0) {
        GANTRY_ASSIGN_OR_RETURN(const absl::string_view more, source_.Next());
        if (more.empty() && !in_member_) return absl::string_view();
        if (more.empty()) at_end_ = true;
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
        if (state_->avail_in == 0) continue;
        Restart();
      }
      state_->next_out = output_.data();
      state_->avail_out = static_cast<uint32_t>(output_.size());
      const int result = isal_inflate(state_.get());
      if (result != ISAL_DECOMP_OK) {
        return absl::DataLossError(
            absl::StrCat("inflate the layer: broken gzip stream (", result, ")"));
      }
      if (state_->block_state == ISAL_BLOCK_FINISH) in_member_ = false;
      const size_t made = output_.size() - state_->avail_out;
      if (made > 0) return absl::string_view(reinterpret_cast<char*>(output_.data()), made);
      if (at_end_ && in_member_)
        return absl::DataLossError("inflate the layer: unexpected EOF in a gzip stream");
    }
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
    uint8_t* const next = state_->next_in;
    const uint32_t available = state_->avail_in;
    Reset();
    state_->next_in = next;
    state_->avail_in = available;
  }

  Source source_;
  std::unique_ptr<inflate_state> state_;
  std::vector<uint8_t> output_;
  bool in_member_ = true;
  bool at_end_ = false;
};

class Zstd final : public Decompressor {
 public:
  Zstd(int fd, uint64_t size)
      : source_(fd, size), stream_(ZSTD_createDStream(), ZSTD_freeDStream), output_(kChunk) {
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

  absl::StatusOr<absl::string_view> Next() override {
    for (;;) {
      if (input_.pos == input_.size && !flushing_) {
        GANTRY_ASSIGN_OR_RETURN(const absl::string_view more, source_.Next());
        if (more.empty()) {
          if (pending_ != 0)
            return absl::DataLossError("inflate the layer: unexpected EOF in a zstd stream");
          return absl::string_view();
        }
        input_ = {more.data(), more.size(), 0};
      }
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      pending_ = ZSTD_decompressStream(stream_.get(), &out, &input_);
      if (ZSTD_isError(pending_)) {
        return absl::DataLossError(
            absl::StrCat("inflate the layer: ", ZSTD_getErrorName(pending_)));
      }
      flushing_ = out.pos == out.size;  // a full buffer may have more behind it
      if (out.pos > 0) return absl::string_view(output_.data(), out.pos);
    }
  }

 private:
  Source source_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  std::vector<char> output_;
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
