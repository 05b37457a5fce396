#ifndef GANTRY_CLI_FLAGS_H_
#define GANTRY_CLI_FLAGS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::cli {

// The flags of one command as runc's users write them: `--name value`, `--name=value`, and also
// with one dash (`-name value`), as Go's flag package has it.
class Flags {
 public:
  // kAnywhere: flags and arguments in any order. kBeforeArguments: the first argument ends the
  // flags, for commands whose arguments are another program's command line.
  enum class Order { kAnywhere, kBeforeArguments };

  explicit Flags(Order order);
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;
  ~Flags();

  // `names` is "--detach,-d". The outputs keep their value if the flag is not given, and must
  // outlive Parse.
  void Bool(const std::string& names, bool* out);
  void Text(const std::string& names, std::string* out);
  void Number(const std::string& names, int64_t* out);
  // May be given several times.
  void Texts(const std::string& names, std::vector<std::string>* out);

  // The arguments that are not flags. Errors: a UsageError in Go's words: `flag provided but not
  // defined: -x`.
  absl::StatusOr<std::vector<std::string>> Parse(std::vector<std::string> args);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace gantry::cli

#endif  // GANTRY_CLI_FLAGS_H_
