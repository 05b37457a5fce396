// Makes calls of containerd's API that it reads as text, and prints what comes of each: so that the
// same script can be run on any daemon that speaks the contract, and the answers compared.
//
// usage: gantry-calls SOCKET < SCRIPT
//
// A line of the script: METHOD, namespace, lease and one or more requests, parted by tabs; METHOD is
// "images.v1.Images/Get", a request is text format, the namespace and lease may be empty. A line of
// the output: code, message and each response, parted by tabs, escaped as C strings. Requests of a
// stream are sent one by one, each after an answer to the last.

#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "proto/containerd/services/containers/v1/containers.pb.h"
#include "proto/containerd/services/content/v1/content.pb.h"
#include "proto/containerd/services/images/v1/images.pb.h"
#include "proto/containerd/services/leases/v1/leases.pb.h"
#include "proto/containerd/services/namespaces/v1/namespace.pb.h"
#include "proto/containerd/services/snapshots/v1/snapshots.pb.h"

namespace gantry::test {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr int64_t kYearOne = -62135596800;

// Links the descriptors in.
const Message* const kUsed[] = {
    &containerd::services::containers::v1::GetContainerRequest::default_instance(),
    &containerd::services::content::v1::InfoRequest::default_instance(),
    &containerd::services::images::v1::GetImageRequest::default_instance(),
    &containerd::services::leases::v1::CreateRequest::default_instance(),
    &containerd::services::namespaces::v1::GetNamespaceRequest::default_instance(),
    &containerd::services::snapshots::v1::StatSnapshotRequest::default_instance(),
};

std::unique_ptr<Message> New(const google::protobuf::Descriptor* type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

// A time that is now is no daemon's own: all of this century become the same, and so does year 1,
// which Go sends for a time that it does not tell.
void HideTimes(Message* message) {
  const google::protobuf::Reflection* const reflection = message->GetReflection();
  if (auto* const time = dynamic_cast<google::protobuf::Timestamp*>(message); time != nullptr) {
    if (time->seconds() > 1'600'000'000 || time->seconds() == kYearOne) {
      time->set_seconds(1'600'000'000);
      time->set_nanos(0);
    }
    return;
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      HideTimes(reflection->MutableMessage(message, field));
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
      HideTimes(reflection->MutableRepeatedMessage(message, field, i));
    }
  }
}

grpc::ByteBuffer ToBytes(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToText(const MethodDescriptor& method, const grpc::ByteBuffer& bytes) {
  grpc::Slice slice;
  if (!bytes.DumpToSingleSlice(&slice).ok()) return "an answer without bytes";
  const std::unique_ptr<Message> message = New(method.output_type());
  if (!message->ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
    return "an answer that does not parse";
  }
  HideTimes(message.get());
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(*message, &text);
  return std::string(absl::StripTrailingAsciiWhitespace(text));
}

// One call, as a stream of both sides: on the wire there is no other kind.
class Call {
 public:
  Call(grpc::GenericStub& stub, const MethodDescriptor& method, const std::string& ns,
       const std::string& lease)
      : method_(method) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!ns.empty()) context_.AddMetadata("containerd-namespace", ns);
    if (!lease.empty()) context_.AddMetadata("containerd-lease", lease);
    stream_ = stub.PrepareCall(
        &context_, absl::StrCat("/", method.service()->full_name(), "/", method.name()), &queue_);
    stream_->StartCall(nullptr);
    Done();
  }

  // Sends it all and gives the line of what came of it.
  std::string Run(const std::vector<grpc::ByteBuffer>& requests) {
    std::vector<std::string> answers;
    for (const grpc::ByteBuffer& request : requests) {
      stream_->Write(request, nullptr);
      if (!Done()) break;
      if (method_.client_streaming() && !Read(&answers)) break;
    }
    stream_->WritesDone(nullptr);
    Done();
    while (Read(&answers)) {
    }
    grpc::Status status;
    stream_->Finish(&status, nullptr);
    Done();
    std::string line =
        absl::StrCat(status.error_code(), "\t", absl::CHexEscape(status.error_message()));
    for (const std::string& answer : answers) absl::StrAppend(&line, "\t", answer);
    return line;
  }

 private:
  bool Read(std::vector<std::string>* answers) {
    grpc::ByteBuffer bytes;
    stream_->Read(&bytes, nullptr);
    if (!Done()) return false;
    answers->push_back(absl::CHexEscape(ToText(method_, bytes)));
    return true;
  }
  bool Done() {
    void* tag;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  const MethodDescriptor& method_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

int Main(const std::string& socket) {
  for (const Message* used : kUsed) (void)used->GetDescriptor();
  grpc::GenericStub stub(
      grpc::CreateChannel(absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials()));
  for (std::string line; std::getline(std::cin, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, '\t');
    const MethodDescriptor* const method =
        google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
            absl::StrCat("containerd.services.", absl::StrReplaceAll(parts[0], {{"/", "."}})));
    if (method == nullptr || parts.size() < 4) {
      std::cerr << "no such call: " << line << "\n";
      return EXIT_FAILURE;
    }
    std::vector<grpc::ByteBuffer> requests;
    for (size_t i = 3; i < parts.size(); ++i) {
      const std::unique_ptr<Message> request = New(method->input_type());
      if (!google::protobuf::TextFormat::ParseFromString(parts[i], request.get())) {
        std::cerr << "no such request: " << parts[0] << " " << parts[i] << "\n";
        return EXIT_FAILURE;
      }
      requests.push_back(ToBytes(*request));
    }
    std::cout << Call(stub, *method, parts[1], parts[2]).Run(requests) << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace gantry::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: gantry-calls SOCKET < SCRIPT\n";
    return EXIT_FAILURE;
  }
  return gantry::test::Main(argv[1]);
}
