#include "services/diff/tar_writer.h"

#include <sys/sysmacros.h>

#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"

namespace gantry::diff {
namespace {

constexpr size_t kBlock = kTarBlock;
constexpr int64_t kOctal7 = 07777777;       // most that a field of 8 bytes holds
constexpr int64_t kOctal11 = 077777777777;  // and one of 12

using Records = std::vector<std::pair<std::string, std::string>>;

template <size_t N>
void Octal(char (&field)[N], int64_t value) {
  const std::string text = absl::StrFormat("%0*o", static_cast<int>(N - 1), value);
  std::memcpy(field, text.data(), N - 1);
}

template <size_t N>
void Text(char (&field)[N], const std::string& value) {
  std::memcpy(field, value.data(), std::min(N, value.size()));
}

void SetChecksum(UstarHeader& header) {
  std::memset(header.checksum, ' ', sizeof header.checksum);
  unsigned sum = 0;
  for (const unsigned char byte :
       absl::string_view(reinterpret_cast<const char*>(&header), kBlock)) {
    sum += byte;
  }
  const std::string text = absl::StrFormat("%06o", sum);
  std::memcpy(header.checksum, text.data(), 6);
  header.checksum[6] = '\0';
}

bool IsAscii(const std::string& text) {
  for (const unsigned char c : text) {
    if (c >= 0x80) return false;
  }
  return true;
}

// Splits a long name at a slash into ustar's prefix and name.
bool SplitName(const std::string& name, std::string* prefix, std::string* rest) {
  if (name.size() <= sizeof(UstarHeader::name)) {
    *rest = name;
    return true;
  }
  // From the right, past a directory's trailing slash, as far as the prefix has room.
  const size_t slash = name.rfind('/', std::min(name.size() - 2, sizeof(UstarHeader::prefix)));
  if (slash == std::string::npos || slash == 0) return false;
  *prefix = name.substr(0, slash);
  *rest = name.substr(slash + 1);
  return rest->size() <= sizeof(UstarHeader::name);
}

// "LENGTH KEY=VALUE\n", LENGTH counting itself.
std::string PaxRecord(const std::string& key, const std::string& value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (absl::StrCat(length).size() + rest != length) length = absl::StrCat(length).size() + rest;
  return absl::StrCat(length, " ", key, "=", value, "\n");
}

char TypeOf(const Entry& entry) {
  if (entry.is_hardlink) return '1';
  switch (entry.mode & S_IFMT) {
    case S_IFLNK:
      return '2';
    case S_IFCHR:
      return '3';
    case S_IFBLK:
      return '4';
    case S_IFDIR:
      return '5';
    case S_IFIFO:
      return '6';
    default:
      return '0';
  }
}

std::string PaxTime(const struct timespec& time) {
  // Before 1970 the fraction counts up from the second below, so the sign goes over the sum.
  int64_t seconds = time.tv_sec;
  int64_t nanoseconds = time.tv_nsec;
  const bool negative = seconds < 0;
  if (negative && nanoseconds > 0) {
    seconds += 1;
    nanoseconds = 1000000000 - nanoseconds;
  }
  std::string text = absl::StrCat(negative ? "-" : "", negative ? -seconds : seconds);
  if (nanoseconds == 0) return text;
  absl::StrAppendFormat(&text, ".%09d", nanoseconds);
  while (text.back() == '0') text.pop_back();
  return text;
}

}  // namespace

absl::Status TarWriter::Write(const Entry& entry, const std::string& name, int64_t size,
                              Records records) {
  UstarHeader header{};
  std::string prefix;
  std::string rest;
  // Names are bytes; readers that take PAX text for UTF-8 are told so.
  if (!IsAscii(name) || !IsAscii(entry.link)) {
    records.insert(records.begin(), {"hdrcharset", "BINARY"});
  }
  if (!IsAscii(name) || !SplitName(name, &prefix, &rest)) {
    records.emplace_back("path", name);
    prefix.clear();
    rest = name.substr(0, sizeof header.name);
  }
  Text(header.name, rest);
  Text(header.prefix, prefix);
  Text(header.link, entry.link);
  if (entry.link.size() > sizeof header.link || !IsAscii(entry.link)) {
    records.emplace_back("linkpath", entry.link);
  }
  Octal(header.mode, entry.mode & 07777);
  const auto number = [&](auto& field, const char* key, int64_t value, int64_t most) {
    if (value > most) records.emplace_back(key, absl::StrCat(value));
    Octal(field, value > most ? 0 : value);
  };
  number(header.uid, "uid", entry.uid, kOctal7);
  number(header.gid, "gid", entry.gid, kOctal7);
  number(header.size, "size", size, kOctal11);
  const bool plain_time =
      entry.mtime.tv_nsec == 0 && entry.mtime.tv_sec >= 0 && entry.mtime.tv_sec <= kOctal11;
  Octal(header.mtime, std::min<int64_t>(std::max<int64_t>(entry.mtime.tv_sec, 0), kOctal11));
  if (!plain_time) records.emplace_back("mtime", PaxTime(entry.mtime));
  header.type = TypeOf(entry);
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  if (header.type == '3' || header.type == '4') {
    if (major(entry.device) > kOctal7 || minor(entry.device) > kOctal7) {
      return absl::InvalidArgumentError(absl::StrCat("device ", major(entry.device), ":",
                                                     minor(entry.device), " of ", name,
                                                     " is past what tar can hold"));
    }
    Octal(header.major, major(entry.device));
    Octal(header.minor, minor(entry.device));
  }
  for (const auto& [key, value] : entry.xattrs) {
    records.emplace_back(absl::StrCat("SCHILY.xattr.", key), value);
  }
  if (!records.empty()) {
    std::string body;
    for (const auto& [key, value] : records) body += PaxRecord(key, value);
    UstarHeader pax{};
    Text(pax.name, "PaxHeaders/" + rest.substr(0, sizeof pax.name - sizeof "PaxHeaders/"));
    Octal(pax.mode, 0644);
    Octal(pax.uid, 0);
    Octal(pax.gid, 0);
    Octal(pax.size, static_cast<int64_t>(body.size()));
    Octal(pax.mtime, 0);
    pax.type = 'x';
    std::memcpy(pax.magic, "ustar", 6);
    std::memcpy(pax.version, "00", 2);
    SetChecksum(pax);
    GANTRY_RETURN_IF_ERROR(Data({reinterpret_cast<const char*>(&pax), kBlock}));
    GANTRY_RETURN_IF_ERROR(Data(body));
    GANTRY_RETURN_IF_ERROR(Pad());
  }
  SetChecksum(header);
  return Data({reinterpret_cast<const char*>(&header), kBlock});
}

absl::Status TarWriter::Header(const Entry& entry, int64_t size) {
  return Write(entry, entry.name, size, {});
}

absl::Status TarWriter::SparseHeader(const Entry& entry, int64_t size,
                                     const std::vector<Extent>& extents) {
  std::string map = absl::StrCat(extents.size() + 1, "\n");
  int64_t data = 0;
  for (const Extent& extent : extents) {
    absl::StrAppend(&map, extent.offset, "\n", extent.size, "\n");
    data += extent.size;
  }
  // An empty last piece tells where a hole at the end ends.
  absl::StrAppend(&map, size, "\n0\n");
  map.resize((map.size() + kBlock - 1) / kBlock * kBlock);
  const Records records = {{"GNU.sparse.major", "1"},
                           {"GNU.sparse.minor", "0"},
                           {"GNU.sparse.name", entry.name},
                           {"GNU.sparse.realsize", absl::StrCat(size)}};
  const size_t slash = entry.name.rfind('/');
  const std::string stored =
      slash == std::string::npos
          ? "GNUSparseFile.0/" + entry.name
          : entry.name.substr(0, slash) + "/GNUSparseFile.0" + entry.name.substr(slash);
  GANTRY_RETURN_IF_ERROR(Write(entry, stored, static_cast<int64_t>(map.size()) + data, records));
  return Data(map);
}

absl::Status TarWriter::Data(absl::string_view bytes) {
  written_ += bytes.size();
  return sink_(bytes);
}

absl::Status TarWriter::Pad() {
  static constexpr std::array<char, kBlock> kZeros{};
  const size_t over = written_ % kBlock;
  return over == 0 ? absl::OkStatus() : Data({kZeros.data(), kBlock - over});
}

absl::Status TarWriter::EndData() { return Pad(); }

absl::Status TarWriter::Finish() {
  static constexpr std::array<char, 2 * kBlock> kEnd{};
  return Data({kEnd.data(), kEnd.size()});
}

}  // namespace gantry::diff
