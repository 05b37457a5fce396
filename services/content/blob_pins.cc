#include "services/content/blob_pins.h"

namespace gantry::content {

BlobPins::Pin BlobPins::Take(const Digest& digest) {
  std::unique_lock lock(mutex_);
  removed_.wait(lock, [&] {
    const auto found = counts_.find(digest);
    return found == counts_.end() || found->second != kRemoving;
  });
  ++counts_[digest];
  return Pin(this, digest);
}

void BlobPins::Release(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(digest);
  if (--found->second == 0) counts_.erase(found);
}

bool BlobPins::TryRemove(const Digest& digest, const std::function<void()>& remove) {
  {
    const std::lock_guard lock(mutex_);
    if (!counts_.try_emplace(digest, kRemoving).second) return false;
  }
  remove();
  {
    const std::lock_guard lock(mutex_);
    counts_.erase(digest);
  }
  removed_.notify_all();
  return true;
}

}  // namespace gantry::content
