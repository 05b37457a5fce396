#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/match.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "base/unique_fd.h"
#include "services/diff/diff_applier.h"
#include "services/diff/tar_format.h"
#include "services/diff/tar_number.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using gantry::diff::kTarBlock;
using gantry::diff::UstarHeader;

// Puts the right checksum into each block where a header is due: else hardly an input would get
// past the first.
void Mend(std::string* tar) {
  for (size_t at = 0; at + kTarBlock <= tar->size();) {
    UstarHeader header;
    std::memcpy(&header, tar->data() + at, kTarBlock);
    std::memset(header.checksum, ' ', sizeof header.checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < kTarBlock; ++i) sum += reinterpret_cast<unsigned char*>(&header)[i];
    std::snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
    std::memcpy(tar->data() + at, &header, kTarBlock);
    const auto size = gantry::diff::ParseTarNumber({header.size, sizeof header.size}, "size");
    at += kTarBlock;
    if (header.type >= '1' && header.type <= '6') continue;  // no data, whatever the size says
    if (!size.ok() || *size < 0 || *size > static_cast<int64_t>(tar->size())) break;
    at += (static_cast<size_t>(*size) + kTarBlock - 1) / kTarBlock * kTarBlock;
  }
}

}  // namespace

// Unpacks a layer below a root and looks whether anything beside the root has changed.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  std::string layer(reinterpret_cast<const char*>(data), size);
  const bool compressed =
      absl::StartsWith(layer, "\x1f\x8b") || absl::StartsWith(layer, "\x28\xb5\x2f\xfd");
  if (!compressed) Mend(&layer);
  const TempDir dir = *TempDir::Create("gantry-fuzz-");
  const std::string root = dir.path() + "/root";
  const std::string outside = dir.path() + "/outside";
  fuzz::Require(MakeDirectories(root + "/there/deeper").ok() && MakeDirectories(outside).ok());
  fuzz::Require(::symlink("../outside", (root + "/out").c_str()) == 0);
  fuzz::Require(::symlink("there", (root + "/in").c_str()) == 0);
  fuzz::Require(
      WriteFileAtomic(outside + "/precious", "intact", 0600, Durability::kNotDurable).ok());
  struct stat before {};
  fuzz::Require(::lstat((outside + "/precious").c_str(), &before) == 0);

  const UniqueFd fd(::memfd_create("layer", MFD_CLOEXEC));
  fuzz::Require(::pwrite(fd.get(), layer.data(), layer.size(), 0) ==
                static_cast<ssize_t>(layer.size()));
  diff::ApplyLayer(fd.get(), layer.size(), {diff::Mount{"bind", root, {"rw", "rbind"}}},
                   {.max_bytes = 1 << 20, .max_ratio = 0, .max_entries = 50})
      .IgnoreError();

  struct stat after {};
  fuzz::Require(::lstat((outside + "/precious").c_str(), &after) == 0);
  fuzz::Require(*ReadFile(outside + "/precious") == "intact");
  fuzz::Require(before.st_mode == after.st_mode && before.st_nlink == after.st_nlink &&
                before.st_uid == after.st_uid && before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
  fuzz::Require(ListDirectory(outside)->size() == 1 && ListDirectory(dir.path())->size() == 2);
  fuzz::Require(RemoveTree(root).ok());
  return 0;
}
