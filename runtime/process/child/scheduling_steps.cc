#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {

int SetAffinity(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const BitSetArgs*>(step.data);
  return ::syscall(SYS_sched_setaffinity, 0, args.count * sizeof args.words[0], args.words) >= 0
             ? 0
             : errno;
}

int SetPersonality(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const PersonalityArgs*>(step.data);
  return ::syscall(SYS_personality, args.persona) >= 0 ? 0 : errno;
}

int SetMemoryPolicy(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const MemoryPolicyArgs*>(step.data);
  // The kernel takes the number of the bits and one more.
  const unsigned long bits = args.nodes.count == 0 ? 0 : args.nodes.count * 64 + 1;
  return ::syscall(SYS_set_mempolicy, args.mode, args.nodes.words, bits) == 0 ? 0 : errno;
}

}  // namespace gantry::runtime
