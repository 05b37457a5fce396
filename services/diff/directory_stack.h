#ifndef GANTRY_SERVICES_DIFF_DIRECTORY_STACK_H_
#define GANTRY_SERVICES_DIFF_DIRECTORY_STACK_H_

#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::diff {

// The open directories on the way to the entry that a layer adds next. Archives go through a tree
// in order, so nearly every entry finds its directory open and no path is walked for it.
//
// What adding to a directory changes (its time), and what it must not have meanwhile (a default
// ACL, which files made in it would inherit), is set when it is left. Memory is bounded by the
// length of a path, and eight bytes for each directory made. Not thread-safe.
class DirectoryStack {
 public:
  struct Directory {
    std::string path;  // clean, from the root
    UniqueFd fd;       // invalid while many are open below it
    ino_t inode = 0;
    struct timespec mtime {};
    bool fresh = false;           // this layer has made it, so all that is in it is this layer's
    bool inherits_group = false;  // set-group-ID: what is made in it gets its group
    std::string default_acl;
  };

  // `root` (O_PATH is enough) outlives this.
  explicit DirectoryStack(int root) : root_(root) {}

  // The directory `path` (clean, absolute), links on the way resolved with the root as "/", missing
  // ones made (0755). Good until the next call.
  absl::StatusOr<Directory*> Enter(const std::string& path);
  // The directory `fd`, which was made or found at `path` in the one entered last.
  absl::StatusOr<Directory*> Push(const std::string& path, UniqueFd fd, bool made);
  // Leaves all: call once, last. An error names the directory.
  absl::Status Finish();

 private:
  absl::StatusOr<UniqueFd> Open(const std::string& path, bool* made);
  absl::Status Reopen(Directory& directory);
  absl::Status Leave();

  const int root_;
  std::vector<Directory> stack_;
  absl::flat_hash_set<ino_t> made_;
};

// "/a/b" as "/a" and "b".
std::pair<std::string, std::string> SplitPath(const std::string& path);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_DIRECTORY_STACK_H_
