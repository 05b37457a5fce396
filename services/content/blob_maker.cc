#include "base/errors.h"
#include "base/log.h"
#include "services/content/content_store.h"
#include "services/content/content_writer.h"

namespace gantry::content {
namespace {

class UploadedBlob final : public BlobMaker {
 public:
  UploadedBlob(ContentStore& store, Scope scope, std::unique_ptr<ContentWriter> writer)
      : store_(store), scope_(std::move(scope)), writer_(std::move(writer)) {}

  ~UploadedBlob() override {
    if (writer_ == nullptr) return;
    const std::string ref = writer_->status().ref;
    writer_.reset();
    const absl::Status status = store_.Abort(scope_.ns, ref);
    if (!status.ok() && !absl::IsNotFound(status)) LogWarn(status.message());
  }

  absl::Status Write(absl::string_view bytes) override { return writer_->Write(bytes); }

  absl::StatusOr<BlobInfo> Commit(const Labels& labels) override {
    const Digest digest = writer_->CurrentDigest();
    const absl::Status status = writer_->Commit(0, "", labels).status();
    if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
    writer_.reset();
    GANTRY_ASSIGN_OR_RETURN(BlobInfo info, store_.Info(scope_.ns, digest));
    if (status.ok()) return info;
    std::vector<std::string> paths;
    for (const auto& [key, value] : labels) {
      info.labels[key] = value;
      paths.push_back(absl::StrCat("labels.", key));
    }
    return paths.empty() ? absl::StatusOr<BlobInfo>(info) : store_.Update(scope_.ns, info, paths);
  }

 private:
  ContentStore& store_;
  const Scope scope_;
  std::unique_ptr<ContentWriter> writer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobMaker>> ContentStore::Make(const Scope& scope,
                                                              const std::string& ref) {
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<ContentWriter> writer, OpenWriter(scope, ref, 0, ""));
  GANTRY_RETURN_IF_ERROR(writer->Reset());
  return std::make_unique<UploadedBlob>(*this, scope, std::move(writer));
}

}  // namespace gantry::content
