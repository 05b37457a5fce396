#ifndef GANTRY_SERVICES_DIFF_TAR_READER_H_
#define GANTRY_SERVICES_DIFF_TAR_READER_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/diff/block_reader.h"
#include "services/diff/entry.h"
#include "services/diff/pax_header.h"
#include "services/diff/tar_format.h"

namespace gantry::diff {

// Reads a tar, which may be hostile: v7, ustar, pax, GNU (long names, base-256 numbers) and star;
// sparse files in GNU's four formats. Strict: what it does not understand it refuses, since an
// entry read otherwise than by others is a hole. Memory is bounded: 1 MiB of extended header or
// long name an entry, and its map. Entries of links, devices and directories have no data, whatever
// their size says; the global extended header is passed over (both as Go's archive/tar, which
// containerd reads layers with). Not thread-safe.
class TarReader {
 public:
  // `source` outlives this.
  explicit TarReader(ByteSource& source) : blocks_(source) {}

  // Goes to the next entry, past what is left of the last one's data. False at the archive's end
  // (two blocks of zeros, or the end of the stream). Errors: InvalidArgument that names the entry;
  // DataLoss for an archive that is cut short; those of the source.
  absl::StatusOr<bool> Next(Entry* entry);

  // Gives the entry's data in pieces, holes left out, and returns the file's size. Once an entry.
  absl::StatusOr<int64_t> Data(
      const std::function<absl::Status(int64_t offset, absl::string_view bytes)>& sink);

 private:
  // What headers before the entry's own say of it.
  struct Prefix {
    PaxHeader pax;
    std::optional<std::string> long_name;
    std::optional<std::string> long_link;
  };
  // Reads headers up to the entry's own into `header`; false at the end of the archive.
  absl::StatusOr<bool> Headers(UstarHeader* header, Prefix* prefix);
  absl::StatusOr<bool> Header(UstarHeader* header);
  absl::StatusOr<std::string> Special(const UstarHeader& header);
  absl::Status Fill(const UstarHeader& header, Prefix& prefix, Entry* entry);
  absl::Status FillData(const UstarHeader& header, const PaxHeader& pax, int64_t size);
  absl::Status PassOver();

  BlockReader blocks_;
  int64_t left_ = 0;     // bytes of the entry's data not read yet
  int64_t padding_ = 0;  // and of what fills its last block
  int64_t size_ = 0;     // the file's, holes included
  std::optional<std::vector<Extent>> map_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_TAR_READER_H_
