#include "tests/fault/unpacking.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/digest.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/diff/tar_writer.h"
#include "tests/fault/calls.h"

namespace gantry::test {
namespace {

namespace snapshots = containerd::services::snapshots::v1;
namespace diffs = containerd::services::diff::v1;

constexpr time_t kTime = 1'000'000'000;
constexpr mode_t kDirectoryMode = 0750;

std::string FileOf(size_t bytes) { return std::string(bytes, 'l'); }

std::string KeyOf(const std::string& name) { return absl::StrCat("extract ", name); }

diff::Entry EntryOf(const std::string& name, mode_t mode) {
  diff::Entry entry;
  entry.name = name;
  entry.mode = mode;
  entry.mtime.tv_sec = kTime;
  return entry;
}

}  // namespace

std::string UpperOf(const google::protobuf::RepeatedPtrField<containerd::types::Mount>& mounts) {
  if (mounts.size() != 1) return "";
  if (mounts[0].type() == "bind") return mounts[0].source();
  for (const std::string& option : mounts[0].options()) {
    absl::string_view value = option;
    if (absl::ConsumePrefix(&value, "upperdir=")) return std::string(value);
  }
  return "";
}

void Unpacking::Connect(const std::shared_ptr<grpc::Channel>& channel) {
  snapshots_ = snapshots::Snapshots::NewStub(channel);
  diff_ = diffs::Diff::NewStub(channel);
}

std::string Unpacking::Layer(size_t bytes) {
  std::string tar;
  diff::TarWriter writer([&tar](absl::string_view part) {
    tar.append(part.data(), part.size());
    return absl::OkStatus();
  });
  const auto add = [&writer](const diff::Entry& entry, const std::string& data) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(writer.Header(entry, static_cast<int64_t>(data.size())));
    GANTRY_RETURN_IF_ERROR(writer.Data(data));
    return writer.EndData();
  };
  diff::Entry symlink = EntryOf("etc/symlink", S_IFLNK | 0777);
  symlink.link = "large";
  diff::Entry hardlink = EntryOf("etc/hardlink", S_IFREG | 0644);
  hardlink.is_hardlink = true;
  hardlink.link = "etc/large";
  absl::Status status = add(EntryOf("etc/", S_IFDIR | kDirectoryMode), "");
  status.Update(add(EntryOf("etc/large", S_IFREG | 0644), FileOf(bytes)));
  status.Update(add(symlink, ""));
  status.Update(add(hardlink, ""));
  status.Update(writer.Finish());
  return status.ok() ? tar : "";
}

absl::Status Unpacking::Abandon(const std::string& name) {
  Context context(/*leased=*/true);
  snapshots::RemoveSnapshotRequest remove;
  remove.set_snapshotter(kSnapshotter);
  remove.set_key(KeyOf(name));
  google::protobuf::Empty empty;
  const absl::Status status = ToAbsl(snapshots_->Remove(&context, remove, &empty));
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status Unpacking::Prepare(
    const std::string& name, const std::string& parent,
    google::protobuf::RepeatedPtrField<containerd::types::Mount>* mounts) {
  Context context(/*leased=*/true);
  snapshots::PrepareSnapshotRequest prepare;
  prepare.set_snapshotter(kSnapshotter);
  prepare.set_key(KeyOf(name));
  prepare.set_parent(parent);
  (*prepare.mutable_labels())["containerd.io/snapshot.ref"] = name;
  snapshots::PrepareSnapshotResponse prepared;
  const absl::Status status = ToAbsl(snapshots_->Prepare(&context, prepare, &prepared));
  if (status.ok()) {
    *mounts = prepared.mounts();
    places_[name] = UpperOf(*mounts);
  }
  return status;
}

absl::Status Unpacking::Unpack(const std::string& name, const std::string& parent,
                               const std::string& layer) {
  google::protobuf::RepeatedPtrField<containerd::types::Mount> mounts;
  absl::Status status = Prepare(name, parent, &mounts);
  if (absl::IsAlreadyExists(status) && status.message().find("target") == std::string::npos) {
    GANTRY_RETURN_IF_ERROR(Abandon(name));
    status = Prepare(name, parent, &mounts);
  }
  if (absl::IsAlreadyExists(status)) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(status);

  Context applying;
  diffs::ApplyRequest apply;
  apply.mutable_diff()->set_media_type("application/vnd.oci.image.layer.v1.tar");
  apply.mutable_diff()->set_digest(Sha256(layer).text());
  apply.mutable_diff()->set_size(static_cast<int64_t>(layer.size()));
  *apply.mutable_mounts() = mounts;
  diffs::ApplyResponse applied;
  GANTRY_RETURN_IF_ERROR(ToAbsl(diff_->Apply(&applying, apply, &applied)));
  if (applied.applied().digest() != Sha256(layer).text()) {
    return absl::DataLossError(
        absl::StrCat("the layer of ", name, " was unpacked as ", applied.applied().digest()));
  }

  Context committing(/*leased=*/true);
  snapshots::CommitSnapshotRequest commit;
  commit.set_snapshotter(kSnapshotter);
  commit.set_key(KeyOf(name));
  commit.set_name(name);
  google::protobuf::Empty empty;
  return ToAbsl(snapshots_->Commit(&committing, commit, &empty));
}

std::vector<std::string> Unpacking::Problems(const std::string& name, size_t bytes) const {
  const auto place = places_.find(name);
  if (place == places_.end()) return {absl::StrCat("snapshot ", name, " was never prepared")};
  const std::string etc = place->second + "/etc";
  std::vector<std::string> problems;
  const auto expect = [&](bool holds, const char* what) {
    if (!holds) problems.push_back(absl::StrCat("snapshot ", name, ": ", what));
  };
  struct stat directory {};
  struct stat file {};
  struct stat hardlink {};
  expect(::lstat(etc.c_str(), &directory) == 0 && directory.st_mode == (S_IFDIR | kDirectoryMode) &&
             directory.st_mtim.tv_sec == kTime,
         "the directory is not as the layer has it");
  expect(ReadFile(etc + "/large", bytes + 1).value_or("") == FileOf(bytes),
         "the file has other bytes");
  expect(::lstat((etc + "/large").c_str(), &file) == 0 && file.st_mtim.tv_sec == kTime,
         "the file has another time");
  expect(::lstat((etc + "/hardlink").c_str(), &hardlink) == 0 && hardlink.st_ino == file.st_ino,
         "the hard link is none");
  char target[16];
  const ssize_t length = ::readlink((etc + "/symlink").c_str(), target, sizeof target);
  expect(length > 0 && absl::string_view(target, static_cast<size_t>(length)) == "large",
         "the symbolic link leads elsewhere");
  return problems;
}

}  // namespace gantry::test
