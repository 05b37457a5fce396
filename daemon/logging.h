#ifndef GANTRY_DAEMON_LOGGING_H_
#define GANTRY_DAEMON_LOGGING_H_

#include "daemon/config.h"

namespace gantry::daemon {

// Sends base/log.h to standard error through spdlog, one line a message: logfmt ("time=...
// level=... msg=... key=value"), or JSON when debug.format says so. Called once, before threads
// start.
void StartLogging(const Config& config);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_LOGGING_H_
