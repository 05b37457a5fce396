#ifndef GANTRY_TESTS_UNIT_SERVICES_DIFF_LAYER_BUILDER_H_
#define GANTRY_TESTS_UNIT_SERVICES_DIFF_LAYER_BUILDER_H_

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "services/diff/diff_applier.h"

namespace gantry::diff {

// Writes the tar of a layer entry by entry. Names go in as they are, hostile ones too.
class LayerBuilder {
 public:
  LayerBuilder() : archive_(::archive_write_new()) {
    ::archive_write_set_format_pax(archive_);
    ::archive_write_set_bytes_in_last_block(archive_, 1);
    ::archive_write_open(archive_, this, nullptr, &LayerBuilder::Append, nullptr);
  }
  ~LayerBuilder() { ::archive_write_free(archive_); }

  LayerBuilder& File(const std::string& name, const std::string& data, mode_t mode = 0644) {
    return Add(name, S_IFREG | mode, data);
  }
  LayerBuilder& Directory(const std::string& name, mode_t mode = 0755) {
    return Add(name, S_IFDIR | mode);
  }
  LayerBuilder& Symlink(const std::string& name, const std::string& target) {
    return Add(name, S_IFLNK | 0777, "",
               [&](archive_entry* e) { ::archive_entry_set_symlink(e, target.c_str()); });
  }
  LayerBuilder& Hardlink(const std::string& name, const std::string& target) {
    return Add(name, S_IFREG | 0644, "",
               [&](archive_entry* e) { ::archive_entry_set_hardlink(e, target.c_str()); });
  }
  LayerBuilder& Device(const std::string& name, mode_t type, dev_t device) {
    return Add(name, type | 0600, "",
               [&](archive_entry* e) { ::archive_entry_set_rdev(e, device); });
  }
  template <typename Adjust>
  LayerBuilder& Add(const std::string& name, mode_t mode, const std::string& data, Adjust adjust) {
    archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, name.c_str());
    ::archive_entry_set_mode(entry, mode);
    ::archive_entry_set_mtime(entry, 1000000000, 5);
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(data.size()));
    adjust(entry);
    EXPECT_GE(::archive_write_header(archive_, entry), ARCHIVE_WARN)
        << ::archive_error_string(archive_);
    if (!data.empty()) {
      EXPECT_EQ(::archive_write_data(archive_, data.data(), data.size()),
                static_cast<la_ssize_t>(data.size()));
    }
    ::archive_entry_free(entry);
    return *this;
  }
  LayerBuilder& Add(const std::string& name, mode_t mode, const std::string& data = "") {
    return Add(name, mode, data, [](archive_entry*) {});
  }

  std::string Finish() {
    ::archive_write_close(archive_);
    return std::move(bytes_);
  }

 private:
  static la_ssize_t Append(struct archive*, void* self, const void* data, size_t size) {
    static_cast<LayerBuilder*>(self)->bytes_.append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
  }
  struct archive* archive_;
  std::string bytes_;
};

// `bytes` as a file in memory.
inline UniqueFd MemoryFile(const std::string& bytes) {
  UniqueFd fd(::memfd_create("layer", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return fd;
}

inline absl::StatusOr<Applied> Apply(const std::string& layer, const std::vector<Mount>& mounts,
                                     const LayerLimits& limits = {}) {
  const UniqueFd fd = MemoryFile(layer);
  return ApplyLayer(fd.get(), layer.size(), mounts, limits);
}

inline std::vector<Mount> Bind(const std::string& path) {
  return {Mount{"bind", path, {"rw", "rbind"}}};
}

}  // namespace gantry::diff

#endif  // GANTRY_TESTS_UNIT_SERVICES_DIFF_LAYER_BUILDER_H_
