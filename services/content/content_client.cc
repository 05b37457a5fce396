#include "services/content/content_client.h"

#include <fcntl.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "services/rpc/convert.h"
#include "services/rpc/status.h"

namespace gantry::content {
namespace {

namespace api = containerd::services::content::v1;

constexpr size_t kChunk = 1 << 20;

absl::StatusOr<BlobInfo> ToInfo(const api::Info& info) {
  BlobInfo blob;
  GANTRY_ASSIGN_OR_RETURN(blob.digest, Digest::Parse(info.digest()));
  blob.size_bytes = info.size();
  blob.created_at = rpc::ToTime(info.created_at());
  blob.updated_at = rpc::ToTime(info.updated_at());
  blob.labels = rpc::ToLabels(info.labels());
  return blob;
}

}  // namespace

// One Write stream: a message and its answer at a time.
class ContentClient::Upload final : public BlobMaker {
 public:
  Upload(ContentClient& client, Scope scope, std::string ref)
      : client_(client),
        scope_(std::move(scope)),
        ref_(std::move(ref)),
        call_(client.calls_, {scope_.ns, scope_.lease}),
        stream_(client.stub_->Write(call_.context())) {}

  ~Upload() override {
    if (committed_) return;
    End().IgnoreError();
    api::AbortRequest request;
    request.set_ref(ref_);
    google::protobuf::Empty response;
    const absl::Status aborted =
        client_.calls_.Run({scope_.ns, scope_.lease}, [&](grpc::ClientContext* context) {
          return client_.stub_->Abort(context, request, &response);
        });
    if (!aborted.ok() && !absl::IsNotFound(aborted)) {
      LogWarn(Annotate(aborted, absl::StrCat("drop ref ", ref_)).message());
    }
  }

  // Opens the upload; what is there under the ref is overwritten by the first message of bytes.
  absl::Status Begin() {
    api::WriteContentRequest request;
    request.set_action(api::STAT);
    request.set_ref(ref_);
    return Send(request);
  }

  absl::Status Write(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const absl::string_view chunk = bytes.substr(0, kChunk);
      api::WriteContentRequest request;
      request.set_action(api::WRITE);
      request.set_offset(offset_);
      request.set_data(chunk.data(), chunk.size());
      GANTRY_RETURN_IF_ERROR(Send(request));
      offset_ += static_cast<int64_t>(chunk.size());
      if (answer_.offset() != offset_) {
        return absl::DataLossError(absl::StrCat("write ref ", ref_, ": ", answer_.offset(),
                                                " bytes were taken of ", offset_));
      }
      digest_ = answer_.digest();
      bytes.remove_prefix(chunk.size());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<BlobInfo> Commit(const Labels& labels) override {
    api::WriteContentRequest request;
    request.set_action(api::COMMIT);
    request.set_offset(offset_);
    request.set_total(offset_);
    rpc::ToProto(labels, request.mutable_labels());
    const absl::Status status = Send(request);
    if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
    committed_ = true;
    if (!status.ok()) return AddLabels(labels);
    digest_ = answer_.digest();
    GANTRY_RETURN_IF_ERROR(End());
    BlobInfo info;
    GANTRY_ASSIGN_OR_RETURN(info.digest, Digest::Parse(digest_));
    info.size_bytes = offset_;
    info.labels = labels;
    return info;
  }

 private:
  // Sends `request` and waits for `answer_`.
  absl::Status Send(const api::WriteContentRequest& request) {
    if (stream_ == nullptr) return absl::FailedPreconditionError("the upload has ended");
    if (stream_->Write(request) && stream_->Read(&answer_)) return absl::OkStatus();
    const absl::Status status = End();
    if (!status.ok()) return Annotate(status, absl::StrCat("write ref ", ref_));
    return absl::UnavailableError(absl::StrCat("write ref ", ref_, ": the stream ended early"));
  }

  absl::Status End() {
    if (stream_ == nullptr) return absl::OkStatus();
    stream_->WritesDone();
    while (stream_->Read(&answer_)) {
    }
    const absl::Status status = rpc::FromGrpc(stream_->Finish());
    stream_.reset();
    return status;
  }

  // The blob was there already: it keeps its own labels and gets these beside them.
  absl::StatusOr<BlobInfo> AddLabels(const Labels& labels) {
    api::UpdateRequest request;
    request.mutable_info()->set_digest(digest_);
    rpc::ToProto(labels, request.mutable_info()->mutable_labels());
    for (const auto& [key, value] : labels) {
      request.mutable_update_mask()->add_paths(absl::StrCat("labels.", key));
    }
    api::InfoRequest plain;
    plain.set_digest(digest_);
    api::InfoResponse info;
    GANTRY_RETURN_IF_ERROR(client_.calls_.Run({scope_.ns, ""}, [&](grpc::ClientContext* context) {
      if (labels.empty()) return client_.stub_->Info(context, plain, &info);
      api::UpdateResponse updated;
      grpc::Status status = client_.stub_->Update(context, request, &updated);
      *info.mutable_info() = std::move(*updated.mutable_info());
      return status;
    }));
    return ToInfo(info.info());
  }

  ContentClient& client_;
  const Scope scope_;
  const std::string ref_;
  rpc::RemoteCalls::Call call_;
  std::unique_ptr<grpc::ClientReaderWriter<api::WriteContentRequest, api::WriteContentResponse>>
      stream_;
  api::WriteContentResponse answer_;
  std::string digest_;
  int64_t offset_ = 0;
  bool committed_ = false;
};

ContentClient::ContentClient(std::shared_ptr<grpc::Channel> channel, std::string spool_directory)
    : stub_(api::Content::NewStub(std::move(channel))),
      spool_directory_(std::move(spool_directory)) {}

absl::StatusOr<std::unique_ptr<BlobReader>> ContentClient::Open(const std::string& ns,
                                                                const Digest& digest) {
  const std::string what = absl::StrCat("fetch content ", digest.text());
  GANTRY_ASSIGN_OR_RETURN(UniqueFd spool, OpenFile(spool_directory_, O_TMPFILE | O_RDWR, 0600));
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create(digest.algorithm()));
  uint64_t size = 0;
  absl::Status spooled;
  const absl::Status read = calls_.Run({ns, ""}, [&](grpc::ClientContext* context) {
    api::ReadContentRequest request;
    request.set_digest(digest.text());
    const auto stream = stub_->Read(context, request);
    api::ReadContentResponse chunk;
    while (spooled.ok() && stream->Read(&chunk)) {
      digester.Update(chunk.data());
      size += chunk.data().size();
      spooled = WriteAll(spool.get(), chunk.data(), what);
    }
    if (!spooled.ok()) context->TryCancel();
    return stream->Finish();
  });
  GANTRY_RETURN_IF_ERROR(spooled);
  GANTRY_RETURN_IF_ERROR(Annotate(read, what));
  if (digester.Finish() != digest) {
    return absl::DataLossError(absl::StrCat(what, ": what came has another digest"));
  }
  return std::make_unique<BlobReader>(std::move(spool), size);
}

absl::StatusOr<std::unique_ptr<BlobMaker>> ContentClient::Make(const Scope& scope,
                                                               const std::string& ref) {
  auto upload = std::make_unique<Upload>(*this, scope, ref);
  GANTRY_RETURN_IF_ERROR(upload->Begin());
  return upload;
}

}  // namespace gantry::content
