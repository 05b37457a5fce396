#ifndef GANTRY_TESTS_UNIT_SERVICES_DIFF_RAW_TAR_H_
#define GANTRY_TESTS_UNIT_SERVICES_DIFF_RAW_TAR_H_

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/diff/tar_format.h"

namespace gantry::diff {

// A tar byte by byte, for what no honest writer makes.
class RawTar {
 public:
  using Adjust = std::function<void(UstarHeader& header)>;

  // A header and `data` in whole blocks behind it. `adjust` changes the header before its checksum
  // is made.
  RawTar& Add(const std::string& name, char type, const std::string& data = "",
              const Adjust& adjust = nullptr) {
    UstarHeader header{};
    std::memcpy(header.name, name.data(), std::min(name.size(), sizeof header.name));
    Octal(header.mode, 0644);
    Octal(header.uid, 0);
    Octal(header.gid, 0);
    Octal(header.size, static_cast<int64_t>(data.size()));
    Octal(header.mtime, 1000000000);
    header.type = type;
    std::memcpy(header.magic, "ustar", 6);
    std::memcpy(header.version, "00", 2);
    if (adjust) adjust(header);
    std::memset(header.checksum, ' ', sizeof header.checksum);
    unsigned sum = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
    for (size_t i = 0; i < kTarBlock; ++i) sum += bytes[i];
    std::memcpy(header.checksum, absl::StrFormat("%06o", sum).c_str(), 7);
    bytes_.append(reinterpret_cast<const char*>(&header), kTarBlock);
    return Raw(data);
  }
  // An extended header of `records`, ready-made.
  RawTar& Pax(const std::string& records) { return Add("PaxHeaders/x", 'x', records); }
  RawTar& Raw(const std::string& data) {
    bytes_ += data;
    bytes_.resize((bytes_.size() + kTarBlock - 1) / kTarBlock * kTarBlock);
    return *this;
  }
  std::string Finish() { return bytes_ + std::string(2 * kTarBlock, '\0'); }

  static std::string Record(const std::string& key, const std::string& value) {
    size_t length = key.size() + value.size() + 4;
    while (absl::StrCat(length).size() + key.size() + value.size() + 3 != length) ++length;
    return absl::StrCat(length, " ", key, "=", value, "\n");
  }
  template <size_t N>
  static void Octal(char (&field)[N], int64_t value) {
    std::memcpy(field, absl::StrFormat("%0*o", static_cast<int>(N - 1), value).c_str(), N);
  }
  template <size_t N>
  static void Base256(char (&field)[N], int64_t value) {
    for (size_t i = 0; i < N; ++i) {
      const size_t shift = 8 * (N - 1 - i);
      field[i] = static_cast<char>(shift < 64 ? value >> shift : value >> 63);
    }
    field[0] = static_cast<char>(field[0] | 0x80);
  }
  static void Gnu(UstarHeader& header) { std::memcpy(header.magic, "ustar  ", 8); }

 private:
  std::string bytes_;
};

}  // namespace gantry::diff

#endif  // GANTRY_TESTS_UNIT_SERVICES_DIFF_RAW_TAR_H_
