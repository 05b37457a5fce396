#include "services/content/content_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/content/blob_file.h"
#include "services/content/blob_record.h"
#include "services/content/ingest_record.h"
#include "services/content/unsynced_blobs.h"

namespace gantry::content {
namespace {

using check::Finding;

// The records of one blob: its size by namespace.
using Records = std::map<std::string, int64_t>;

std::string Namespaces(const Records& records) {
  return absl::StrJoin(records, ",", [](std::string* out, const auto& record) {
    absl::StrAppend(out, record.first);
  });
}

class ContentCheck {
 public:
  ContentCheck(const std::string& root, metadata::Store& store, const check::Options& options,
               const check::Report& report)
      : root_(root), store_(store), options_(options), report_(report) {}

  absl::StatusOr<CheckedContent> Run() {
    GANTRY_RETURN_IF_ERROR(ReadRecords());
    for (const auto& [digest, records] : blobs_) {
      GANTRY_RETURN_IF_ERROR(CheckBlob(digest, records));
    }
    for (const char* algorithm : {"sha256", "sha512"}) {
      GANTRY_RETURN_IF_ERROR(FindFilesWithoutRecord(algorithm));
    }
    GANTRY_RETURN_IF_ERROR(CheckIngests());
    return checked_;
  }

 private:
  std::string BlobPath(const Digest& digest) const {
    return absl::StrCat(root_, "/blobs/", digest.algorithm(), "/", digest.hex());
  }

