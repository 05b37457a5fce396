#include "services/content/write_reactor.h"

#include <atomic>

#include "base/errors.h"
#include "proto/containerd/events/content.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/status.h"

namespace gantry::content {

namespace api = containerd::services::content::v1;

namespace {

// A client that has just closed a writer may open the next before the end of its stream has got
// here.
constexpr std::chrono::milliseconds kHandover(300);

}  // namespace

WriteReactor::WriteReactor(grpc::CallbackServerContext* context, Executor& executor,
                           ContentStore& store, rpc::EventPublisher& events, rpc::Caller caller)
    : context_(context), executor_(executor), store_(store), events_(events), caller_(caller) {
  StartRead(&request_);
}

void WriteReactor::OnReadDone(bool ok) {
  if (ok) {
    executor_.Run([this] { Answer(); });
  } else {
    // The client has ended its side, or the connection broke: the upload stays for resume.
    executor_.Run([this] { End(absl::OkStatus()); });
  }
}

void WriteReactor::OnWriteDone(bool ok) {
  if (ok && !committed_) {
    StartRead(&request_);
    return;
  }
  executor_.Run(
      [this, ok] { End(ok ? absl::OkStatus() : absl::CancelledError("the client went away")); });
}

void WriteReactor::Answer() {
  const absl::Status status = Handle();
  if (status.ok()) return StartWrite(&response_);
  const bool locked = writer_ == nullptr && absl::IsUnavailable(status);
  if (locked && give_up_ == std::chrono::system_clock::time_point{}) {
    give_up_ = std::chrono::system_clock::now() + kHandover;
  }
  if (locked && std::chrono::system_clock::now() < give_up_) return AnswerWhenFree();
  End(status);
}

void WriteReactor::AnswerWhenFree() {
  // The alarm and the closing writer may both call it: the first is the one that counts. Whoever
  // comes later finds `called` set and touches nothing of the reactor, which may be gone.
  auto called = std::make_shared<std::atomic<bool>>(false);
  const auto retry = std::make_shared<const std::function<void()>>([this, called] {
    if (!called->exchange(true)) executor_.Run([this] { Answer(); });
  });
  // The retry may run, and this be gone, before the next lines have.
  const auto alarm = std::make_shared<grpc::Alarm>();
  const std::string ns = ns_;
  const std::string ref = ref_;
  ContentStore& store = store_;
  retry_ = retry;
  alarm_ = alarm;
  alarm->Set(give_up_, [retry](bool) { (*retry)(); });
  store.WhenFree(ns, ref, retry);
}

void WriteReactor::End(const absl::Status& status) {
  // Before the answer, so that a client that has seen the end can open the ref again.
  writer_.reset();
  Finish(rpc::ToGrpc(status));
}

absl::Status WriteReactor::OpenWriter() {
  GANTRY_ASSIGN_OR_RETURN(const rpc::RequestContext rpc, rpc::ContextOf(*context_, caller_));
  if (request_.ref().empty()) {
    return absl::InvalidArgumentError("first message must have a reference: invalid argument");
  }
  ns_ = rpc.ns;
  ref_ = request_.ref();
  total_ = request_.total();
  expected_ = request_.expected();
  GANTRY_ASSIGN_OR_RETURN(writer_,
                          store_.OpenWriter(Scope{rpc.ns, rpc.lease}, ref_, total_, expected_));
  if (total_ == 0) total_ = writer_->status().total_bytes;
  if (expected_.empty()) expected_ = writer_->status().expected;
  return absl::OkStatus();
}

absl::Status WriteReactor::Validate() const {
  if (!ref_.empty() && !request_.ref().empty() && request_.ref() != ref_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ref \"", request_.ref(), "\" differs from the stream's \"", ref_, "\": invalid argument"));
  }
  switch (request_.action()) {
    case api::STAT:
    case api::WRITE:
    case api::COMMIT:
      break;
    default:
      return absl::InvalidArgumentError(absl::StrCat("action ", static_cast<int>(request_.action()),
                                                     " is unknown: invalid argument"));
  }
  if (request_.offset() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("offset ", request_.offset(), " is negative: invalid argument"));
  }
  if (request_.total() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("total ", request_.total(), " is negative: invalid argument"));
  }
  return absl::OkStatus();
}

absl::Status WriteReactor::MergeFields() {
  // Clients may learn both while they write: what is said last holds, and the commit checks it.
  if (request_.total() != 0) total_ = request_.total();
  if (!request_.expected().empty()) {
    expected_ = request_.expected();
    GANTRY_RETURN_IF_ERROR(writer_->DropIfKnown(expected_));
  }
  if (!request_.labels().empty()) labels_ = rpc::ToLabels(request_.labels());
  return absl::OkStatus();
}

absl::Status WriteReactor::Handle() {
  GANTRY_RETURN_IF_ERROR(Validate());
  if (writer_ == nullptr) {
    GANTRY_RETURN_IF_ERROR(OpenWriter());
  }
  GANTRY_RETURN_IF_ERROR(MergeFields());
  response_.Clear();
  response_.set_action(request_.action());
  if (request_.action() != api::STAT) GANTRY_RETURN_IF_ERROR(WriteAndCommit());
  const IngestStatus& status = writer_->status();
  rpc::ToProto(status.started_at, response_.mutable_started_at());
  rpc::ToProto(status.updated_at, response_.mutable_updated_at());
  response_.set_offset(status.offset_bytes);
  response_.set_total(total_);
  if (committed_) {
    writer_.reset();
  } else {
    response_.set_digest(writer_->CurrentDigest().text());
  }
  return absl::OkStatus();
}

absl::Status WriteReactor::WriteAndCommit() {
  const int64_t at = writer_->status().offset_bytes;
  if (request_.offset() > 0 && request_.offset() != at) {
    return absl::OutOfRangeError(absl::StrCat(
        "write @", request_.offset(), " must occur at current offset ", at, ": out of range"));
  }
  if (request_.offset() == 0 && at > 0) GANTRY_RETURN_IF_ERROR(writer_->Reset());
  if (!request_.data().empty()) GANTRY_RETURN_IF_ERROR(writer_->Write(request_.data()));
  if (request_.action() != api::COMMIT) return absl::OkStatus();

  GANTRY_ASSIGN_OR_RETURN(const Digest digest, writer_->Commit(total_, expected_, labels_));
  committed_ = true;
  response_.set_digest(digest.text());
  containerd::events::ContentCreate event;
  event.set_digest(digest.text());
  event.set_size(writer_->status().offset_bytes);
  events_.Publish(ns_, "/content/create", event);
  return absl::OkStatus();
}

}  // namespace gantry::content
