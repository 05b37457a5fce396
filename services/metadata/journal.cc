#include "services/metadata/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/digest.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/positioned_io.h"

namespace gantry::metadata {
namespace {

constexpr uint64_t kSlotSize = 160 << 10;
constexpr uint64_t kRecords = 2 * kSlotSize;
constexpr char kBaseMagic[] = "gantryB1";
constexpr char kRecordMagic[] = "gantryR1";
constexpr size_t kMagicSize = 8;
constexpr size_t kSumSize = 64;
constexpr uint64_t kClosed = 1;

struct Header {
  char magic[kMagicSize];
  uint64_t number;
  uint64_t size;
  uint64_t flags;
  char sum[kSumSize];  // hexadecimal, of the fields before it and of the bytes that follow
};
static_assert(sizeof(Header) == 96 && sizeof(Header) + Journal::kMaxBase <= kSlotSize);

// What a header and `size` bytes take.
uint64_t RoomOf(uint64_t size) { return (sizeof(Header) + size + 7) & ~uint64_t{7}; }

absl::Status Sum(const Header& header, absl::string_view bytes, char* sum) {
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create());
  digester.Update({reinterpret_cast<const char*>(&header), offsetof(Header, sum)});
  digester.Update(bytes);
  std::memcpy(sum, digester.Finish().hex().data(), kSumSize);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Encode(const char* magic, uint64_t number, uint64_t flags,
                                   absl::string_view bytes) {
  Header header{};
  std::memcpy(header.magic, magic, kMagicSize);
  header.number = number;
  header.size = bytes.size();
  header.flags = flags;
  GANTRY_RETURN_IF_ERROR(Sum(header, bytes, header.sum));
  std::string encoded;
  encoded.reserve(RoomOf(bytes.size()));
  encoded.append(reinterpret_cast<const char*>(&header), sizeof header);
  encoded.append(bytes.data(), bytes.size());
  encoded.resize(RoomOf(bytes.size()));
  return encoded;
}

struct Found {
  uint64_t number;
  uint64_t flags;
  std::string bytes;
};

// What is whole at `offset`, if something is.
absl::StatusOr<std::optional<Found>> Decode(int fd, uint64_t offset, const char* magic,
                                            uint64_t end, const std::string& path) {
  const std::string what = absl::StrCat("read ", path);
  Header header;
  GANTRY_ASSIGN_OR_RETURN(const size_t head,
                          ReadAt(fd, reinterpret_cast<char*>(&header), sizeof header,
                                 static_cast<int64_t>(offset), what));
  if (head < sizeof header) return std::optional<Found>();
  const uint64_t room = end - std::min(end, offset + sizeof header);
  if (std::memcmp(header.magic, magic, kMagicSize) != 0 || header.size > room) {
    return std::optional<Found>();
  }
  std::string bytes(header.size, '\0');
  GANTRY_ASSIGN_OR_RETURN(
      const size_t got,
      ReadAt(fd, bytes.data(), bytes.size(), static_cast<int64_t>(offset + sizeof header), what));
  if (got < bytes.size()) return std::optional<Found>();
  char sum[kSumSize];
  GANTRY_RETURN_IF_ERROR(Sum(header, bytes, sum));
  if (std::memcmp(sum, header.sum, kSumSize) != 0) return std::optional<Found>();
  return std::optional<Found>({header.number, header.flags, std::move(bytes)});
}

uint64_t SlotOf(uint64_t number) { return number % 2 * kSlotSize; }

}  // namespace

absl::StatusOr<bool> Journal::Exists(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0) return true;
  if (errno == ENOENT) return false;
  return ErrnoError(errno, absl::StrCat("stat ", path));
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& path, const Base& first) {
  GANTRY_ASSIGN_OR_RETURN(const bool exists, Exists(path));
  if (!exists) {
    if (first.bytes.size() > kMaxBase) return absl::InvalidArgumentError("the base is too long");
    // Whole, with zeros where records will be: a journal that exists has a base.
    std::string bytes(kRecords + kRoom, '\0');
    GANTRY_ASSIGN_OR_RETURN(const std::string base,
                            Encode(kBaseMagic, 1, first.closed ? kClosed : 0, first.bytes));
    bytes.replace(SlotOf(1), base.size(), base);
    GANTRY_RETURN_IF_ERROR(WriteFileAtomic(path, bytes, 0600, Durability::kDurable));
  }
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR));
  std::unique_ptr<Journal> journal(new Journal(std::move(fd), path));
  GANTRY_RETURN_IF_ERROR(journal->Load());
  return journal;
}