  absl::Status ReadRecords() {
    std::vector<std::pair<std::string, std::string>> unreadable;  // namespace, name
    GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                              reader.Namespaces(kBlobBucket));
      for (const std::string& ns : namespaces) {
        GANTRY_RETURN_IF_ERROR(
            reader.ForEach(kBlobBucket, ns, [&](absl::string_view name, absl::string_view bytes) {
              const absl::StatusOr<BlobInfo> info = DecodeBlob(name, bytes);
              if (info.ok()) {
                blobs_[info->digest][ns] = info->size_bytes;
              } else {
                unreadable.emplace_back(ns, name);
              }
              return absl::OkStatus();
            }));
      }
      return absl::OkStatus();
    }));
    for (const auto& [ns, name] : unreadable) {
      Finding finding = {.kind = "content.unreadable",
                         .subject = name,
                         .where = ns,
                         .detail = "the record cannot be read",
                         .lost = true};
      if (options_.repair) {
        GANTRY_RETURN_IF_ERROR(store_.Update([&, &ns = ns, &name = name](metadata::Writer& writer) {
          return writer.Delete(kBlobBucket, ns, name).status();
        }));
        finding.mended = "the record was removed";
      }
      report_(finding);
    }
    return absl::OkStatus();
  }

  absl::Status CheckBlob(const Digest& digest, const Records& records) {
    ++checked_.blobs;
    Finding finding = {.subject = digest.text(), .where = Namespaces(records), .lost = true};
    const absl::StatusOr<UniqueFd> file = OpenFile(BlobPath(digest), O_RDONLY | O_NOFOLLOW);
    if (!file.ok()) {
      if (!absl::IsNotFound(file.status())) return file.status();
      finding.kind = "content.missing";
      finding.detail = "there is no file";
      return Settle(digest, records, std::move(finding));
    }
    struct stat st {};
    if (::fstat(file->get(), &st) != 0) return ErrnoError(errno, "stat " + BlobPath(digest));
    for (const auto& [ns, size] : records) {
      if (size == st.st_size) continue;
      finding.kind = "content.short";
      finding.detail = absl::StrCat("the file has ", st.st_size, " bytes, the record says ", size);
      return Settle(digest, records, std::move(finding));
    }
    checked_.bytes += st.st_size;
    if (!options_.digests) return absl::OkStatus();
    GANTRY_ASSIGN_OR_RETURN(const Digest actual, DigestOfFile(file->get(), digest));
    if (actual == digest) return absl::OkStatus();
    finding.kind = "content.damaged";
    finding.detail = absl::StrCat("the file's digest is ", actual.text());
    return Settle(digest, records, std::move(finding));
  }

  // Takes a bad blob out of the store, if that is wanted, and tells of it.
  absl::Status Settle(const Digest& digest, const Records& records, Finding finding) {
    if (options_.repair) {
      // Records first: a crash in between leaves a file without one, which is found the next time.
      GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
        for (const auto& [ns, size] : records) {
          GANTRY_RETURN_IF_ERROR(writer.Delete(kBlobBucket, ns, digest.text()).status());
        }
        return absl::OkStatus();
      }));
      const std::string kept =
          absl::StrCat(root_, "/quarantine/", digest.algorithm(), "-", digest.hex());
      GANTRY_RETURN_IF_ERROR(MakeDirectories(root_ + "/quarantine", 0700));
      finding.mended = "its records were removed: pull it again";
      if (::rename(BlobPath(digest).c_str(), kept.c_str()) == 0) {
        absl::StrAppend(&finding.mended, "; the file is kept as ", kept);
      } else if (errno != ENOENT) {
        return ErrnoError(errno, absl::StrCat("set aside content ", digest.text()));
      }
    }
    report_(finding);
    return absl::OkStatus();
  }

  absl::Status FindFilesWithoutRecord(const std::string& algorithm) {
    const std::string directory = absl::StrCat(root_, "/blobs/", algorithm);
    const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
    if (absl::IsNotFound(names.status())) return absl::OkStatus();
    GANTRY_RETURN_IF_ERROR(names.status());
    for (const std::string& name : *names) {
      const absl::StatusOr<Digest> digest = Digest::Parse(absl::StrCat(algorithm, ":", name));
      if (digest.ok() && blobs_.count(*digest) != 0) continue;
      GANTRY_RETURN_IF_ERROR(RemoveUnknown("content.orphan", absl::StrCat(directory, "/", name),
                                           "no record names it"));
    }
    return absl::OkStatus();
  }

  absl::Status RemoveUnknown(const char* kind, const std::string& path, const char* detail) {
    Finding finding = {.kind = kind, .subject = path, .detail = detail};
    if (options_.repair) {
      GANTRY_RETURN_IF_ERROR(RemoveTree(path));
      finding.mended = "it was removed";
    }
    report_(finding);
    return absl::OkStatus();
  }

  absl::Status CheckIngests() {
    std::map<std::string, std::pair<std::string, std::string>> known;  // key: namespace, ref
    GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                              reader.Namespaces(kIngestBucket));
      for (const std::string& ns : namespaces) {
        GANTRY_RETURN_IF_ERROR(
            reader.ForEach(kIngestBucket, ns, [&](absl::string_view ref, absl::string_view) {
              known[IngestKey(ns, ref)] = {ns, std::string(ref)};
              return absl::OkStatus();
            }));
      }
      return absl::OkStatus();
    }));
    checked_.ingests = known.size();
    for (const auto& [key, upload] : known) {
      if (::access(absl::StrCat(root_, "/ingest/", key, "/data").c_str(), F_OK) == 0) continue;
      GANTRY_RETURN_IF_ERROR(DropIngest(upload.first, upload.second));
    }
    const absl::StatusOr<std::vector<std::string>> names = ListDirectory(root_ + "/ingest");
    if (absl::IsNotFound(names.status())) return absl::OkStatus();
    GANTRY_RETURN_IF_ERROR(names.status());
    for (const std::string& name : *names) {
      if (known.count(name) != 0) continue;
      GANTRY_RETURN_IF_ERROR(RemoveUnknown("ingest.orphan", absl::StrCat(root_, "/ingest/", name),
                                           "no record names it"));
    }
    return absl::OkStatus();
  }

  absl::Status DropIngest(const std::string& ns, const std::string& ref) {
    Finding finding = {.kind = "ingest.missing",
                       .subject = ref,
                       .where = ns,
                       .detail = "what was uploaded is not there",
                       .lost = true};
    if (options_.repair) {
      GANTRY_RETURN_IF_ERROR(store_.Update(
          [&](metadata::Writer& writer) { return DropIngestRecord(writer, ns, ref).status(); }));
      finding.mended = "its record was removed: the upload starts over";
    }
    report_(finding);
    return absl::OkStatus();
  }

  const std::string& root_;
  metadata::Store& store_;
  const check::Options& options_;
  const check::Report& report_;
  CheckedContent checked_;
  std::map<Digest, Records> blobs_;
};

}  // namespace

absl::StatusOr<CheckedContent> CheckContent(const std::string& root, metadata::Store& store,
                                            const check::Options& options,
                                            const check::Report& report) {
  GANTRY_RETURN_IF_ERROR(RestoreUnsyncedBlobs(root, store));
  return ContentCheck(root, store, options, report).Run();
}

}  // namespace gantry::content
