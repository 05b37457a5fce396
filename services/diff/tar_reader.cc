#include "services/diff/tar_reader.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "services/diff/sparse_map.h"
#include "services/diff/tar_number.h"

namespace gantry::diff {
namespace {

// The most that an extended header or a long name may take, as in Go's archive/tar.
constexpr int64_t kMostSpecial = 1 << 20;

constexpr char kPax = 'x';
constexpr char kGlobalPax = 'g';
constexpr char kLongName = 'L';
constexpr char kLongLink = 'K';
constexpr char kOldSparse = 'S';

enum class Dialect { kV7, kUstar, kGnu, kStar };

template <size_t N>
absl::string_view Field(const char (&field)[N]) {
  return {field, N};
}

// A text field ends at its first NUL, if it has one.
template <size_t N>
absl::string_view Text(const char (&field)[N]) {
  return Field(field).substr(0, ::strnlen(field, N));
}

Dialect DialectOf(const UstarHeader& header) {
  if (absl::string_view(header.magic, 8) == absl::string_view("ustar  \0", 8)) {
    return Dialect::kGnu;
  }
  if (Field(header.magic) != absl::string_view("ustar\0", 6)) return Dialect::kV7;
  return absl::string_view(header.fill + 8, 4) == absl::string_view("tar\0", 4) ? Dialect::kStar
                                                                                : Dialect::kUstar;
}

std::string NameOf(const UstarHeader& header) {
  absl::string_view prefix;
  switch (DialectOf(header)) {
    case Dialect::kUstar:
      prefix = Text(header.prefix);
      break;
    case Dialect::kStar:  // its times stand behind a shorter prefix
      prefix = absl::string_view(header.prefix, ::strnlen(header.prefix, 131));
      break;
    case Dialect::kV7:
    case Dialect::kGnu:
      break;
  }
  return prefix.empty() ? std::string(Text(header.name))
                        : absl::StrCat(prefix, "/", Text(header.name));
}

bool IsZero(const UstarHeader& header) {
  const absl::string_view bytes(reinterpret_cast<const char*>(&header), kTarBlock);
  return bytes[0] == '\0' && std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

absl::Status CheckSum(const UstarHeader& header) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  constexpr size_t kAt = offsetof(UstarHeader, checksum);
  int64_t sum = 0;
  int64_t as_signed = 0;  // what some tars of old have summed up
  for (size_t i = 0; i < kTarBlock; ++i) {
    const bool own = i >= kAt && i < kAt + sizeof header.checksum;
    const unsigned char byte = own ? ' ' : bytes[i];
    sum += byte;
    as_signed += static_cast<signed char>(byte);
  }
  const absl::StatusOr<int64_t> told = ParseTarNumber(Field(header.checksum), "checksum");
  if (told.ok() && (*told == sum || *told == as_signed)) return absl::OkStatus();
  return absl::InvalidArgumentError("not a tar: the checksum of a header is wrong");
}

absl::StatusOr<mode_t> TypeOf(const UstarHeader& header, absl::string_view name) {
  switch (header.type) {
    case '0':
    case '\0':
    case '7':  // contiguous
    case kOldSparse:
      // Before POSIX a directory was told by its name alone.
      return absl::EndsWith(name, "/") ? S_IFDIR : S_IFREG;
    case '1':
      return S_IFREG;
    case '2':
      return S_IFLNK;
    case '3':
      return S_IFCHR;
    case '4':
      return S_IFBLK;
    case '5':
      return S_IFDIR;
    case '6':
      return S_IFIFO;
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "type '", absl::CHexEscape(absl::string_view(&header.type, 1)), "' is not known"));
  }
}

absl::StatusOr<uint32_t> IdOf(absl::string_view field, std::optional<int64_t> pax,
                              absl::string_view what) {
  int64_t id = 0;
  if (pax.has_value()) {
    id = *pax;
  } else {
    GANTRY_ASSIGN_OR_RETURN(id, ParseTarNumber(field, what));
  }
  // The last one means "leave as it is" to chown(2).
  if (id < 0 || id >= int64_t{UINT32_MAX}) {
    return absl::InvalidArgumentError(absl::StrCat(what, " ", id, " cannot be"));
  }
  return static_cast<uint32_t>(id);
}

