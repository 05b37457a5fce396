// Holds the compiled contract against the wire tables, both ways: nothing missing, nothing more,
// every name, number and type as the peers have it.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"

namespace gantry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

// Full name -> lines that describe it, in the tables' own notation.
using Shapes = std::map<std::string, std::set<std::string>>;

// A type as the tables write it: relative to its package, or to the message that it is nested in.
std::string Short(const std::string& full, const std::string& package) {
  absl::string_view rest = full;
  if (absl::ConsumePrefix(&rest, absl::StrCat(package, "."))) return std::string(rest);
  return full;
}

std::string TypeOf(const FieldDescriptor& field) {
  const std::string package = field.file()->package();
  if (field.type() == FieldDescriptor::TYPE_MESSAGE)
    return Short(field.message_type()->full_name(), package);
  if (field.type() == FieldDescriptor::TYPE_ENUM)
    return Short(field.enum_type()->full_name(), package);
  return field.type_name();
}

std::string Line(const FieldDescriptor& field) {
  std::string type = TypeOf(field);
  if (field.is_map()) {
    type = absl::StrCat("map<", TypeOf(*field.message_type()->map_key()), ",",
                        TypeOf(*field.message_type()->map_value()), ">");
  } else if (field.is_repeated()) {
    type = absl::StrCat("repeated ", type);
  } else if (field.has_optional_keyword()) {
    type = absl::StrCat("optional ", type);
  }
  return absl::StrCat(field.number(), " ", field.name(), " ", type);
}

void AddEnum(const EnumDescriptor& one, Shapes* shapes) {
  std::set<std::string>& lines = (*shapes)[absl::StrCat("enum ", one.full_name())];
  for (int v = 0; v < one.value_count(); ++v) {
    lines.insert(absl::StrCat(one.value(v)->name(), "=", one.value(v)->number()));
  }
}

void AddMessage(const Descriptor& message, Shapes* shapes) {
  if (message.options().map_entry()) return;
  std::set<std::string>& lines = (*shapes)[absl::StrCat("message ", message.full_name())];
  for (int i = 0; i < message.field_count(); ++i) lines.insert(Line(*message.field(i)));
  for (int i = 0; i < message.reserved_range_count(); ++i) {
    const Descriptor::ReservedRange& range = *message.reserved_range(i);
    for (int n = range.start; n < range.end; ++n) lines.insert(absl::StrCat("reserved ", n));
  }
  for (int i = 0; i < message.nested_type_count(); ++i) AddMessage(*message.nested_type(i), shapes);
  for (int i = 0; i < message.enum_type_count(); ++i) AddEnum(*message.enum_type(i), shapes);
}

void AddService(const ServiceDescriptor& service, Shapes* shapes) {
  const std::string package = service.file()->package();
  std::set<std::string>& lines = (*shapes)[absl::StrCat("service ", service.full_name())];
  for (int m = 0; m < service.method_count(); ++m) {
    const MethodDescriptor& method = *service.method(m);
    lines.insert(absl::StrCat(method.name(), "(", method.client_streaming() ? "stream " : "",
                              Short(method.input_type()->full_name(), package), ") -> ",
                              method.server_streaming() ? "stream " : "",
                              Short(method.output_type()->full_name(), package)));
  }
}

// Every file of the contract that is linked in: they register themselves, so none is named here.
std::vector<const FileDescriptor*> Files() {
  std::vector<std::string> names;
  DescriptorPool::internal_generated_database()->FindAllFileNames(&names);
  std::vector<const FileDescriptor*> files;
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, "proto/")) continue;
    files.push_back(DescriptorPool::generated_pool()->FindFileByName(name));
  }
  return files;
}

Shapes Compiled() {
  Shapes shapes;
  for (const FileDescriptor* file : Files()) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      AddMessage(*file->message_type(i), &shapes);
    }
    for (int i = 0; i < file->enum_type_count(); ++i) AddEnum(*file->enum_type(i), &shapes);
    for (int i = 0; i < file->service_count(); ++i) AddService(*file->service(i), &shapes);
  }
  return shapes;
}

