#include "tests/fault/scenario.h"

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/errors.h"
#include "base/file.h"
#include "tests/fault/calls.h"

namespace gantry::test {
namespace {

namespace content = containerd::services::content::v1;
namespace images = containerd::services::images::v1;
namespace leases = containerd::services::leases::v1;
namespace snapshots = containerd::services::snapshots::v1;

constexpr size_t kFileBytes = 70000;

std::string Layer() { return Unpacking::Layer(kFileBytes); }
std::string Config() { return "config"; }
std::string Manifest() { return "manifest"; }
std::string Second() { return "manifest of the second image"; }
std::string DigestOf(const std::string& data) { return Sha256(data).text(); }

}  // namespace

void Scenario::Connect(const DaemonProcess& daemon) {
  const std::shared_ptr<grpc::Channel> channel = daemon.Channel();
  content_ = content::Content::NewStub(channel);
  images_ = images::Images::NewStub(channel);
  leases_ = leases::Leases::NewStub(channel);
  snapshots_ = snapshots::Snapshots::NewStub(channel);
  unpacking_.Connect(channel);
}

std::vector<Scenario::Step> Scenario::Steps() {
  return {
      {"make a lease", [this] { return MakeLease(); }},
      {"abandon an upload", [this] { return AbandonAndAbort(); }},
      {"write the layer", [this] { return Write(Layer(), {}); }},
      {"unpack the base", [this] { return Unpack("base", ""); }},
      {"unpack the top", [this] { return Unpack("top", "base"); }},
      {"remove a snapshot", [this] { return MakeAndRemoveSnapshot(); }},
      {"write the config",
       [this] {
         return Write(Config(), {{"containerd.io/gc.ref.snapshot.overlayfs", "top"}});
       }},
      {"write the manifest",
       [this] {
         return Write(Manifest(), {{"containerd.io/gc.ref.content.config", DigestOf(Config())},
                                   {"containerd.io/gc.ref.content.l.0", DigestOf(Layer())}});
       }},
      {"make the image", [this] { return MakeImage("first", DigestOf(Manifest())); }},
      {"write the second manifest",
       [this] {
         return Write(Second(), {{"containerd.io/gc.ref.content.l.0", DigestOf(Layer())}});
       }},
      {"make the second image", [this] { return MakeImage("second", DigestOf(Second())); }},
      {"delete the lease", [this] { return DeleteLease(); }},
      {"delete the second image", [this] { return DeleteImage("second"); }},
  };
}

absl::Status Scenario::Run(const std::string& name) {
  for (const Step& step : Steps()) {
    if (step.name == name) return step.run();
  }
  return absl::NotFoundError(absl::StrCat("no step \"", name, "\""));
}

absl::Status Scenario::CleanUp() {
  Context context;
  snapshots::CleanupRequest cleanup;
  cleanup.set_snapshotter(kSnapshotter);
  google::protobuf::Empty empty;
  return ToAbsl(snapshots_->Cleanup(&context, cleanup, &empty));
}

absl::Status Scenario::Note(const absl::Status& status, Kind kind, const std::string& name) {
  if (status.ok()) acknowledged_[{kind, name}] = true;
  return status;
}

void Scenario::Forget(Kind kind, const std::string& name) { acknowledged_.erase({kind, name}); }

absl::Status Scenario::MakeLease() {
  Context context;
  leases::CreateRequest request;
  request.set_id(kLease);
  leases::CreateResponse response;
  Forget(Kind::kNoLease, kLease);
  return Note(Idempotent(ToAbsl(leases_->Create(&context, request, &response))), Kind::kLease,
              kLease);
}

absl::Status Scenario::DeleteLease() {
  Context context;
  leases::DeleteRequest request;
  request.set_id(kLease);
  request.set_sync(true);
  google::protobuf::Empty empty;
  // From here on it may be either.
  Forget(Kind::kLease, kLease);
  absl::Status status = ToAbsl(leases_->Delete(&context, request, &empty));
  if (absl::IsNotFound(status)) status = absl::OkStatus();
  return Note(status, Kind::kNoLease, kLease);
}

absl::Status Scenario::Write(const std::string& data,
                             const std::map<std::string, std::string>& labels, bool commit) {
  Context context(/*leased=*/true);
  const auto stream = content_->Write(&context);
  content::WriteContentRequest request;
  content::WriteContentResponse response;
  request.set_action(content::STAT);
  request.set_ref(absl::StrCat("upload of ", DigestOf(data)));
  request.set_total(static_cast<int64_t>(data.size()));
  request.set_expected(DigestOf(data));
  bool up = stream->Write(request) && stream->Read(&response);
  if (up) {
    // What an earlier try has left counts.
    const auto offset = static_cast<size_t>(response.offset());
    const size_t half = (data.size() - offset) / 2;
    request.clear_ref();
    request.set_action(content::WRITE);
    request.set_offset(response.offset());
    request.set_data(data.substr(offset, half));
    up = stream->Write(request) && stream->Read(&response);
    if (up && commit) {
      request.set_action(content::COMMIT);
      request.set_offset(response.offset());
      request.set_data(data.substr(offset + half));
      request.mutable_labels()->insert(labels.begin(), labels.end());
      up = stream->Write(request) && stream->Read(&response);
    }
  }
  stream->WritesDone();
  const absl::Status status = Idempotent(ToAbsl(stream->Finish()));
  return commit ? Note(status, Kind::kBlob, DigestOf(data)) : status;
}

absl::Status Scenario::AbandonAndAbort() {
  const std::string data = "never committed";
  GANTRY_RETURN_IF_ERROR(Write(data, {}, /*commit=*/false));
  Context context;
  content::AbortRequest request;
  request.set_ref(absl::StrCat("upload of ", DigestOf(data)));
  google::protobuf::Empty empty;
  return ToAbsl(content_->Abort(&context, request, &empty));
}

absl::Status Scenario::Unpack(const std::string& name, const std::string& parent) {
  return Note(unpacking_.Unpack(name, parent, Layer()), Kind::kSnapshot, name);
}

absl::Status Scenario::MakeAndRemoveSnapshot() {
  snapshots::PrepareSnapshotRequest prepare;
  prepare.set_snapshotter(kSnapshotter);
  prepare.set_key("scratch");
  prepare.set_parent("top");
  snapshots::PrepareSnapshotResponse prepared;
  Context first(/*leased=*/true);
  const absl::Status made = ToAbsl(snapshots_->Prepare(&first, prepare, &prepared));
  GANTRY_RETURN_IF_ERROR(Idempotent(made));
  // Something that is to be unlinked, and that takes no block of a full disk.
  if (made.ok()) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(UpperOf(prepared.mounts()) + "/written"));
  }
  snapshots::RemoveSnapshotRequest remove;
  remove.set_snapshotter(kSnapshotter);
  remove.set_key("scratch");
  google::protobuf::Empty empty;
  Context second(/*leased=*/true);
  return ToAbsl(snapshots_->Remove(&second, remove, &empty));
}

