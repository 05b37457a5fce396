#include "services/diff/sparse_map.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "services/diff/tar_number.h"

namespace gantry::diff {
namespace {

constexpr size_t kNumber = 12;  // bytes of a number in the old format
constexpr size_t kOldMap = 386;
constexpr size_t kOldExtended = 482;
constexpr size_t kOldRealSize = 483;
constexpr size_t kOldInHeader = 4;
constexpr size_t kOldInBlock = 21;

absl::Status TooMany() {
  return absl::InvalidArgumentError(
      absl::StrCat("sparse file: more than ", kMostExtents, " pieces"));
}

// The numbers of a map in format 1.0, one a line.
class MapLines {
 public:
  MapLines(BlockReader& blocks, int64_t* size) : blocks_(blocks), size_(size) {}

  absl::StatusOr<int64_t> Number() {
    constexpr size_t kMostDigits = 20;
    std::string digits;
    for (;;) {
      if (at_ == kTarBlock) GANTRY_RETURN_IF_ERROR(Fill());
      const char c = block_[at_++];
      if (c == '\n') return ParseDecimal(digits, "sparse file: map");
      digits += c;
      if (digits.size() > kMostDigits) return ParseDecimal(digits + "...", "sparse file: map");
    }
  }

 private:
  absl::Status Fill() {
    if (*size_ < static_cast<int64_t>(kTarBlock)) {
      return absl::InvalidArgumentError("sparse file: the map is longer than the entry");
    }
    *size_ -= static_cast<int64_t>(kTarBlock);
    GANTRY_ASSIGN_OR_RETURN(const bool more, blocks_.Read(block_, kTarBlock));
    if (!more) return absl::DataLossError("the archive ends in the map of a sparse file");
    at_ = 0;
    return absl::OkStatus();
  }

  BlockReader& blocks_;
  int64_t* const size_;
  char block_[kTarBlock];
  size_t at_ = kTarBlock;
};

// Adds the pieces at the front of `text`, `most` of them; a blank one ends the list.
absl::Status AddOldPieces(absl::string_view text, size_t most, std::vector<Extent>* map) {
  for (size_t i = 0; i < most; ++i) {
    const absl::string_view offset = text.substr(2 * i * kNumber, kNumber);
    const absl::string_view size = text.substr((2 * i + 1) * kNumber, kNumber);
    if (offset[0] == '\0' || size[0] == '\0') break;
    if (map->size() >= kMostExtents) return TooMany();
    Extent extent;
    GANTRY_ASSIGN_OR_RETURN(extent.offset, ParseTarNumber(offset, "sparse file: offset"));
    GANTRY_ASSIGN_OR_RETURN(extent.size, ParseTarNumber(size, "sparse file: size"));
    map->push_back(extent);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Extent>> ParseSparseMapText(absl::string_view text) {
  std::vector<Extent> map;
  while (!text.empty()) {
    if (map.size() >= kMostExtents) return TooMany();
    int64_t numbers[2];
    for (int64_t& number : numbers) {
      const size_t comma = text.find(',');
      GANTRY_ASSIGN_OR_RETURN(number, ParseDecimal(text.substr(0, comma), "sparse file: map"));
      text.remove_prefix(comma == absl::string_view::npos ? text.size() : comma + 1);
    }
    map.push_back({numbers[0], numbers[1]});
  }
  return map;
}

absl::StatusOr<std::vector<Extent>> ReadSparseMap(BlockReader& blocks, int64_t* size) {
  MapLines lines(blocks, size);
  GANTRY_ASSIGN_OR_RETURN(const int64_t count, lines.Number());
  if (count > static_cast<int64_t>(kMostExtents)) return TooMany();
  std::vector<Extent> map;
  for (int64_t i = 0; i < count; ++i) {
    Extent extent;
    GANTRY_ASSIGN_OR_RETURN(extent.offset, lines.Number());
    GANTRY_ASSIGN_OR_RETURN(extent.size, lines.Number());
    map.push_back(extent);
  }
  return map;
}

absl::StatusOr<std::vector<Extent>> ReadOldSparseMap(absl::string_view header, BlockReader& blocks,
                                                     int64_t* real_size) {
  GANTRY_ASSIGN_OR_RETURN(
      *real_size, ParseTarNumber(header.substr(kOldRealSize, kNumber), "sparse file: real size"));
  std::vector<Extent> map;
  GANTRY_RETURN_IF_ERROR(AddOldPieces(header.substr(kOldMap), kOldInHeader, &map));
  bool more = header[kOldExtended] != '\0';
  while (more) {
    char block[kTarBlock];
    GANTRY_ASSIGN_OR_RETURN(const bool got, blocks.Read(block, kTarBlock));
    if (!got) return absl::DataLossError("the archive ends in the map of a sparse file");
    GANTRY_RETURN_IF_ERROR(AddOldPieces({block, kTarBlock}, kOldInBlock, &map));
    more = block[2 * kOldInBlock * kNumber] != '\0';
  }
  return map;
}

absl::Status CheckSparseMap(const std::vector<Extent>& map, int64_t data, int64_t real_size) {
  int64_t end = 0;
  int64_t stored = 0;
  for (const Extent& extent : map) {
    if (extent.offset < end || extent.size < 0 || extent.size > real_size ||
        extent.offset > real_size - extent.size) {
      return absl::InvalidArgumentError(
          absl::StrCat("sparse file: the piece of ", extent.size, " bytes at ", extent.offset,
                       " is out of order or past the size of ", real_size));
    }
    end = extent.offset + extent.size;
    stored += extent.size;
  }
  if (stored != data) {
    return absl::InvalidArgumentError(
        absl::StrCat("sparse file: the pieces have ", stored, " bytes, and ", data, " are stored"));
  }
  return absl::OkStatus();
}

}  // namespace gantry::diff