absl::StatusOr<dev_t> DeviceOf(const UstarHeader& header) {
  GANTRY_ASSIGN_OR_RETURN(const int64_t major, ParseTarNumber(Field(header.major), "device major"));
  GANTRY_ASSIGN_OR_RETURN(const int64_t minor, ParseTarNumber(Field(header.minor), "device minor"));
  constexpr int64_t kMostMajor = (1 << 12) - 1;
  constexpr int64_t kMostMinor = (1 << 20) - 1;
  if (major < 0 || major > kMostMajor || minor < 0 || minor > kMostMinor) {
    return absl::InvalidArgumentError(absl::StrCat("device ", major, ":", minor, " cannot be"));
  }
  return makedev(static_cast<unsigned>(major), static_cast<unsigned>(minor));
}

std::string Shown(absl::string_view name) { return absl::StrCat("layer entry ", QuotedName(name)); }

}  // namespace

absl::StatusOr<bool> TarReader::Header(UstarHeader* header) {
  GANTRY_ASSIGN_OR_RETURN(const bool more,
                          blocks_.Read(reinterpret_cast<char*>(header), kTarBlock));
  if (!more) return false;
  if (!IsZero(*header)) {
    GANTRY_RETURN_IF_ERROR(CheckSum(*header));
    return true;
  }
  GANTRY_ASSIGN_OR_RETURN(const bool second,
                          blocks_.Read(reinterpret_cast<char*>(header), kTarBlock));
  if (second && !IsZero(*header)) {
    return absl::InvalidArgumentError("not a tar: a block of zeros between entries");
  }
  return false;
}

// The data of a header that is about the next one: extended header or long name.
absl::StatusOr<std::string> TarReader::Special(const UstarHeader& header) {
  GANTRY_ASSIGN_OR_RETURN(const int64_t size, ParseTarNumber(Field(header.size), "size"));
  if (size < 0 || size > kMostSpecial) {
    return absl::InvalidArgumentError(absl::StrCat("an extended header or long name of ", size,
                                                   " bytes, of which ", kMostSpecial,
                                                   " are allowed"));
  }
  std::string text;
  GANTRY_RETURN_IF_ERROR(blocks_.Append(size, &text));
  GANTRY_RETURN_IF_ERROR(blocks_.Skip(-size & (kTarBlock - 1)));
  return text;
}

absl::StatusOr<bool> TarReader::Headers(UstarHeader* header, Prefix* prefix) {
  bool any = false;
  for (;;) {
    GANTRY_ASSIGN_OR_RETURN(const bool more, Header(header));
    if (!more && any) return absl::DataLossError("the archive ends behind an extended header");
    if (!more) return false;
    const char type = header->type;
    if (type != kPax && type != kGlobalPax && type != kLongName && type != kLongLink) return true;
    absl::StatusOr<std::string> text = Special(*header);
    if (!text.ok()) return Annotate(text.status(), Shown(NameOf(*header)));
    if (type == kPax) {
      const absl::Status parsed = ParsePaxRecords(*text, &prefix->pax);
      if (!parsed.ok()) return Annotate(parsed, Shown(NameOf(*header)));
    } else if (type == kLongName) {
      prefix->long_name = text->substr(0, text->find('\0'));
    } else if (type == kLongLink) {
      prefix->long_link = text->substr(0, text->find('\0'));
    }
    any = any || type != kGlobalPax;
  }
}

absl::Status TarReader::FillData(const UstarHeader& header, const PaxHeader& pax, int64_t size) {
  left_ = size;
  size_ = size;
  padding_ = -size & static_cast<int64_t>(kTarBlock - 1);
  if (header.type == kOldSparse) {
    if (DialectOf(header) != Dialect::kGnu) {
      return absl::InvalidArgumentError("type 'S' is GNU tar's alone");
    }
    const absl::string_view bytes(reinterpret_cast<const char*>(&header), kTarBlock);
    GANTRY_ASSIGN_OR_RETURN(map_, ReadOldSparseMap(bytes, blocks_, &size_));
  } else if (pax.sparse.has_value()) {
    const PaxHeader::Sparse& sparse = *pax.sparse;
    if (sparse.major == "1" && sparse.minor == "0") {
      GANTRY_ASSIGN_OR_RETURN(map_, ReadSparseMap(blocks_, &left_));
    } else if (sparse.map.has_value() && (sparse.major.empty() || sparse.major == "0")) {
      map_ = sparse.map;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("sparse file: format ", sparse.major, ".", sparse.minor, " is not known"));
    }
    if (!sparse.real_size.has_value()) {
      return absl::InvalidArgumentError("sparse file: its size is missing");
    }
    size_ = *sparse.real_size;
  }
  return map_.has_value() ? CheckSparseMap(*map_, left_, size_) : absl::OkStatus();
}

