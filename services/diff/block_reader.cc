#include "services/diff/block_reader.h"

#include <algorithm>
#include <cstring>

#include "base/errors.h"

namespace gantry::diff {
namespace {

absl::Status CutShort() {
  return absl::DataLossError("the archive ends in the middle of an entry");
}

}  // namespace

absl::StatusOr<bool> BlockReader::Fill() {
  if (!rest_.empty()) return true;
  GANTRY_ASSIGN_OR_RETURN(rest_, source_.Next());
  return !rest_.empty();
}

absl::StatusOr<bool> BlockReader::Read(char* out, size_t size) {
  size_t have = 0;
  while (have < size) {
    GANTRY_ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more && have == 0) return false;
    if (!more) return CutShort();
    const size_t take = std::min(rest_.size(), size - have);
    std::memcpy(out + have, rest_.data(), take);
    rest_.remove_prefix(take);
    have += take;
  }
  return true;
}

absl::Status BlockReader::Append(int64_t size, std::string* out) {
  while (size > 0) {
    GANTRY_ASSIGN_OR_RETURN(const absl::string_view bytes, Some(size));
    out->append(bytes.data(), bytes.size());
    size -= static_cast<int64_t>(bytes.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> BlockReader::Some(int64_t most) {
  GANTRY_ASSIGN_OR_RETURN(const bool more, Fill());
  if (!more) return CutShort();
  const absl::string_view bytes = rest_.substr(0, static_cast<size_t>(most));
  rest_.remove_prefix(bytes.size());
  return bytes;
}

absl::Status BlockReader::Skip(int64_t size, bool end_is_fine) {
  while (size > 0) {
    GANTRY_ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return end_is_fine ? absl::OkStatus() : CutShort();
    const size_t take = static_cast<size_t>(std::min<int64_t>(size, rest_.size()));
    rest_.remove_prefix(take);
    size -= static_cast<int64_t>(take);
  }
  return absl::OkStatus();
}

}  // namespace gantry::diff
