#ifndef GANTRY_RUNTIME_CGROUP_DBUS_MESSAGE_H_
#define GANTRY_RUNTIME_CGROUP_DBUS_MESSAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::runtime {

// The little of the D-Bus wire format that a few calls to systemd need; little endian. A library
// for it cannot be part of a static shim (libsystemd comes shared alone), nor be worth its pages.
// Source: D-Bus Specification 0.38, "Message Protocol".

// Appends values with their alignment, counted from the beginning of this buffer.
class DBusWriter {
 public:
  void Byte(uint8_t value) { bytes_ += static_cast<char>(value); }
  void Bool(bool value) { Uint32(value ? 1 : 0); }
  void Uint32(uint32_t value);
  void Uint64(uint64_t value);
  // A string or an object path.
  void String(absl::string_view value);
  void Signature(absl::string_view value);
  void Align(size_t boundary);
  // An array of elements that begin at multiples of `boundary`; End takes what Begin gave.
  struct Array {
    size_t length_at;
    size_t begin;
  };
  Array BeginArray(size_t boundary);
  void EndArray(const Array& array);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads values in the order they were written. A value that is not there, or that reaches past the
// end, makes the reader bad for good, and gives zero.
class DBusReader {
 public:
  explicit DBusReader(absl::string_view bytes) : bytes_(bytes) {}
  uint8_t Byte();
  uint32_t Uint32();
  std::string String();
  std::string Signature();
  void Align(size_t boundary);
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool AtEnd(size_t end) const { return !ok_ || at_ >= end; }
  [[nodiscard]] size_t at() const { return at_; }

 private:
  bool Take(size_t count);
  absl::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

struct DBusCall {
  std::string path;
  std::string interface;
  std::string member;
  std::string signature;  // of `body`
  std::string body;
};

// A method call, to the peer itself: no destination.
std::string EncodeCall(const DBusCall& call, uint32_t serial);

enum class DBusType : uint8_t { kCall = 1, kReturn = 2, kError = 3, kSignal = 4 };

struct DBusMessage {
  DBusType type = DBusType::kCall;
  uint32_t reply_to = 0;  // of a return or an error
  std::string member;
  std::string error;
  std::string signature;
  std::string body;
};

inline constexpr size_t kDBusFixedHeader = 16;
inline constexpr size_t kDBusMaxMessage = 1 << 20;

// The length of the whole message that begins with these kDBusFixedHeader bytes. Errors: DataLoss
// if they are no beginning of a message that this code would take.
absl::StatusOr<size_t> DBusMessageSize(absl::string_view fixed_header);
// Errors: DataLoss.
absl::StatusOr<DBusMessage> DecodeMessage(absl::string_view bytes);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_DBUS_MESSAGE_H_