absl::Status Scenario::MakeImage(const std::string& name, const std::string& manifest) {
  Context context;
  images::CreateImageRequest request;
  request.mutable_image()->set_name(name);
  request.mutable_image()->mutable_target()->set_media_type(
      "application/vnd.oci.image.manifest.v1+json");
  request.mutable_image()->mutable_target()->set_digest(manifest);
  request.mutable_image()->mutable_target()->set_size(1);
  images::CreateImageResponse response;
  Forget(Kind::kNoImage, name);
  return Note(Idempotent(ToAbsl(images_->Create(&context, request, &response))), Kind::kImage,
              name);
}

absl::Status Scenario::DeleteImage(const std::string& name) {
  Context context;
  images::DeleteImageRequest request;
  request.set_name(name);
  request.set_sync(true);
  google::protobuf::Empty empty;
  // From here on it may be either, and so may what only it held.
  Forget(Kind::kImage, name);
  if (name == "second") Forget(Kind::kBlob, DigestOf(Second()));
  absl::Status status = ToAbsl(images_->Delete(&context, request, &empty));
  if (absl::IsNotFound(status)) status = absl::OkStatus();
  return Note(status, Kind::kNoImage, name);
}

std::string Scenario::ReadBlob(const std::string& digest, absl::Status* status) {
  Context context;
  content::ReadContentRequest request;
  request.set_digest(digest);
  content::ReadContentResponse response;
  const auto stream = content_->Read(&context, request);
  std::string data;
  while (stream->Read(&response)) data += response.data();
  *status = ToAbsl(stream->Finish());
  return data;
}

