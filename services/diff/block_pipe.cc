#include "services/diff/block_pipe.h"

#include <algorithm>

#include "base/errors.h"

namespace gantry::diff {
namespace {

constexpr size_t kBlockBytes = 256 << 10;
constexpr size_t kMostBlocks = 16;

}  // namespace

void BlockPipe::Push(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [this] { return full_.size() < kMostBlocks || !reader_.ok(); });
  full_.push_back(std::move(filling_));
  filling_.clear();
  if (!spare_.empty()) {
    filling_ = std::move(spare_.front());
    spare_.pop_front();
    filling_.clear();
  }
  changed_.notify_all();
}

absl::Status BlockPipe::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (filling_.capacity() < kBlockBytes) filling_.reserve(kBlockBytes);
    const size_t take = std::min(bytes.size(), kBlockBytes - filling_.size());
    filling_.append(bytes.data(), take);
    bytes.remove_prefix(take);
    if (filling_.size() < kBlockBytes) break;
    std::unique_lock lock(mutex_);
    Push(lock);
    if (!reader_.ok()) return reader_;
  }
  return absl::OkStatus();
}

void BlockPipe::CloseWrite(absl::Status status) {
  std::unique_lock lock(mutex_);
  if (!filling_.empty()) Push(lock);
  ended_ = true;
  end_ = std::move(status);
  changed_.notify_all();
}

absl::StatusOr<absl::string_view> BlockPipe::Next() {
  std::unique_lock lock(mutex_);
  if (reading_.capacity() >= kBlockBytes) spare_.push_back(std::move(reading_));
  reading_.clear();
  changed_.wait(lock, [this] { return !full_.empty() || ended_; });
  if (full_.empty()) {
    if (!end_.ok()) return end_;
    return absl::string_view();
  }
  reading_ = std::move(full_.front());
  full_.pop_front();
  changed_.notify_all();
  return absl::string_view(reading_);
}

void BlockPipe::CloseRead(absl::Status status) {
  const std::lock_guard lock(mutex_);
  reader_ = std::move(status);
  full_.clear();
  changed_.notify_all();
}

}  // namespace gantry::diff
