#ifndef GANTRY_SERVICES_DIFF_BLOCK_PIPE_H_
#define GANTRY_SERVICES_DIFF_BLOCK_PIPE_H_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::diff {

// A bounded stream of bytes from one thread to another, in blocks of 256 KiB of which at most 16
// are under way (4 MiB). One writer, one reader.
class BlockPipe {
 public:
  // Waits for room. Errors: what the reader has closed with.
  absl::Status Write(absl::string_view bytes);
  // The writer's end: what is left goes out, then the reader gets `status` (OK: the end).
  void CloseWrite(absl::Status status);

  // The next bytes, empty at the end; good until the next call. Errors: what the writer has closed
  // with, once all bytes before it are read.
  absl::StatusOr<absl::string_view> Next();
  // The reader's end: the writer gets `status` from now on, so it must not be OK.
  void CloseRead(absl::Status status);

 private:
  void Push(std::unique_lock<std::mutex>& lock);

  std::string filling_;  // the writer's alone
  std::string reading_;  // the reader's alone
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> full_;
  std::deque<std::string> spare_;
  bool ended_ = false;
  absl::Status end_;
  absl::Status reader_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_BLOCK_PIPE_H_
