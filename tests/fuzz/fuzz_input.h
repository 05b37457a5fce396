#ifndef GANTRY_TESTS_FUZZ_FUZZ_INPUT_H_
#define GANTRY_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace gantry::fuzz {

// What a target is given, as text.
inline absl::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// An input that stands for several strings has them on lines of their own.
inline std::vector<std::string> Lines(const uint8_t* data, size_t size) {
  return absl::StrSplit(Text(data, size), '\n');
}

// What must hold for every input; a finding otherwise.
inline void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace gantry::fuzz

#endif  // GANTRY_TESTS_FUZZ_FUZZ_INPUT_H_
