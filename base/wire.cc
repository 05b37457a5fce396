#include "base/wire.h"

#include <cstring>

namespace gantry {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

}  // namespace

void WireWriter::Varint(uint64_t value) {
  while (value >= 0x80) {
    bytes_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  bytes_.push_back(static_cast<char>(value));
}

void WireWriter::Uint(uint32_t field, uint64_t value) {
  if (value == 0) return;
  Varint(uint64_t{field} << 3 | kVarint);
  Varint(value);
}

void WireWriter::Double(uint32_t field, double value) {
  if (value == 0) return;
  Varint(uint64_t{field} << 3 | kFixed64);
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<char>(bits >> shift));
}

void WireWriter::Packed(uint32_t field, const std::vector<uint64_t>& values) {
  WireWriter packed;
  for (const uint64_t value : values) packed.Varint(value);
  Bytes(field, packed.bytes());
}

void WireWriter::Bytes(uint32_t field, absl::string_view value) {
  if (!value.empty()) Element(field, value);
}

void WireWriter::Open(uint32_t field, size_t size) {
  Varint(uint64_t{field} << 3 | kLengthDelimited);
  Varint(size);
}

size_t WireWriter::ElementSize(uint32_t field, size_t size) {
  return VarintSize(uint64_t{field} << 3) + VarintSize(size) + size;
}

void WireWriter::Element(uint32_t field, absl::string_view value) {
  Open(field, value.size());
  bytes_.append(value.data(), value.size());
}

void WireWriter::MapEntry(uint32_t field, absl::string_view key, absl::string_view value) {
  WireWriter entry;
  entry.Element(1, key);
  entry.Element(2, value);
  Element(field, entry.bytes());
}

bool WireReader::Varint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return false;
    const auto byte = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    *value |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool WireReader::Next() {
  field_ = 0;
  value_ = 0;
  bytes_ = {};
  if (broken_ || rest_.empty()) return false;
  broken_ = true;  // until this field turns out whole
  uint64_t key;
  if (!Varint(&key) || key >> 3 == 0 || key >> 32 != 0) return false;
  uint64_t size = 0;
  switch (key & 7) {
    case kVarint:
      if (!Varint(&value_)) return false;
      break;
    case kFixed64:
    case kFixed32:
      size = (key & 7) == kFixed64 ? 8 : 4;
      if (rest_.size() < size) return false;
      for (uint64_t i = 0; i < size; ++i)
        value_ |= uint64_t{static_cast<uint8_t>(rest_[i])} << (8 * i);
      rest_.remove_prefix(size);
      break;
    case kLengthDelimited:
      if (!Varint(&size) || size > rest_.size()) return false;
      bytes_ = rest_.substr(0, size);
      rest_.remove_prefix(size);
      break;
    default:  // groups, which nothing here writes
      return false;
  }
  field_ = static_cast<uint32_t>(key >> 3);
  broken_ = false;
  return true;
}

std::pair<absl::string_view, absl::string_view> ReadMapEntry(absl::string_view bytes) {
  std::pair<absl::string_view, absl::string_view> entry;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) entry.first = reader.bytes();
    if (reader.field() == 2) entry.second = reader.bytes();
  }
  return entry;
}

std::pair<std::string, std::string> WireReader::map_entry() const {
  const auto [key, value] = ReadMapEntry(bytes_);
  return {std::string(key), std::string(value)};
}

absl::Status WireReader::status() const {
  if (!broken_) return absl::OkStatus();
  return absl::DataLossError("record is not a well-formed message");
}

}  // namespace gantry
