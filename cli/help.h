#ifndef GANTRY_CLI_HELP_H_
#define GANTRY_CLI_HELP_H_

#include <string>

#include "cli/command.h"

namespace gantry::cli {

// Null if there is none of that name.
const Command* FindCommand(const std::string& name);

void PrintHelp(const Command& command);
void PrintOverview();

// Commands change nothing by a working directory that changes: the root is made absolute once.
absl::Status MakeRootAbsolute(GlobalOptions* global);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_HELP_H_
