#ifndef GANTRY_CLI_VERSION_H_
#define GANTRY_CLI_VERSION_H_

namespace gantry::cli {

// The newest runtime-spec whose config this program understands.
constexpr char kSpecVersion[] = "1.2.0";

// "gantry-oci version X", "commit: Y", "spec: Z", "libseccomp: W": a line each, as engines parse
// runc's.
void PrintVersion();

}  // namespace gantry::cli

#endif  // GANTRY_CLI_VERSION_H_
