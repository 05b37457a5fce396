#include "runtime/spec/json_fields.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace gantry::runtime {
namespace {

std::string Wrong(const char* expected, const Json& json) {
  return absl::StrCat("expected ", expected, ", got ", json.type_name());
}

}  // namespace

JsonFields::JsonFields(const Json& json, absl::string_view path) : json_(json), path_(path) {
  if (!json.is_object()) {
    status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": ", Wrong("an object", json)));
  }
}

const Json* JsonFields::Find(const char* name) const {
  if (!status_.ok()) return nullptr;
  const auto field = json_.find(name);
  return field == json_.end() || field->is_null() ? nullptr : &*field;
}

const Json* JsonFields::FindOf(const char* name, Json::value_t type, const char* expected) {
  const Json* field = Find(name);
  if (field != nullptr && field->type() != type) {
    FailField(name, Wrong(expected, *field));
    return nullptr;
  }
  return field;
}

void JsonFields::FailField(absl::string_view name, absl::string_view problem) {
  Fail(absl::InvalidArgumentError(absl::StrCat(path_, ".", name, ": ", problem)));
}

void JsonFields::Read(const char* name, std::string* out) {
  const Json* field = FindOf(name, Json::value_t::string, "a string");
  if (field == nullptr) return;
  const auto& text = field->get_ref<const std::string&>();
  // Such a string would be cut short by the first system call that takes it.
  if (text.find('\0') != std::string::npos) return FailField(name, "holds a NUL character");
  *out = text;
}

void JsonFields::Read(const char* name, bool* out) {
  if (const Json* field = FindOf(name, Json::value_t::boolean, "a boolean")) {
    *out = field->get<bool>();
  }
}

void JsonFields::Read(const char* name, int64_t* out) {
  const Json* field = Find(name);
  if (field == nullptr) return;
  if (!field->is_number_integer()) return FailField(name, Wrong("an integer", *field));
  if (field->is_number_unsigned() &&
      field->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return FailField(name, absl::StrCat(field->get<uint64_t>(), " is too large"));
  }
  *out = field->get<int64_t>();
}

void JsonFields::Read(const char* name, uint64_t* out) {
  const Json* field = Find(name);
  if (field == nullptr) return;
  if (!field->is_number_integer()) return FailField(name, Wrong("an integer", *field));
  if (!field->is_number_unsigned() && field->get<int64_t>() < 0) {
    return FailField(name, absl::StrCat(field->get<int64_t>(), " is negative"));
  }
  *out = field->get<uint64_t>();
}

void JsonFields::Read(const char* name, uint32_t* out) {
  if (Find(name) == nullptr) return;
  uint64_t wide = 0;
  Read(name, &wide);
  if (!ok()) return;
  if (wide > std::numeric_limits<uint32_t>::max()) {
    return FailField(name, absl::StrCat(wide, " is too large"));
  }
  *out = static_cast<uint32_t>(wide);
}

void JsonFields::Read(const char* name, std::vector<std::string>* out) {
  const Json* array = FindOf(name, Json::value_t::array, "an array");
  if (array == nullptr) return;
  std::vector<std::string> values;
  for (const Json& element : *array) {
    const std::string item = absl::StrCat(name, "[", values.size(), "]");
    if (!element.is_string()) return FailField(item, Wrong("a string", element));
    values.push_back(element.get<std::string>());
    if (values.back().find('\0') != std::string::npos) {
      return FailField(item, "holds a NUL character");
    }
  }
  *out = std::move(values);
}

}  // namespace gantry::runtime
