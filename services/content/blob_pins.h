#ifndef GANTRY_SERVICES_CONTENT_BLOB_PINS_H_
#define GANTRY_SERVICES_CONTENT_BLOB_PINS_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "base/digest.h"

namespace gantry::content {

// Keeps the file of a blob from being unlinked by a collection while a request relies on it and no
// record says so yet. Who removes a file does so with no pin on it and looks for records meanwhile;
// who makes a record for a file holds a pin from before he looks at the file until the record is
// committed. So either the remover finds the record, or the other finds no file. Thread-safe.
class BlobPins {
 public:
  // Move-only; released when it goes out of scope. The pins outlive it.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept { *this = std::move(other); }
    Pin& operator=(Pin&& other) noexcept {
      std::swap(pins_, other.pins_);
      std::swap(digest_, other.digest_);
      return *this;
    }
    ~Pin() {
      if (pins_ != nullptr) pins_->Release(digest_);
    }

   private:
    friend class BlobPins;
    Pin(BlobPins* pins, Digest digest) : pins_(pins), digest_(std::move(digest)) {}
    BlobPins* pins_ = nullptr;
    Digest digest_;
  };

  // Waits out a removal of the same blob that is under way.
  Pin Take(const Digest& digest);
  // Runs `remove`; false, and nothing is done, if there is a pin.
  bool TryRemove(const Digest& digest, const std::function<void()>& remove);

 private:
  static constexpr int kRemoving = -1;
  void Release(const Digest& digest);

  std::mutex mutex_;
  std::condition_variable removed_;
  std::map<Digest, int> counts_;  // of pins, or kRemoving
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_BLOB_PINS_H_
