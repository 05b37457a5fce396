#ifndef GANTRY_SERVICES_METADATA_JOURNAL_H_
#define GANTRY_SERVICES_METADATA_JOURNAL_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry::metadata {

// A write-ahead file: one base, and the records that came after it, in order. It knows nothing of
// what they mean. Its blocks are written once when it is made and only overwritten from then on, so
// that a sync is one write to the disk and no transaction of the file system.
//
// On the disk, in the host's byte order:
//   0        slot A    the base: header, bytes
//   160 KiB  slot B    the next base, by turns
//   320 KiB  records   header, bytes, padded to 8; from the start again after each base
// A header has the number of the base (1, 2, 3, ...), sizes, and a SHA-256 over all of it, so that
// what was half written, or was written after an older base, is told from what counts.
//
// Used by one thread at a time.
class Journal {
 public:
  struct Base {
    std::string bytes;
    // Whoever used the journal last ended well: nothing came after this base.
    bool closed = false;
  };
  struct Contents {
    Base base;
    std::vector<std::string> records;
  };
  // No base may be longer.
  static constexpr size_t kMaxBase = 128 << 10;

  // Opens `path`, or makes it with `first` as its base, durably and at once.
  // Errors: DataLoss that names the file if no base in it can be read, or if the newest is lost;
  // ResourceExhausted for a full disk.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path, const Base& first);
  // Whether there is one.
  static absl::StatusOr<bool> Exists(const std::string& path);

  // What was found when it was opened; empty afterwards.
  Contents TakeContents() { return std::move(contents_); }

  // Replaces the base and forgets all records; durable when it returns. When it fails either the
  // old base and its records or the new one will be found.
  absl::Status Begin(const Base& base);
  // Adds one record, which a crash of this process does not undo. It lasts through a power cut once
  // Sync has returned.
  absl::Status Append(absl::string_view record);
  // When it fails the last record counts for nothing.
  absl::Status Sync();
  // Makes the last record count for nothing: what it announced has failed.
  void TakeBack();

  // False after a Begin or a Sync that failed: what is on the disk is not known (fsync(2) tells an
  // error once), and no record is taken until a Begin succeeds.
  [[nodiscard]] bool usable() const { return usable_; }
  // Bytes of records since the base.
  [[nodiscard]] uint64_t size() const { return tail_; }
  // How many bytes of records need no new block of the disk.
  static constexpr uint64_t kRoom = (1024 - 320) << 10;

 private:
  Journal(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  absl::Status Load();
  absl::Status LoadRecords();
  absl::Status Write(uint64_t offset, absl::string_view bytes);

  UniqueFd fd_;
  std::string path_;
  Contents contents_;
  uint64_t number_ = 0;  // of the base
  uint64_t tail_ = 0;    // where the next record goes, from the start of the records
  uint64_t last_ = 0;    // where the last one is
  bool usable_ = true;
};

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_JOURNAL_H_
