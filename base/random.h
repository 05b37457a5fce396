#ifndef GANTRY_BASE_RANDOM_H_
#define GANTRY_BASE_RANDOM_H_

#include <cstddef>
#include <string>

namespace gantry {

// `bytes` bytes of the kernel's random source (getrandom(2)) as lower-case hex, two characters
// each.
std::string RandomHex(size_t bytes);

// A random (version 4) UUID in its usual form.
std::string RandomUuid();

}  // namespace gantry

#endif  // GANTRY_BASE_RANDOM_H_
