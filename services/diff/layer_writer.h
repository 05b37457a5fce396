#ifndef GANTRY_SERVICES_DIFF_LAYER_WRITER_H_
#define GANTRY_SERVICES_DIFF_LAYER_WRITER_H_

#include <sys/stat.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry::diff {

// One entry of a layer's tar. `name` and `link` are as the archive has them, so hostile.
struct Entry {
  std::string name;
  std::string link;  // target of a hard or symbolic link
  bool is_hardlink = false;
  mode_t mode = 0;  // type and permission bits, as st_mode
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t device = 0;  // of a device node
  struct timespec mtime {};
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// Gives an entry's data in pieces: calls `sink(offset, bytes)` for each, holes left out, and
// returns the file's size.
using DataSource = std::function<absl::StatusOr<int64_t>(
    const std::function<absl::Status(int64_t offset, absl::string_view bytes)>& sink)>;

// Writes the entries of one layer into a tree, with whiteouts. Every name is resolved with the tree
// as its root (openat2(2), RESOLVE_IN_ROOT), entry by entry, so neither "..", absolute names nor
// links made by earlier entries lead out. Runs as root; not thread-safe. Source: OCI image-spec,
// layer.md "Applying Changesets".
class LayerWriter {
 public:
  // `root` (O_PATH is enough) outlives this.
  explicit LayerWriter(int root) : root_(root) {}

  // Errors name the entry. `data` is called for regular files only.
  absl::Status Add(const Entry& entry, const DataSource& data);
  // Sets the times of directories, which adding to them has changed. Call once, last.
  absl::Status Finish();

 private:
  absl::Status AddAt(const Entry& entry, const std::string& path, const DataSource& data);
  absl::Status Whiteout(int parent, const std::string& directory, absl::string_view base);
  absl::Status MakeRoom(int parent, const std::string& base, const std::string& path,
                        bool for_directory);
  absl::Status Create(int parent, const std::string& base, const Entry& entry,
                      const DataSource& data);
  absl::Status CreateFile(int parent, const std::string& base, const Entry& entry,
                          const DataSource& data);
  absl::Status Link(int parent, const std::string& base, const Entry& entry);
  absl::Status SetAttributes(int parent, const std::string& base, const Entry& entry);
  // A descriptor of the directory `path`, made if missing; that of the last call is kept.
  absl::StatusOr<int> Parent(const std::string& path);
  void Forget() { parent_.reset(); }

  const int root_;
  UniqueFd parent_;
  std::string parent_path_;
  // Paths that this layer has made: an opaque mark spares them.
  std::set<std::string> made_;
  struct DirectoryTime {
    std::string path;
    struct timespec mtime;
  };
  std::vector<DirectoryTime> directories_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_LAYER_WRITER_H_
