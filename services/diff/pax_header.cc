#include "services/diff/pax_header.h"

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "services/diff/sparse_map.h"
#include "services/diff/tar_number.h"

namespace gantry::diff {
namespace {

absl::Status BadRecord(absl::string_view why, absl::string_view record) {
  return absl::InvalidArgumentError(absl::StrCat("extended header: ", why, " in \"",
                                                 absl::CHexEscape(record.substr(0, 64)), "\""));
}

// Takes "LENGTH KEY=VALUE\n" off the front of `rest`.
absl::Status TakeRecord(absl::string_view* rest, absl::string_view* key, absl::string_view* value) {
  constexpr size_t kMostDigits = 20;
  const size_t space = rest->substr(0, kMostDigits + 1).find(' ');
  if (space == absl::string_view::npos) return BadRecord("no length", *rest);
  GANTRY_ASSIGN_OR_RETURN(const int64_t length,
                          ParseDecimal(rest->substr(0, space), "length of a record"));
  const size_t size = static_cast<size_t>(length);
  if (size <= space + 1 || size > rest->size()) return BadRecord("bad length", *rest);
  absl::string_view record = rest->substr(space + 1, size - space - 1);
  if (!absl::ConsumeSuffix(&record, "\n")) return BadRecord("no end of line", *rest);
  const size_t equals = record.find('=');
  if (equals == 0 || equals == absl::string_view::npos) return BadRecord("no key", *rest);
  *key = record.substr(0, equals);
  *value = record.substr(equals + 1);
  if (key->find('\0') != absl::string_view::npos) return BadRecord("a NUL in the key", *rest);
  rest->remove_prefix(size);
  return absl::OkStatus();
}

absl::Status SetText(absl::string_view key, absl::string_view value,
                     std::optional<std::string>* out) {
  if (value.find('\0') != absl::string_view::npos) return BadRecord("a NUL", key);
  *out = value.empty() ? std::nullopt : std::optional(std::string(value));
  return absl::OkStatus();
}

absl::Status SetNumber(absl::string_view key, absl::string_view value,
                       std::optional<int64_t>* out) {
  out->reset();
  if (value.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(*out, ParseDecimal(value, key));
  return absl::OkStatus();
}

absl::Status SetXattr(absl::string_view name, absl::string_view value, PaxHeader* header) {
  if (name.empty()) return BadRecord("no name of an extended attribute", "SCHILY.xattr.");
  for (auto& [have, old] : header->xattrs) {
    if (absl::string_view(have) != name) continue;
    old = std::string(value);
    return absl::OkStatus();
  }
  header->xattrs.emplace_back(name, value);
  return absl::OkStatus();
}

// Format 0.0 gives each extent in two records, in order.
absl::Status AddToMap(absl::string_view key, absl::string_view value, PaxHeader::Sparse* sparse) {
  GANTRY_ASSIGN_OR_RETURN(const int64_t number, ParseDecimal(value, key));
  if (!sparse->map.has_value()) sparse->map.emplace();
  std::vector<Extent>& map = *sparse->map;
  if (key == "offset") {
    if (map.size() >= kMostExtents) return BadRecord("too many pieces", key);
    map.push_back({number, -1});
    return absl::OkStatus();
  }
  if (map.empty() || map.back().size != -1) return BadRecord("numbytes without an offset", value);
  map.back().size = number;
  return absl::OkStatus();
}

absl::Status SetSparse(absl::string_view key, absl::string_view value, PaxHeader* header) {
  if (!header->sparse.has_value()) header->sparse.emplace();
  PaxHeader::Sparse& sparse = *header->sparse;
  if (key == "major") {
    sparse.major = std::string(value.substr(0, 8));
  } else if (key == "minor") {
    sparse.minor = std::string(value.substr(0, 8));
  } else if (key == "name") {
    return SetText(key, value, &sparse.name);
  } else if (key == "size" || key == "realsize") {
    return SetNumber(key, value, &sparse.real_size);
  } else if (key == "offset" || key == "numbytes") {
    return AddToMap(key, value, &sparse);
  } else if (key == "map") {
    GANTRY_ASSIGN_OR_RETURN(sparse.map, ParseSparseMapText(value));
  }
  return absl::OkStatus();
}

absl::Status Set(absl::string_view key, absl::string_view value, PaxHeader* header) {
  if (key == "path") return SetText(key, value, &header->path);
  if (key == "linkpath") return SetText(key, value, &header->link);
  if (key == "uid") return SetNumber(key, value, &header->uid);
  if (key == "gid") return SetNumber(key, value, &header->gid);
  if (key == "size") return SetNumber(key, value, &header->size);
  if (key == "mtime") {
    header->mtime.reset();
    if (value.empty()) return absl::OkStatus();
    GANTRY_ASSIGN_OR_RETURN(header->mtime, ParsePaxTime(value, key));
    return absl::OkStatus();
  }
  if (absl::ConsumePrefix(&key, "SCHILY.xattr.")) return SetXattr(key, value, header);
  if (absl::ConsumePrefix(&key, "GNU.sparse.")) return SetSparse(key, value, header);
  return absl::OkStatus();
}

}  // namespace

absl::Status ParsePaxRecords(absl::string_view records, PaxHeader* header) {
  while (!records.empty()) {
    absl::string_view key;
    absl::string_view value;
    GANTRY_RETURN_IF_ERROR(TakeRecord(&records, &key, &value));
    GANTRY_RETURN_IF_ERROR(Set(key, value, header));
  }
  return absl::OkStatus();
}

}  // namespace gantry::diff
