#include "services/content/content_backup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/content/blob_record.h"
#include "services/content/ingest_record.h"

namespace gantry::content {
namespace {

constexpr const char* kAlgorithms[] = {"sha256", "sha512"};

absl::Status CopyBytes(int from, int to, const std::string& what) {
  if (::ioctl(to, FICLONE, from) == 0) return absl::OkStatus();
  constexpr size_t kAtOnce = size_t{1} << 30;
  for (;;) {
    const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, kAtOnce, 0);
    if (copied == 0) return absl::OkStatus();
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0) return ErrnoError(errno, what);
  }
}

// A whole file under its name, or nothing.
absl::Status CopyBlob(const std::string& from, const std::string& to) {
  const std::string what = absl::StrCat("copy ", from, " to ", to);
  const std::string half = to + ".half";
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd source, OpenFile(from, O_RDONLY | O_NOFOLLOW));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd copy,
                          OpenFile(half, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0444));
  GANTRY_RETURN_IF_ERROR(CopyBytes(source.get(), copy.get(), what));
  if (::fsync(copy.get()) != 0) return ErrnoError(errno, what);
  if (::rename(half.c_str(), to.c_str()) != 0) return ErrnoError(errno, what);
  return absl::OkStatus();
}

absl::Status BackUpBlob(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0 || errno == EEXIST) return absl::OkStatus();
  // Collected since it was listed: whether that matters, the records tell.
  if (errno == ENOENT) return absl::OkStatus();
  if (errno != EXDEV && errno != EPERM && errno != EMLINK) {
    return ErrnoError(errno, absl::StrCat("link ", from, " to ", to));
  }
  const absl::Status copied = CopyBlob(from, to);
  return absl::IsNotFound(copied) ? absl::OkStatus() : copied;
}

absl::StatusOr<std::set<Digest>> Recorded(const metadata::Store& records) {
  std::set<Digest> recorded;
  GANTRY_RETURN_IF_ERROR(records.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            reader.Namespaces(kBlobBucket));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(reader.ForEach(
          kBlobBucket, ns, [&](absl::string_view name, absl::string_view) -> absl::Status {
            GANTRY_ASSIGN_OR_RETURN(Digest digest, Digest::Parse(name));
            recorded.insert(std::move(digest));
            return absl::OkStatus();
          }));
    }
    return absl::OkStatus();
  }));
  return recorded;
}

std::string PathOf(const std::string& root, const Digest& digest) {
  return absl::StrCat(root, "/blobs/", digest.algorithm(), "/", digest.hex());
}

absl::Status DropIngests(metadata::Store& records) {
  return records.Update([](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            writer.Namespaces(kIngestBucket));
    for (const std::string& ns : namespaces) {
      std::vector<std::string> refs;
      GANTRY_RETURN_IF_ERROR(
          writer.ForEach(kIngestBucket, ns, [&refs](absl::string_view ref, absl::string_view) {
            refs.emplace_back(ref);
            return absl::OkStatus();
          }));
      for (const std::string& ref : refs) {
        GANTRY_RETURN_IF_ERROR(DropIngestRecord(writer, ns, ref).status());
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace

absl::Status BackUpBlobs(const std::string& root, const std::string& destination) {
  for (const char* algorithm : kAlgorithms) {
    const std::string from = absl::StrCat(root, "/blobs/", algorithm);
    const std::string to = absl::StrCat(destination, "/blobs/", algorithm);
    GANTRY_RETURN_IF_ERROR(MakeDirectories(to, 0700));
    const absl::StatusOr<std::vector<std::string>> names = ListDirectory(from);
    if (absl::IsNotFound(names.status())) continue;
    GANTRY_RETURN_IF_ERROR(names.status());
    for (const std::string& name : *names) {
      GANTRY_RETURN_IF_ERROR(
          BackUpBlob(absl::StrCat(from, "/", name), absl::StrCat(to, "/", name)));
    }
    GANTRY_RETURN_IF_ERROR(SyncDirectory(to));
  }
  return SyncDirectory(destination + "/blobs");
}

absl::StatusOr<std::vector<Digest>> MissingBlobs(const std::string& destination,
                                                 const metadata::Store& records) {
  GANTRY_ASSIGN_OR_RETURN(const std::set<Digest> recorded, Recorded(records));
  std::vector<Digest> missing;
  for (const Digest& digest : recorded) {
    if (::access(PathOf(destination, digest).c_str(), F_OK) != 0) missing.push_back(digest);
  }
  return missing;
}

absl::Status TrimBackup(const std::string& destination, metadata::Store& records) {
  GANTRY_RETURN_IF_ERROR(DropIngests(records));
  GANTRY_ASSIGN_OR_RETURN(const std::set<Digest> recorded, Recorded(records));
  for (const char* algorithm : kAlgorithms) {
    const std::string directory = absl::StrCat(destination, "/blobs/", algorithm);
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
    for (const std::string& name : names) {
      const absl::StatusOr<Digest> digest = Digest::Parse(absl::StrCat(algorithm, ":", name));
      if (digest.ok() && recorded.count(*digest) != 0) continue;
      const std::string path = absl::StrCat(directory, "/", name);
      if (::unlink(path.c_str()) != 0) return ErrnoError(errno, absl::StrCat("remove ", path));
    }
  }
  return absl::OkStatus();
}

}  // namespace gantry::content
