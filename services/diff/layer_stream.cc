#include "services/diff/layer_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::diff {

absl::StatusOr<std::unique_ptr<LayerStream>> LayerStream::Start(int fd, uint64_t size_bytes,
                                                                const LayerLimits& limits) {
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<Decompressor> decompressor,
                          MakeDecompressor(fd, size_bytes));
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create());
  return std::unique_ptr<LayerStream>(
      new LayerStream(std::move(decompressor), std::move(digester), size_bytes, limits));
}

LayerStream::LayerStream(std::unique_ptr<Decompressor> decompressor, Digester digester,
                         uint64_t compressed, const LayerLimits& limits)
    : decompressor_(std::move(decompressor)),
      digester_(std::move(digester)),
      compressed_(static_cast<int64_t>(compressed)),
      limits_(limits) {
  inflater_ = std::thread([this] { Inflate(); });
  hasher_ = std::thread([this] { Hash(); });
}

LayerStream::~LayerStream() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (inflater_.joinable()) inflater_.join();
  if (hasher_.joinable()) hasher_.join();
}

absl::Status LayerStream::CheckLimits(int64_t inflated) const {
  if (limits_.max_bytes > 0 && inflated > limits_.max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("inflate the layer: more than the ", limits_.max_bytes,
                     " bytes that a layer may have (max_layer_bytes)"));
  }
  if (limits_.max_ratio > 0 && inflated > LayerLimits::kRatioFloor &&
      inflated / limits_.max_ratio > compressed_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("inflate the layer: ", compressed_, " compressed bytes gave more than ",
                     limits_.max_ratio, " times as many (max_layer_ratio)"));
  }
  return absl::OkStatus();
}

void LayerStream::Inflate() {
  for (uint64_t number = 0;; ++number) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || number - std::min(hashed_, read_) < kBlocks; });
      if (stopping_) return;
    }
    Block& block = At(number);
    if (block.bytes == nullptr) block.bytes = std::make_unique_for_overwrite<char[]>(kBlockBytes);
    absl::StatusOr<size_t> got = decompressor_->Read({block.bytes.get(), kBlockBytes});
    const std::lock_guard lock(mutex_);
    absl::Status status = got.status();
    if (status.ok()) status = CheckLimits(size_ + static_cast<int64_t>(*got));
    const bool last = !status.ok() || *got < kBlockBytes;
    if (status.ok() && *got > 0) {
      block.size = *got;
      size_ += static_cast<int64_t>(*got);
      ++made_;
    }
    ended_ = last;
    if (last) end_ = std::move(status);
    changed_.notify_all();
    if (last) return;
  }
}

void LayerStream::Hash() {
  for (uint64_t number = 0;; ++number) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || number < made_ || ended_; });
      if (stopping_ || number == made_) return;
    }
    const Block& block = At(number);
    digester_.Update({block.bytes.get(), block.size});
    const std::lock_guard lock(mutex_);
    ++hashed_;
    changed_.notify_all();
  }
}

absl::StatusOr<absl::string_view> LayerStream::Next() {
  std::unique_lock lock(mutex_);
  if (reading_) {
    ++read_;
    reading_ = false;
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return read_ < made_ || ended_; });
  if (read_ == made_) {
    if (!end_.ok()) return end_;
    return absl::string_view();
  }
  reading_ = true;
  const Block& block = At(read_);
  return absl::string_view(block.bytes.get(), block.size);
}

absl::StatusOr<Applied> LayerStream::Finish() {
  for (;;) {
    GANTRY_ASSIGN_OR_RETURN(const absl::string_view bytes, Next());
    if (bytes.empty()) break;
  }
  hasher_.join();
  return Applied{digester_.Finish(), size_};
}

}  // namespace gantry::diff
