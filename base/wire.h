#ifndef GANTRY_BASE_WIRE_H_
#define GANTRY_BASE_WIRE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry {

// Protocol Buffers' wire format, by hand and small: for records of the metadata store and the ttrpc
// envelope, whose folders know no protobuf. Unknown fields are skipped, so a record may grow; and
// `protoc --decode_raw` reads every record. Source: protobuf.dev "Encoding".
class WireWriter {
 public:
  // Each leaves a zero or empty value away, as proto3 does.
  void Uint(uint32_t field, uint64_t value);
  void Int(uint32_t field, int64_t value) { Uint(field, static_cast<uint64_t>(value)); }
  void Double(uint32_t field, double value);
  // A repeated field of integers, packed as proto3 does.
  void Packed(uint32_t field, const std::vector<uint64_t>& values);
  void Bool(uint32_t field, bool value) { Uint(field, value ? 1 : 0); }
  void Bytes(uint32_t field, absl::string_view value);
  // Written even when empty: elements of repeated fields and nested messages.
  void Element(uint32_t field, absl::string_view value);
  // The start of an element whose `size` bytes are written next.
  void Open(uint32_t field, size_t size);
  // What an element of that many bytes takes in all.
  static size_t ElementSize(uint32_t field, size_t size);
  // One entry of a map<string, string>.
  void MapEntry(uint32_t field, absl::string_view key, absl::string_view value);

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  void Varint(uint64_t value);
  std::string bytes_;
};

// Walks the fields of one message:
//   WireReader reader(bytes);
//   while (reader.Next()) switch (reader.field()) { case 1: name = reader.bytes(); break; ... }
//   GANTRY_RETURN_IF_ERROR(reader.status());
// Views point into the bytes given. A value of the wrong wire type reads as 0 or empty.
class WireReader {
 public:
  explicit WireReader(absl::string_view bytes) : rest_(bytes) {}

  bool Next();
  [[nodiscard]] uint32_t field() const { return field_; }
  [[nodiscard]] uint64_t uint() const { return value_; }
  [[nodiscard]] int64_t integer() const { return static_cast<int64_t>(value_); }
  [[nodiscard]] bool boolean() const { return value_ != 0; }
  [[nodiscard]] absl::string_view bytes() const { return bytes_; }
  [[nodiscard]] std::string str() const { return std::string(bytes_); }
  // The current field as an entry of a map<string, string>.
  [[nodiscard]] std::pair<std::string, std::string> map_entry() const;
  // DataLoss when the bytes are not a well-formed message; Next is false from then on.
  [[nodiscard]] absl::Status status() const;

 private:
  bool Varint(uint64_t* value);

  absl::string_view rest_;
  bool broken_ = false;
  uint32_t field_ = 0;
  uint64_t value_ = 0;
  absl::string_view bytes_;
};

// Key and value of the entry of a map<string, string> that `bytes` are.
std::pair<absl::string_view, absl::string_view> ReadMapEntry(absl::string_view bytes);

}  // namespace gantry

#endif  // GANTRY_BASE_WIRE_H_
