#ifndef GANTRY_DAEMON_PUBLISH_COMMAND_H_
#define GANTRY_DAEMON_PUBLISH_COMMAND_H_

#include <string>

namespace gantry::daemon {

// `gantryd --address ADDRESS publish --topic TOPIC --namespace NS`: hands the event on standard
// input, an encoded google.protobuf.Any, to the daemon that answers at `address`, which publishes
// it with the time of now. So shims tell their events that use no ttrpc; containerd has the same
// command. Gives the exit status: 0, or 1 with the reason on standard error.
int RunPublish(const std::string& address, const std::string& topic, const std::string& ns);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_PUBLISH_COMMAND_H_
