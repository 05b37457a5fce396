#ifndef GANTRY_RUNTIME_SPEC_JSON_FIELDS_H_
#define GANTRY_RUNTIME_SPEC_JSON_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/json.h"

namespace gantry::runtime {

// Reads the fields of one JSON object into C++ fields. The first error is kept and the rest of the
// reads do nothing, so that a parser is a list of fields with one check at its end. Absent and null
// leave the target as it was. Borrows the JSON: lives only within a parser.
class JsonFields {
 public:
  // `path` is how errors name the object: "linux.resources.memory".
  JsonFields(const Json& json, absl::string_view path);

  void Read(const char* name, std::string* out);
  void Read(const char* name, bool* out);
  void Read(const char* name, int64_t* out);
  void Read(const char* name, uint64_t* out);
  void Read(const char* name, uint32_t* out);
  void Read(const char* name, std::vector<std::string>* out);

  template <typename T>
  void Read(const char* name, std::optional<T>* out) {
    if (Find(name) == nullptr) return;
    T value{};
    Read(name, &value);
    if (ok()) *out = std::move(value);
  }

  // Calls `parse(element, path_of_the_element)` for each element of an array; `parse` gives a
  // StatusOr<T>.
  template <typename T, typename Parse>
  void ReadArray(const char* name, std::vector<T>* out, Parse parse) {
    const Json* array = FindOf(name, Json::value_t::array, "an array");
    if (array == nullptr) return;
    size_t index = 0;
    for (const Json& element : *array) {
      absl::StatusOr<T> value = parse(element, absl::StrCat(path_, ".", name, "[", index++, "]"));
      if (!value.ok()) return Fail(value.status());
      out->push_back(*std::move(value));
    }
  }

  // Calls `parse(object, path)` if the field is there.
  template <typename T, typename Parse>
  void ReadObject(const char* name, std::optional<T>* out, Parse parse) {
    const Json* object = Find(name);
    if (object == nullptr) return;
    absl::StatusOr<T> value = parse(*object, absl::StrCat(path_, ".", name));
    if (!value.ok()) return Fail(value.status());
    *out = *std::move(value);
  }

  // The field, or null if it is absent, null or an error came before.
  const Json* Find(const char* name) const;
  const Json* FindOf(const char* name, Json::value_t type, const char* expected);

  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  // An error on the field `name`: "<path>.<name>: <problem>".
  void FailField(absl::string_view name, absl::string_view problem);
  [[nodiscard]] bool ok() const { return status_.ok(); }
  [[nodiscard]] const absl::Status& status() const { return status_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const Json& json_;
  std::string path_;
  absl::Status status_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_JSON_FIELDS_H_
