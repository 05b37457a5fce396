#include "services/diff/diff_applier.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <memory>

#include "base/errors.h"
#include "services/diff/decompressor.h"
#include "services/diff/layer_writer.h"

namespace gantry::diff {
namespace {

struct ArchiveCloser {
  void operator()(struct archive* archive) const { ::archive_read_free(archive); }
};
using Archive = std::unique_ptr<struct archive, ArchiveCloser>;

// libarchive converts names to the thread's character set and drops those it cannot: names are
// bytes, so the conversion has to be the one that changes nothing.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) former_ = ::uselocale(locale_);
  }
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    ::uselocale(former_);
    ::freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t former_ = nullptr;
};

// The inflated stream on its way into libarchive: counted and hashed as it passes.
class Stream {
 public:
  Stream(std::unique_ptr<Decompressor> decompressor, Digester digester)
      : decompressor_(std::move(decompressor)), digester_(std::move(digester)) {}

  static la_ssize_t Read(struct archive* archive, void* self, const void** bytes) {
    auto* stream = static_cast<Stream*>(self);
    const absl::StatusOr<absl::string_view> next = stream->Next();
    if (!next.ok()) {
      ::archive_set_error(archive, EIO, "%s", std::string(next.status().message()).c_str());
      return ARCHIVE_FATAL;
    }
    *bytes = next->data();
    return static_cast<la_ssize_t>(next->size());
  }

  // What follows the archive's end mark belongs to the diff id as well.
  absl::Status Drain() {
    for (;;) {
      GANTRY_ASSIGN_OR_RETURN(const absl::string_view next, Next());
      if (next.empty()) return absl::OkStatus();
    }
  }

  // The first error of the stream itself; libarchive's own words would hide it.
  [[nodiscard]] const absl::Status& status() const { return status_; }
  Applied Finish() { return Applied{digester_.Finish(), size_}; }

 private:
  absl::StatusOr<absl::string_view> Next() {
    absl::StatusOr<absl::string_view> next = decompressor_->Next();
    if (!next.ok()) {
      status_ = next.status();
      return next;
    }
    digester_.Update(*next);
    size_ += static_cast<int64_t>(next->size());
    return next;
  }

  std::unique_ptr<Decompressor> decompressor_;
  Digester digester_;
  int64_t size_ = 0;
  absl::Status status_;
};

absl::Status ArchiveError(struct archive* archive, const Stream& stream, absl::string_view what) {
  if (!stream.status().ok()) return stream.status();
  const char* message = ::archive_error_string(archive);
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": ", message != nullptr ? message : "broken archive"));
}

std::string Text(const char* text) { return text != nullptr ? text : ""; }

Entry ToEntry(struct archive_entry* raw) {
  Entry entry;
  entry.name = Text(::archive_entry_pathname(raw));
  if (const char* target = ::archive_entry_hardlink(raw); target != nullptr) {
    entry.is_hardlink = true;
    entry.link = target;
  } else {
    entry.link = Text(::archive_entry_symlink(raw));
  }
  entry.mode = ::archive_entry_mode(raw);
  entry.uid = static_cast<uid_t>(::archive_entry_uid(raw));
  entry.gid = static_cast<gid_t>(::archive_entry_gid(raw));
  if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) entry.device = ::archive_entry_rdev(raw);
  entry.mtime.tv_sec = ::archive_entry_mtime(raw);
  entry.mtime.tv_nsec = ::archive_entry_mtime_nsec(raw);
  // libarchive gives the sign of "-6.75" to the seconds alone; a timespec counts up from -7.
  if (entry.mtime.tv_sec < 0 && entry.mtime.tv_nsec > 0) {
    entry.mtime.tv_sec -= 1;
    entry.mtime.tv_nsec = 1000000000 - entry.mtime.tv_nsec;
  }
  ::archive_entry_xattr_reset(raw);
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  while (::archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK) {
    entry.xattrs.emplace_back(Text(name), std::string(static_cast<const char*>(value), size));
  }
  return entry;
}

absl::Status Unpack(struct archive* archive, const Stream& stream, LayerWriter& writer) {
  struct archive_entry* raw = nullptr;
  for (;;) {
    const int result = ::archive_read_next_header(archive, &raw);
    if (result == ARCHIVE_EOF) return writer.Finish();
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
      return ArchiveError(archive, stream, "read the layer's next entry");
    }
    const Entry entry = ToEntry(raw);
    const DataSource data = [&](const auto& sink) -> absl::StatusOr<int64_t> {
      const void* bytes = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      for (;;) {
        const int read = ::archive_read_data_block(archive, &bytes, &size, &offset);
        if (read == ARCHIVE_EOF) return ::archive_entry_size(raw);
        if (read != ARCHIVE_OK) return ArchiveError(archive, stream, "read its data");
        GANTRY_RETURN_IF_ERROR(
            sink(offset, absl::string_view(static_cast<const char*>(bytes), size)));
      }
    };
    GANTRY_RETURN_IF_ERROR(writer.Add(entry, data));
  }
}

}  // namespace

absl::StatusOr<Applied> ApplyLayer(int fd, uint64_t size_bytes, const std::vector<Mount>& mounts) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd root, OpenMountedTree(mounts));
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<Decompressor> decompressor,
                          MakeDecompressor(fd, size_bytes));
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create());
  Stream stream(std::move(decompressor), std::move(digester));
  const Utf8Locale locale;
  const Archive archive(::archive_read_new());
  if (archive == nullptr) return absl::ResourceExhaustedError("start reading a layer: no memory");
  ::archive_read_support_format_tar(archive.get());
  // An empty layer is a valid one: nothing but end marks, or no byte at all.
  ::archive_read_support_format_empty(archive.get());
  if (::archive_read_open(archive.get(), &stream, nullptr, Stream::Read, nullptr) != ARCHIVE_OK) {
    return ArchiveError(archive.get(), stream, "open the layer");
  }
  LayerWriter writer(root.get());
  GANTRY_RETURN_IF_ERROR(Unpack(archive.get(), stream, writer));
  GANTRY_RETURN_IF_ERROR(stream.Drain());
  return stream.Finish();
}

}  // namespace gantry::diff