// A name in backquotes, and what stands behind it.
bool TakeQuoted(absl::string_view* line, std::string* name) {
  if (!absl::ConsumePrefix(line, "`")) return false;
  const size_t end = line->find('`');
  *name = std::string(line->substr(0, end));
  line->remove_prefix(end + 1);
  return true;
}

std::string TableText() {
  std::string text;
  for (const char* file : {"containerd.md", "ttrpc-and-metrics.md", "google-rpc.md"}) {
    const absl::StatusOr<std::string> one = ReadFile(absl::StrCat(GANTRY_WIRE_TABLES, "/", file));
    EXPECT_TRUE(one.ok()) << one.status();
    if (one.ok()) absl::StrAppend(&text, *one, "\n");
  }
  return text;
}

// "1 id string; 2 size int64 [reserved 3, 4]", or "(empty)".
void ReadFields(absl::string_view line, std::set<std::string>* lines) {
  const size_t bracket = line.find(" [reserved ");
  if (bracket != absl::string_view::npos) {
    absl::string_view numbers = line.substr(bracket + strlen(" [reserved "));
    absl::ConsumeSuffix(&numbers, "]");
    for (const absl::string_view number : absl::StrSplit(numbers, ", ")) {
      lines->insert(absl::StrCat("reserved ", number));
    }
    line = line.substr(0, bracket);
  }
  if (line == "(empty)") return;
  for (const absl::string_view field : absl::StrSplit(line, "; ")) lines->emplace(field);
}

Shapes ReadTables(const std::string& text) {
  Shapes shapes;
  std::string package;
  std::string service;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::string name;
    if (absl::ConsumePrefix(&line, "package ")) {
      TakeQuoted(&line, &package);
    } else if (absl::ConsumePrefix(&line, "- service ")) {
      TakeQuoted(&line, &name);
      service = absl::StrCat("service ", name);
      shapes[service];
    } else if (absl::ConsumePrefix(&line, "  - ")) {
      shapes[service].insert(std::string(line));
    } else if (absl::ConsumePrefix(&line, "- enum ")) {
      TakeQuoted(&line, &name);
      absl::ConsumePrefix(&line, ": ");
      std::set<std::string>& lines = shapes[absl::StrCat("enum ", package, ".", name)];
      for (const absl::string_view value : absl::StrSplit(line, ", ")) lines.emplace(value);
    } else if (absl::ConsumePrefix(&line, "- ") && TakeQuoted(&line, &name)) {
      absl::ConsumePrefix(&line, ": ");
      ReadFields(line, &shapes[absl::StrCat("message ", package, ".", name)]);
    } else if (!line.empty() && !absl::StartsWith(line, "#")) {
      ADD_FAILURE() << "a line of the tables that says nothing: " << line;
    }
  }
  return shapes;
}

// One line per difference, both ways.
std::vector<std::string> Differences(const Shapes& wanted, const Shapes& compiled) {
  std::vector<std::string> found;
  for (const auto& [name, lines] : wanted) {
    const auto at = compiled.find(name);
    if (at == compiled.end()) {
      found.push_back(absl::StrCat(name, " is not in the contract"));
      continue;
    }
    for (const std::string& line : lines) {
      if (at->second.count(line) == 0) found.push_back(absl::StrCat(name, " lacks: ", line));
    }
    for (const std::string& line : at->second) {
      if (lines.count(line) == 0) found.push_back(absl::StrCat(name, " has too much: ", line));
    }
  }
  for (const auto& [name, lines] : compiled) {
    if (wanted.count(name) == 0) found.push_back(absl::StrCat(name, " is in no table"));
  }
  return found;
}

TEST(ContractTest, IsWhatTheWireTablesSayAndNothingElse) {
  const Shapes wanted = ReadTables(TableText());
  ASSERT_GT(wanted.size(), 250u) << "the tables were not read";
  EXPECT_THAT(Differences(wanted, Compiled()), IsEmpty());
}