std::vector<std::string> Scenario::Problems() {
  std::vector<std::string> problems;
  const auto expect = [&](absl::StatusCode code, const absl::Status& status,
                          const std::string& what) {
    if (status.code() != code) problems.push_back(absl::StrCat(what, ": ", status.ToString()));
  };
  for (const auto& [thing, acknowledged] : acknowledged_) {
    const auto& [kind, name] = thing;
    Context context;
    switch (kind) {
      case Kind::kBlob: {
        absl::Status status;
        const std::string data = ReadBlob(name, &status);
        expect(absl::StatusCode::kOk, status, absl::StrCat("blob ", name));
        if (status.ok() && DigestOf(data) != name) problems.push_back(name + " has other bytes");
        break;
      }
      case Kind::kImage:
      case Kind::kNoImage: {
        images::GetImageRequest request;
        request.set_name(name);
        images::GetImageResponse response;
        expect(kind == Kind::kImage ? absl::StatusCode::kOk : absl::StatusCode::kNotFound,
               ToAbsl(images_->Get(&context, request, &response)), absl::StrCat("image ", name));
        break;
      }
      case Kind::kLease:
      case Kind::kNoLease: {
        leases::ListResourcesRequest request;
        request.set_id(name);
        leases::ListResourcesResponse response;
        expect(kind == Kind::kLease ? absl::StatusCode::kOk : absl::StatusCode::kNotFound,
               ToAbsl(leases_->ListResources(&context, request, &response)),
               absl::StrCat("lease ", name));
        break;
      }
      case Kind::kSnapshot: {
        snapshots::StatSnapshotRequest request;
        request.set_snapshotter(kSnapshotter);
        request.set_key(name);
        snapshots::StatSnapshotResponse response;
        expect(absl::StatusCode::kOk, ToAbsl(snapshots_->Stat(&context, request, &response)),
               absl::StrCat("snapshot ", name));
        break;
      }
    }
  }
  CheckListed(&problems);
  return problems;
}

// Whatever is in sight is whole, acknowledged or not.
void Scenario::CheckListed(std::vector<std::string>* problems) {
  Context listing;
  const auto blobs = content_->List(&listing, {});
  content::ListContentResponse batch;
  while (blobs->Read(&batch)) {
    for (const content::Info& info : batch.info()) {
      absl::Status status;
      const std::string data = ReadBlob(info.digest(), &status);
      if (!status.ok() || DigestOf(data) != info.digest() ||
          static_cast<int64_t>(data.size()) != info.size()) {
        problems->push_back(absl::StrCat("listed blob ", info.digest(), ": ", status.ToString()));
      }
    }
  }
  if (!blobs->Finish().ok()) problems->push_back("the list of blobs broke off");
  Context naming;
  images::ListImagesResponse all;
  const absl::Status listed = ToAbsl(images_->List(&naming, {}, &all));
  if (!listed.ok()) problems->push_back(listed.ToString());
  for (const images::Image& image : all.images()) {
    absl::Status status;
    ReadBlob(image.target().digest(), &status);
    if (!status.ok()) {
      problems->push_back(absl::StrCat("target of image ", image.name(), ": ", status.ToString()));
    }
  }
  Context snapshotting;
  snapshots::ListSnapshotsRequest request;
  request.set_snapshotter(kSnapshotter);
  const auto found = snapshots_->List(&snapshotting, request);
  snapshots::ListSnapshotsResponse page;
  while (found->Read(&page)) {
    for (const snapshots::Info& info : page.info()) {
      Context context;
      snapshots::UsageRequest usage;
      usage.set_snapshotter(kSnapshotter);
      usage.set_key(info.name());
      snapshots::UsageResponse response;
      const absl::Status status = ToAbsl(snapshots_->Usage(&context, usage, &response));
      if (!status.ok()) {
        problems->push_back(absl::StrCat("listed snapshot ", info.name(), ": ", status.ToString()));
      }
      if (info.kind() != snapshots::COMMITTED) continue;
      for (std::string& problem : unpacking_.Problems(info.name(), kFileBytes)) {
        problems->push_back(std::move(problem));
      }
    }
  }
  if (!found->Finish().ok()) problems->push_back("the list of snapshots broke off");
}

std::vector<std::string> Scenario::Remains(const std::string& root) {
  std::vector<std::string> remains;
  const auto say = [&](const absl::Status& status) {
    if (!status.ok()) remains.push_back(status.ToString());
  };
  say(DeleteLease());
  say(DeleteImage("second"));
  say(DeleteImage("first"));
  acknowledged_.clear();
  say(CleanUp());
  for (const char* directory : {"/content/blobs/sha256", "/content/ingest", "/snapshots"}) {
    const auto names = ListDirectory(root + directory);
    say(names.status());
    if (!names.ok()) continue;
    for (const std::string& name : *names) remains.push_back(absl::StrCat(directory, "/", name));
  }
  return remains;
}

}  // namespace gantry::test
