#ifndef GANTRY_DAEMON_TOML_TABLE_H_
#define GANTRY_DAEMON_TOML_TABLE_H_

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gantry::daemon {

// One table of a configuration file while it is read: each getter leaves its target alone when the
// key is absent, remembers the key as known, and keeps the first error. Finish warns of the keys
// that nobody asked for.
class TomlTable {
 public:
  // `path` is the table's own name in messages ("grpc"), empty for the top. All outlive this.
  TomlTable(const toml::table& table, std::string file, std::string path,
            std::vector<std::string>& warnings, absl::Status& error)
      : table_(table),
        file_(std::move(file)),
        path_(std::move(path)),
        warnings_(warnings),
        error_(error) {}

  void String(absl::string_view key, std::string* value);
  // `check` says what is wrong with a value, without naming the key.
  void CheckedString(absl::string_view key, std::string* value,
                     const std::function<absl::Status(const std::string&)>& check);
  void Strings(absl::string_view key, std::vector<std::string>* values);
  void Bool(absl::string_view key, bool* value);
  // Error when outside `least` to `most`.
  void Integer(absl::string_view key, int64_t* value, int64_t least, int64_t most);
  void Id(absl::string_view key, uint32_t* value);
  void Double(absl::string_view key, double* value);
  // A string in Go's notation ("100ms", "1m30s"), or 0.
  void Duration(absl::string_view key, absl::Duration* value);
  void Table(absl::string_view key, const std::function<void(TomlTable&)>& read);
  // A table of strings under names that are free.
  void StringMap(absl::string_view key, std::map<std::string, std::string>* values);
  // A table of tables under names that are free, in the names' order.
  void Tables(absl::string_view key,
              const std::function<void(const std::string& name, TomlTable&)>& read);
  // A key that is known but has no effect here: warned of if it holds anything but its zero value.
  void NotSupported(absl::string_view key, absl::string_view why);
  void Refuse(absl::string_view key, absl::string_view why);
  // Whole tables of plugins that gantry does not have: one warning per table.
  void Finish();

 private:
  const toml::node* Find(absl::string_view key);
  void Fail(const toml::node& node, absl::string_view key, absl::string_view why);
  std::string Where(const toml::node& node) const;
  std::string Name(absl::string_view key) const;

  const toml::table& table_;
  const std::string file_;
  const std::string path_;
  std::vector<std::string>& warnings_;
  absl::Status& error_;
  std::set<std::string> known_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_TOML_TABLE_H_
