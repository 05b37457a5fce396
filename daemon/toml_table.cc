#include "daemon/toml_table.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::daemon {
namespace {

absl::string_view TypeName(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

bool IsZero(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get().empty();
  if (const auto* number = node.as_integer()) return number->get() == 0;
  if (const auto* number = node.as_floating_point()) return number->get() == 0;
  if (const auto* truth = node.as_boolean()) return !truth->get();
  if (const auto* array = node.as_array()) return array->empty();
  if (const auto* table = node.as_table()) {
    for (const auto& [key, value] : *table) {
      if (!IsZero(value)) return false;
    }
    return true;
  }
  return false;
}

}  // namespace

std::string TomlTable::Where(const toml::node& node) const {
  return absl::StrCat(file_, ":", node.source().begin.line);
}

std::string TomlTable::Name(absl::string_view key) const {
  // Plugin names have dots of their own.
  const std::string quoted =
      key.find('.') == absl::string_view::npos ? std::string(key) : absl::StrCat("\"", key, "\"");
  return path_.empty() ? quoted : absl::StrCat(path_, ".", quoted);
}

void TomlTable::Fail(const toml::node& node, absl::string_view key, absl::string_view why) {
  if (!error_.ok()) return;
  error_ = absl::InvalidArgumentError(absl::StrCat(Where(node), ": ", Name(key), ": ", why));
}

const toml::node* TomlTable::Find(absl::string_view key) {
  known_.insert(std::string(key));
  return table_.get(Std(key));
}

void TomlTable::String(absl::string_view key, std::string* value) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* text = node->as_string();
  if (text == nullptr)
    return Fail(*node, key, absl::StrCat("is ", TypeName(*node), ", must be a string"));
  *value = text->get();
}

void TomlTable::CheckedString(absl::string_view key, std::string* value,
                              const std::function<absl::Status(const std::string&)>& check) {
  String(key, value);
  const toml::node* node = Find(key);
  if (node == nullptr || !node->is_string()) return;
  if (const absl::Status checked = check(*value); !checked.ok()) {
    Fail(*node, key, checked.message());
  }
}

void TomlTable::Strings(absl::string_view key, std::vector<std::string>* values) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* array = node->as_array();
  if (array == nullptr) {
    return Fail(*node, key, absl::StrCat("is ", TypeName(*node), ", must be an array of strings"));
  }
  values->clear();
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) {
      return Fail(element, key, absl::StrCat("holds ", TypeName(element), ", must hold strings"));
    }
    values->push_back(text->get());
  }
}

void TomlTable::Bool(absl::string_view key, bool* value) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* flag = node->as_boolean();
  if (flag == nullptr) {
    return Fail(*node, key, absl::StrCat("is ", TypeName(*node), ", must be true or false"));
  }
  *value = flag->get();
}

void TomlTable::Integer(absl::string_view key, int64_t* value, int64_t least, int64_t most) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* number = node->as_integer();
  if (number == nullptr) {
    return Fail(*node, key, absl::StrCat("is ", TypeName(*node), ", must be an integer"));
  }
  if (number->get() < least || number->get() > most) {
    return Fail(*node, key, absl::StrCat(number->get(), " is not within ", least, " to ", most));
  }
  *value = number->get();
}

void TomlTable::Id(absl::string_view key, uint32_t* value) {
  int64_t number = *value;
  Integer(key, &number, 0, 0xfffffffe);
  *value = static_cast<uint32_t>(number);
}

void TomlTable::Double(absl::string_view key, double* value) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  if (!node->is_number()) {
    return Fail(*node, key, absl::StrCat("is ", TypeName(*node), ", must be a number"));
  }
  *value = *node->value<double>();
}

void TomlTable::Duration(absl::string_view key, absl::Duration* value) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* text = node->as_string();
  const auto* number = node->as_integer();
  if (number != nullptr && number->get() == 0) {
    *value = absl::ZeroDuration();
  } else if (text == nullptr) {
    Fail(*node, key,
         absl::StrCat("is ", TypeName(*node), ", must be a duration such as \"100ms\""));
  } else if (!absl::ParseDuration(text->get(), value) || *value < absl::ZeroDuration()) {
    Fail(*node, key, absl::StrCat("\"", text->get(), "\" is not a duration such as \"100ms\""));
  }
}

void TomlTable::Table(absl::string_view key, const std::function<void(TomlTable&)>& read) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    return Fail(*node, key, absl::StrCat("is ", TypeName(*node), ", must be a table"));
  }
  TomlTable inner(*table, file_, Name(key), warnings_, error_);
  read(inner);
  inner.Finish();
}

void TomlTable::StringMap(absl::string_view key, std::map<std::string, std::string>* values) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const toml::table* table = node->as_table();
  if (table == nullptr || (!table->empty() && !table->is_homogeneous<std::string>())) {
    return Fail(*node, key, "must be a table of strings");
  }
  values->clear();
  for (const auto& [name, value] : *table) {
    values->emplace(std::string(name.str()), value.as_string()->get());
  }
}

void TomlTable::Tables(absl::string_view key,
                       const std::function<void(const std::string& name, TomlTable&)>& read) {
  Table(key, [&read](TomlTable& outer) {
    for (const auto& [name, value] : outer.table_) {
      const std::string text(name.str());
      outer.Table(text, [&](TomlTable& inner) { read(text, inner); });
    }
  });
}

void TomlTable::NotSupported(absl::string_view key, absl::string_view why) {
  const toml::node* node = Find(key);
  if (node == nullptr || IsZero(*node)) return;
  warnings_.push_back(absl::StrCat(Where(*node), ": ", Name(key), " is ignored: ", why));
}

void TomlTable::Refuse(absl::string_view key, absl::string_view why) {
  const toml::node* node = Find(key);
  if (node == nullptr || IsZero(*node)) return;
  Fail(*node, key, why);
}

void TomlTable::Finish() {
  for (const auto& [key, node] : table_) {
    if (known_.contains(std::string(key.str()))) continue;
    warnings_.push_back(absl::StrCat(file_, ":", key.source().begin.line, ": ",
                                     Name(Absl(key.str())), " is not known and is ignored"));
  }
}

}  // namespace gantry::daemon
