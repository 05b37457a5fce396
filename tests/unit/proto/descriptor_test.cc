// Holds the compiled contract against the wire tables, both ways: nothing missing, nothing more,
// every name, number and type as the peers have it.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
using google::protobuf::ServiceDescriptor;

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

void AddMessage(const Descriptor& message, Shapes* shapes) {
  if (message.options().map_entry()) return;
  std::set<std::string>& lines = (*shapes)[absl::StrCat("message ", message.full_name())];
  for (int i = 0; i < message.field_count(); ++i) lines.insert(Line(*message.field(i)));
  for (int i = 0; i < message.nested_type_count(); ++i) AddMessage(*message.nested_type(i), shapes);
}

Shapes Compiled() {
  Shapes shapes;
  google::protobuf::DescriptorDatabase* const database =
      DescriptorPool::internal_generated_database();
  std::vector<std::string> files;
  database->FindAllFileNames(&files);
  for (const std::string& name : files) {
    if (!absl::StartsWith(name, "proto/") || absl::StartsWith(name, "proto/google/")) continue;
    const FileDescriptor& file = *DescriptorPool::generated_pool()->FindFileByName(name);
    for (int i = 0; i < file.message_type_count(); ++i) AddMessage(*file.message_type(i), &shapes);
    for (int i = 0; i < file.enum_type_count(); ++i) {
      const EnumDescriptor& one = *file.enum_type(i);
      std::set<std::string>& lines = shapes[absl::StrCat("enum ", one.full_name())];
      for (int v = 0; v < one.value_count(); ++v) {
        lines.insert(absl::StrCat(one.value(v)->name(), "=", one.value(v)->number()));
      }
    }
    for (int i = 0; i < file.service_count(); ++i) {
      const ServiceDescriptor& service = *file.service(i);
      std::set<std::string>& lines = shapes[absl::StrCat("service ", service.full_name())];
      for (int m = 0; m < service.method_count(); ++m) {
        const auto& method = *service.method(m);
        lines.insert(absl::StrCat(method.name(), "(", method.client_streaming() ? "stream " : "",
                                  Short(method.input_type()->full_name(), file.package()), ") -> ",
                                  method.server_streaming() ? "stream " : "",
                                  Short(method.output_type()->full_name(), file.package())));
      }
    }
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

void ReadTable(const std::string& file, Shapes* shapes) {
  const absl::StatusOr<std::string> text = ReadFile(absl::StrCat(GANTRY_WIRE_TABLES, "/", file));
  ASSERT_TRUE(text.ok()) << text.status();
  std::string package;
  std::string service;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    std::string name;
    if (absl::ConsumePrefix(&line, "package ")) {
      TakeQuoted(&line, &package);
    } else if (absl::ConsumePrefix(&line, "- service ")) {
      TakeQuoted(&line, &name);
      service = absl::StrCat("service ", name);
      (*shapes)[service];
    } else if (absl::ConsumePrefix(&line, "  - ")) {
      (*shapes)[service].insert(std::string(line));
    } else if (absl::ConsumePrefix(&line, "- enum ")) {
      TakeQuoted(&line, &name);
      absl::ConsumePrefix(&line, ": ");
      std::set<std::string>& lines = (*shapes)[absl::StrCat("enum ", package, ".", name)];
      for (const absl::string_view value : absl::StrSplit(line, ", ")) lines.emplace(value);
    } else if (absl::ConsumePrefix(&line, "- ") && TakeQuoted(&line, &name)) {
      absl::ConsumePrefix(&line, ": ");
      std::set<std::string>& lines = (*shapes)[absl::StrCat("message ", package, ".", name)];
      line = line.substr(0, line.find(" [reserved"));
      if (line == "(empty)") continue;
      for (const absl::string_view field : absl::StrSplit(line, "; ")) lines.emplace(field);
    }
  }
}

TEST(ContractTest, IsWhatTheWireTablesSayAndNothingElse) {
  Shapes wanted;
  ReadTable("containerd.md", &wanted);
  ReadTable("ttrpc-and-metrics.md", &wanted);
  const Shapes compiled = Compiled();
  ASSERT_GT(wanted.size(), 250u) << "the tables were not read";
  for (const auto& [name, lines] : wanted) {
    const auto found = compiled.find(name);
    if (found == compiled.end()) {
      ADD_FAILURE() << name << " is not in the contract";
      continue;
    }
    EXPECT_EQ(absl::StrJoin(found->second, "\n"), absl::StrJoin(lines, "\n")) << name;
  }
  for (const auto& [name, lines] : compiled) {
    EXPECT_EQ(wanted.count(name), 1u) << name << " is in the contract and in no table";
  }
}

}  // namespace
}  // namespace gantry
