#include "services/metadata/page_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"

namespace gantry::metadata {
namespace {

static_assert(sizeof(size_t) == 8, "LMDB's format depends on the word's size");

constexpr uint32_t kMagic = 0xBEEFC0DE;
constexpr uint32_t kVersion = 1;
constexpr uint64_t kNoPage = ~uint64_t{0};

constexpr uint16_t kBranch = 0x01;
constexpr uint16_t kLeaf = 0x02;
constexpr uint16_t kOverflow = 0x04;
constexpr uint16_t kMeta = 0x08;
// A node whose value lies in overflow pages.
constexpr uint16_t kBigData = 0x01;

constexpr size_t kHeaderSize = 16;  // number 8, pad 2, kind 2, then lower 2 and upper 2 or pages 4
constexpr size_t kNodeSize = 8;     // low 2, high 2, flags 2, key's size 2
// Magic 4, version 4, address 8, map size 8, two trees of 48, last page 8, transaction 8.
constexpr size_t kMetaSize = 136;

template <typename T>
T Load(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

struct Tree {
  uint16_t depth = 0;
  uint64_t root = kNoPage;
};

struct Meta {
  uint32_t page_size = 0;
  Tree free;
  Tree main;
  uint64_t last_page = 0;
  uint64_t transaction = 0;
};

class Checker {
 public:
  Checker(int fd, const std::string& path, uint64_t file_size, absl::string_view base)
      : fd_(fd), path_(path), file_size_(file_size), base_(base) {}

  absl::Status Run() {
    GANTRY_ASSIGN_OR_RETURN(const Meta first, ReadMeta(0));
    page_size_ = first.page_size;
    if (page_size_ < 256 || page_size_ > 65536 || (page_size_ & (page_size_ - 1)) != 0) {
      return Damaged(0, "has an impossible page size");
    }
    GANTRY_ASSIGN_OR_RETURN(const Meta second, ReadMeta(page_size_));
    const Meta& newest = second.transaction > first.transaction ? second : first;
    if (newest.page_size != page_size_) return Damaged(1, "has another page size than page 0");
    // Of pages past the file's end none can be reached, however many the header counts.
    pages_ = std::min(newest.last_page + 1, file_size_ / page_size_);
    seen_.assign(pages_, false);
    GANTRY_RETURN_IF_ERROR(CheckTree(newest.free));
    return CheckTree(newest.main);
  }

 private:
  absl::Status Damaged(uint64_t page, absl::string_view what) const {
    return absl::DataLossError(absl::StrCat("the metadata store ", path_, " of ", file_size_,
                                            " bytes is damaged: page ", page, " ", what));
  }

  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const {
    if (offset + size <= base_.size()) return std::string(base_.substr(offset, size));
    std::string bytes(size, '\0');
    size_t done = 0;
    while (done < size) {
      const ssize_t got =
          ::pread(fd_, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoError(errno, absl::StrCat("read ", path_));
      if (got == 0) return Damaged(page_size_ == 0 ? 0 : offset / page_size_, "is not all there");
      done += static_cast<size_t>(got);
    }
    return bytes;
  }

  absl::StatusOr<Meta> ReadMeta(uint64_t offset) const {
    const uint64_t number = offset == 0 ? 0 : 1;
    GANTRY_ASSIGN_OR_RETURN(const std::string bytes, Read(offset, kHeaderSize + kMetaSize));
    if ((Load<uint16_t>(bytes, 10) & kMeta) == 0 || Load<uint32_t>(bytes, kHeaderSize) != kMagic) {
      return Damaged(number, "is not that of an LMDB database");
    }
    if (const auto version = Load<uint32_t>(bytes, kHeaderSize + 4); version != kVersion) {
      return Damaged(number, absl::StrCat("has format ", version, ", not ", kVersion));
    }
    constexpr size_t kFree = kHeaderSize + 24;
    constexpr size_t kMain = kFree + 48;
    Meta meta;
    meta.page_size = Load<uint32_t>(bytes, kFree);
    meta.free = {Load<uint16_t>(bytes, kFree + 6), Load<uint64_t>(bytes, kFree + 40)};
    meta.main = {Load<uint16_t>(bytes, kMain + 6), Load<uint64_t>(bytes, kMain + 40)};
    meta.last_page = Load<uint64_t>(bytes, kMain + 48);
    meta.transaction = Load<uint64_t>(bytes, kMain + 56);
    return meta;
  }

  absl::Status CheckTree(const Tree& tree) {
    if (tree.root == kNoPage) return absl::OkStatus();
    return CheckPage(tree.root, tree.depth);
  }

  // Each page may be reached once, which also ends circles.
  absl::Status Visit(uint64_t number, uint64_t count) {
    if (number < 2 || count == 0 || count > pages_ || number > pages_ - count) {
      return Damaged(number, "is past the end");
    }
    for (uint64_t page = number; page < number + count; ++page) {
      if (seen_[page]) return Damaged(page, "is reached twice");
      seen_[page] = true;
    }
    return absl::OkStatus();
  }

  // `height` is 1 for a leaf; the depth of recursion is that of the tree (LMDB's limit is 32).
  absl::Status CheckPage(uint64_t number, uint16_t height) {
    if (height == 0 || height > 32) return Damaged(number, "is at an impossible depth");
    GANTRY_RETURN_IF_ERROR(Visit(number, 1));
    GANTRY_ASSIGN_OR_RETURN(const std::string page, Read(number * page_size_, page_size_));
    const bool leaf = height == 1;
    if (Load<uint64_t>(page, 0) != number) return Damaged(number, "has another number");
    if (Load<uint16_t>(page, 10) != (leaf ? kLeaf : kBranch)) {
      return Damaged(number, leaf ? "is no leaf" : "is no branch");
    }
    const size_t lower = Load<uint16_t>(page, 12);
    const size_t upper = Load<uint16_t>(page, 14);
    if (lower < kHeaderSize || lower > upper || upper > page_size_ || lower % 2 != 0) {
      return Damaged(number, "has impossible bounds");
    }
    // Branches of one child LMDB merges, and asserts that there are none.
    if (const size_t nodes = (lower - kHeaderSize) / 2; nodes < (leaf ? 1 : 2)) {
      return Damaged(number, "has too few entries");
    }
    for (size_t slot = kHeaderSize; slot < lower; slot += 2) {
      GANTRY_RETURN_IF_ERROR(CheckNode(page, number, Load<uint16_t>(page, slot), upper, height));
    }
    return absl::OkStatus();
  }

  absl::Status CheckNode(const std::string& page, uint64_t number, size_t at, size_t upper,
                         uint16_t height) {
    if (at < upper || at + kNodeSize > page_size_) return Damaged(number, "has a stray entry");
    const uint64_t low = Load<uint16_t>(page, at) | uint64_t{Load<uint16_t>(page, at + 2)} << 16;
    const auto flags = Load<uint16_t>(page, at + 4);
    const size_t data = at + kNodeSize + Load<uint16_t>(page, at + 6);
    if (height > 1) {
      if (data > page_size_) return Damaged(number, "has a stray key");
      // A child's number takes the place of the flags too.
      return CheckPage(low | uint64_t{flags} << 32, static_cast<uint16_t>(height - 1));
    }
    if ((flags & ~kBigData) != 0) return Damaged(number, "has an unknown kind of entry");
    const bool big = (flags & kBigData) != 0;
    if (data + (big ? sizeof(uint64_t) : low) > page_size_)
      return Damaged(number, "has a stray value");
    return big ? CheckOverflow(Load<uint64_t>(page, data), low) : absl::OkStatus();
  }

  absl::Status CheckOverflow(uint64_t number, uint64_t size) {
    GANTRY_RETURN_IF_ERROR(Visit(number, 1));
    GANTRY_ASSIGN_OR_RETURN(const std::string header, Read(number * page_size_, kHeaderSize));
    const auto count = Load<uint32_t>(header, 12);
    if (Load<uint64_t>(header, 0) != number || Load<uint16_t>(header, 10) != kOverflow ||
        uint64_t{count} * page_size_ < kHeaderSize + size) {
      return Damaged(number, "is not the overflow page it should be");
    }
    return count == 1 ? absl::OkStatus() : Visit(number + 1, count - 1);
  }

  const int fd_;
  const std::string& path_;
  const uint64_t file_size_;
  const absl::string_view base_;  // in place of the first pages
  uint64_t page_size_ = 0;
  uint64_t pages_ = 0;
  std::vector<bool> seen_;
};

}  // namespace

absl::Status CheckPages(const std::string& path, absl::string_view base) {
  const auto gone = [&] {
    return absl::DataLossError(absl::StrCat("the metadata store ", path, " is gone"));
  };
  absl::StatusOr<UniqueFd> fd = OpenFile(path, O_RDONLY);
  if (absl::IsNotFound(fd.status())) return base.empty() ? absl::OkStatus() : gone();
  GANTRY_RETURN_IF_ERROR(fd.status());
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  if (S_ISREG(st.st_mode) && st.st_size == 0) return base.empty() ? absl::OkStatus() : gone();
  return Checker(fd->get(), path, static_cast<uint64_t>(st.st_size), base).Run();
}

}  // namespace gantry::metadata