absl::Status Journal::Load() {
  bool found = false;
  for (const uint64_t slot : {0, 1}) {
    GANTRY_ASSIGN_OR_RETURN(
        std::optional<Found> base,
        Decode(fd_.get(), slot * kSlotSize, kBaseMagic, (slot + 1) * kSlotSize, path_));
    if (!base.has_value() || base->number <= number_) continue;
    found = true;
    number_ = base->number;
    contents_.base = {std::move(base->bytes), (base->flags & kClosed) != 0};
  }
  if (!found) return absl::DataLossError(absl::StrCat("the journal ", path_, " has no base"));
  return LoadRecords();
}

absl::Status Journal::LoadRecords() {
  struct stat st {};
  if (::fstat(fd_.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", path_));
  const auto end = static_cast<uint64_t>(st.st_size);
  for (;;) {
    GANTRY_ASSIGN_OR_RETURN(std::optional<Found> record,
                            Decode(fd_.get(), kRecords + tail_, kRecordMagic, end, path_));
    if (!record.has_value() || record->number < number_) return absl::OkStatus();
    // A record follows a base that was on the disk before it.
    if (record->number > number_) {
      return absl::DataLossError(absl::StrCat("the journal ", path_, " has lost base ",
                                              record->number, ": the newest is ", number_));
    }
    last_ = tail_;
    tail_ += RoomOf(record->bytes.size());
    contents_.records.push_back(std::move(record->bytes));
  }
}

absl::Status Journal::Write(uint64_t offset, absl::string_view bytes) {
  return WriteAt(fd_.get(), static_cast<int64_t>(offset), bytes, absl::StrCat("write ", path_));
}

absl::Status Journal::Begin(const Base& base) {
  if (base.bytes.size() > kMaxBase) return absl::InvalidArgumentError("the base is too long");
  // Were it found half done, records that follow the old one would be forgotten.
  usable_ = false;
  const uint64_t number = number_ + 1;
  GANTRY_ASSIGN_OR_RETURN(const std::string bytes,
                          Encode(kBaseMagic, number, base.closed ? kClosed : 0, base.bytes));
  GANTRY_RETURN_IF_ERROR(Write(SlotOf(number), bytes));
  if (::fdatasync(fd_.get()) != 0) return ErrnoError(errno, absl::StrCat("sync ", path_));
  number_ = number;
  tail_ = last_ = 0;
  usable_ = true;
  return absl::OkStatus();
}

absl::Status Journal::Append(absl::string_view record) {
  if (!usable_) {
    return absl::FailedPreconditionError(absl::StrCat("the journal ", path_, " has failed"));
  }
  GANTRY_ASSIGN_OR_RETURN(const std::string bytes, Encode(kRecordMagic, number_, 0, record));
  GANTRY_RETURN_IF_ERROR(Write(kRecords + tail_, bytes));
  last_ = tail_;
  tail_ += bytes.size();
  return absl::OkStatus();
}

absl::Status Journal::Sync() {
  if (::fdatasync(fd_.get()) == 0) return absl::OkStatus();
  const int error = errno;
  TakeBack();
  usable_ = false;
  return ErrnoError(error, absl::StrCat("sync ", path_));
}

void Journal::TakeBack() {
  tail_ = last_;
  const std::string nothing(sizeof(Header), '\0');
  // Where not even this can be written, the record may be found again: its outcome is unknown.
  Write(kRecords + tail_, nothing).IgnoreError();
}

}  // namespace gantry::metadata