TEST(ContractTest, KeepsEachFileInTheDirectoryOfItsPackage) {
  for (const FileDescriptor* file : Files()) {
    const std::string directory =
        absl::StrCat("proto/", absl::StrReplaceAll(file->package(), {{".", "/"}}), "/");
    EXPECT_TRUE(absl::StartsWith(file->name(), directory)) << file->name();
    EXPECT_EQ(file->name().find('/', directory.size()), std::string::npos) << file->name();
    EXPECT_EQ(file->syntax(), FileDescriptor::SYNTAX_PROTO3) << file->name();
  }
}

// The comparison itself: what each kind of deviation from the tables is told as.
struct Deviation {
  const char* name;
  const char* was;
  const char* becomes;
  std::vector<std::string> told;
};

class DeviationTest : public testing::TestWithParam<Deviation> {};

TEST_P(DeviationTest, IsTold) {
  const std::string text = TableText();
  const std::string changed = absl::StrReplaceAll(text, {{GetParam().was, GetParam().becomes}});
  ASSERT_NE(text, changed) << "the tables do not hold " << GetParam().was;
  EXPECT_THAT(Differences(ReadTables(changed), Compiled()),
              UnorderedElementsAreArray(GetParam().told));
}

INSTANTIATE_TEST_SUITE_P(
    Of, DeviationTest,
    testing::Values(
        Deviation{"AnotherNumber",
                  "`TaskStart`: 1 container_id string; 2 pid uint32",
                  "`TaskStart`: 1 container_id string; 3 pid uint32",
                  {"message containerd.events.TaskStart lacks: 3 pid uint32",
                   "message containerd.events.TaskStart has too much: 2 pid uint32"}},
        Deviation{"AnotherType",
                  "`ContentCreate`: 1 digest string; 2 size int64",
                  "`ContentCreate`: 1 digest string; 2 size uint64",
                  {"message containerd.events.ContentCreate lacks: 2 size uint64",
                   "message containerd.events.ContentCreate has too much: 2 size int64"}},
        Deviation{"OneInPlaceOfMany",
                  "repeated HugeTlbStat",
                  "HugeTlbStat",
                  {"message io.containerd.cgroups.v2.Metrics lacks: 7 hugetlb HugeTlbStat",
                   "message io.containerd.cgroups.v2.Metrics has too much: 7 hugetlb repeated "
                   "HugeTlbStat"}},
        Deviation{"NoPresence",
                  "socket_dir optional string",
                  "socket_dir string",
                  {"message containerd.runtime.bootstrap.v1.BootstrapParams lacks: 9 socket_dir "
                   "string",
                   "message containerd.runtime.bootstrap.v1.BootstrapParams has too much: 9 "
                   "socket_dir optional string"}},
        Deviation{"AFreedNumber",
                  " [reserved 8]",
                  "",
                  {"message containerd.runc.v1.Options has too much: reserved 8"}},
        Deviation{"AnotherEnumValue",
                  "COMMIT=2",
                  "COMMIT=3",
                  {"enum containerd.services.content.v1.WriteAction lacks: COMMIT=3",
                   "enum containerd.services.content.v1.WriteAction has too much: COMMIT=2"}},
        Deviation{"NoStream",
                  "Read(ReadContentRequest) -> stream ReadContentResponse",
                  "Read(ReadContentRequest) -> ReadContentResponse",
                  {"service containerd.services.content.v1.Content lacks: Read(ReadContentRequest) "
                   "-> ReadContentResponse",
                   "service containerd.services.content.v1.Content has too much: "
                   "Read(ReadContentRequest) -> stream ReadContentResponse"}},
        Deviation{"AnotherName",
                  "- `StreamInit`",
                  "- `StreamBegin`",
                  {"message containerd.services.streaming.v1.StreamBegin is not in the contract",
                   "message containerd.services.streaming.v1.StreamInit is in no table"}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gantry
