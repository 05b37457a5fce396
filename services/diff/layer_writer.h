#ifndef GANTRY_SERVICES_DIFF_LAYER_WRITER_H_
#define GANTRY_SERVICES_DIFF_LAYER_WRITER_H_

#include <functional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/diff/directory_stack.h"
#include "services/diff/entry.h"

namespace gantry::diff {

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
  // `root` (O_PATH is enough) outlives this. No file may have more than `max_file_bytes`, holes
  // included (0: no limit).
  LayerWriter(int root, int64_t max_file_bytes);

  // Errors name the entry. `data` is called for regular files only.
  absl::Status Add(const Entry& entry, const DataSource& data);
  // Sets the times of directories, which adding to them has changed. Call once, last.
  absl::Status Finish() { return directories_.Finish(); }

 private:
  using Directory = DirectoryStack::Directory;

  absl::Status AddAt(const Entry& entry, const DataSource& data);
  absl::Status Root(const Entry& entry);
  absl::Status Whiteout(const Directory& parent, absl::string_view base);
  // Calls `make` (0 or -1 and errno), and again once what is in its way is removed.
  absl::Status Make(const Directory& parent, const std::string& base,
                    const std::function<int()>& make, absl::string_view what);
  absl::Status MakeDirectory(const Directory& parent, const std::string& base,
                             const std::string& path, const Entry& entry);
  absl::Status MakeFile(const Directory& parent, const std::string& base, const Entry& entry,
                        const DataSource& data);
  absl::Status MakeNode(const Directory& parent, const std::string& base, const Entry& entry);
  absl::Status Link(const Directory& parent, const std::string& parent_path,
                    const std::string& base, const Entry& entry);
  // Of a file or directory that is open; `have` is its mode now.
  absl::Status SetAttributes(int fd, const Directory* parent, const Entry& entry, mode_t have);
  [[nodiscard]] bool OwnedAsMade(const Directory* parent, const Entry& entry) const;
  void Remember(const Directory& parent, absl::string_view base);
  [[nodiscard]] bool IsOurs(const Directory& parent, absl::string_view base) const;

  const int root_;
  const int64_t max_file_bytes_;
  const mode_t umask_;
  DirectoryStack directories_;
  // Hashes of what this layer has put into directories that were there before it: an opaque mark
  // spares it.
  absl::flat_hash_set<size_t> made_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_LAYER_WRITER_H_
