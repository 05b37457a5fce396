#ifndef GANTRY_DAEMON_CHECK_COMMAND_H_
#define GANTRY_DAEMON_CHECK_COMMAND_H_

#include "daemon/config.h"
#include "services/check/check.h"

namespace gantry::daemon {

// `gantryd check`: holds what the records below the root say against what is there, with no daemon
// running, and prints a line for each difference (`json`: an object) and a summary. Gives the exit
// status: 0 if all agrees, 1 if not, mended or not, 2 if it could not be found out.
int RunCheck(const Config& config, const check::Options& options, bool json);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_CHECK_COMMAND_H_
