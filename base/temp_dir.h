#ifndef GANTRY_BASE_TEMP_DIR_H_
#define GANTRY_BASE_TEMP_DIR_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry {

// A directory of our own (mode 0700) that goes with everything in it when this goes out of scope.
class TempDir {
 public:
  // Below `parent`, or $TMPDIR, or /tmp, named `prefix` and six random characters.
  static absl::StatusOr<TempDir> Create(absl::string_view prefix, absl::string_view parent = "");
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TempDir();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace gantry

#endif  // GANTRY_BASE_TEMP_DIR_H_
