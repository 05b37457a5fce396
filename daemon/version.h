#ifndef GANTRY_DAEMON_VERSION_H_
#define GANTRY_DAEMON_VERSION_H_

namespace gantry::daemon {

// Of the build, from CMake.
inline constexpr char kVersion[] = GANTRY_VERSION;
inline constexpr char kRevision[] = GANTRY_REVISION;

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_VERSION_H_