absl::Status TarReader::Fill(const UstarHeader& header, Prefix& prefix, Entry* entry) {
  PaxHeader& pax = prefix.pax;
  GANTRY_ASSIGN_OR_RETURN(const mode_t type, TypeOf(header, entry->name));
  GANTRY_ASSIGN_OR_RETURN(const int64_t mode, ParseTarNumber(Field(header.mode), "mode"));
  entry->mode = type | (static_cast<mode_t>(mode) & 07777);
  entry->is_hardlink = header.type == '1';
  if (entry->is_hardlink || S_ISLNK(type)) {
    if (pax.link.has_value()) {
      entry->link = *std::move(pax.link);
    } else if (prefix.long_link.has_value()) {
      entry->link = *std::move(prefix.long_link);
    } else {
      entry->link = std::string(Text(header.link));
    }
  }
  GANTRY_ASSIGN_OR_RETURN(entry->uid, IdOf(Field(header.uid), pax.uid, "uid"));
  GANTRY_ASSIGN_OR_RETURN(entry->gid, IdOf(Field(header.gid), pax.gid, "gid"));
  if (S_ISCHR(type) || S_ISBLK(type)) {
    GANTRY_ASSIGN_OR_RETURN(entry->device, DeviceOf(header));
  }
  if (pax.mtime.has_value()) {
    entry->mtime = *pax.mtime;
  } else {
    GANTRY_ASSIGN_OR_RETURN(entry->mtime.tv_sec, ParseTarNumber(Field(header.mtime), "mtime"));
  }
  entry->xattrs = std::move(pax.xattrs);
  if (!S_ISREG(type) || entry->is_hardlink) return absl::OkStatus();
  int64_t size = 0;
  if (pax.size.has_value()) {
    size = *pax.size;
  } else {
    GANTRY_ASSIGN_OR_RETURN(size, ParseTarNumber(Field(header.size), "size"));
  }
  if (size < 0) return absl::InvalidArgumentError(absl::StrCat("size ", size, " cannot be"));
  return FillData(header, pax, size);
}

absl::StatusOr<bool> TarReader::Next(Entry* entry) {
  GANTRY_RETURN_IF_ERROR(PassOver());
  UstarHeader header;
  Prefix prefix;
  GANTRY_ASSIGN_OR_RETURN(const bool more, Headers(&header, &prefix));
  if (!more) return false;
  *entry = Entry{};
  PaxHeader& pax = prefix.pax;
  if (pax.sparse.has_value() && pax.sparse->name.has_value()) {
    entry->name = *std::move(pax.sparse->name);
  } else if (pax.path.has_value()) {
    entry->name = *std::move(pax.path);
  } else if (prefix.long_name.has_value()) {
    entry->name = *std::move(prefix.long_name);
  } else {
    entry->name = NameOf(header);
  }
  const absl::Status filled = Fill(header, prefix, entry);
  if (!filled.ok()) return Annotate(filled, Shown(entry->name));
  return true;
}

absl::Status TarReader::PassOver() {
  GANTRY_RETURN_IF_ERROR(blocks_.Skip(left_));
  // Go's reader, too, takes an archive that ends with the last file's last byte.
  GANTRY_RETURN_IF_ERROR(blocks_.Skip(padding_, /*end_is_fine=*/true));
  left_ = padding_ = size_ = 0;
  map_.reset();
  return absl::OkStatus();
}

absl::StatusOr<int64_t> TarReader::Data(
    const std::function<absl::Status(int64_t offset, absl::string_view bytes)>& sink) {
  const std::vector<Extent> whole = {{0, left_}};
  for (Extent extent : map_.has_value() ? *map_ : whole) {
    while (extent.size > 0) {
      GANTRY_ASSIGN_OR_RETURN(const absl::string_view bytes, blocks_.Some(extent.size));
      const int64_t got = static_cast<int64_t>(bytes.size());
      left_ -= got;
      extent.size -= got;
      GANTRY_RETURN_IF_ERROR(sink(extent.offset, bytes));
      extent.offset += got;
    }
  }
  return size_;
}

}  // namespace gantry::diff
