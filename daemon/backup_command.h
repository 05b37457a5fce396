#ifndef GANTRY_DAEMON_BACKUP_COMMAND_H_
#define GANTRY_DAEMON_BACKUP_COMMAND_H_

#include <string>

#include "daemon/config.h"

namespace gantry::daemon {

// `gantryd backup DIR`: copies what lies below the root of `config`, whether or not a daemon runs
// on it, to the empty or absent `directory`, which is good as a root then: records as they were at
// one moment, every blob that they name, and the committed snapshots (snapshot_backup.h). Prints
// what was done. Gives the exit status: 0, or 1 if it failed or a blob has no file to back up.
int RunBackup(const Config& config, const std::string& directory);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_BACKUP_COMMAND_H_
