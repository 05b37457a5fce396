#include "runtime/seccomp/unknown_syscalls.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <cerrno>
#include <cstddef>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace gantry::runtime {
namespace {

// What an x32 call's number has besides the number; its architecture reads as x86-64.
constexpr uint32_t kX32Bit = 0x40000000;

// The largest number that a name of the profile has on `architecture`; -1 if none has one.
int LastKnown(const LinuxSeccomp& profile, uint32_t architecture) {
  int last = -1;
  for (const SeccompSyscall& rule : profile.syscalls) {
    for (const std::string& name : rule.names) {
      const int number = ::seccomp_syscall_resolve_name_arch(architecture, name.c_str());
      // Below zero are libseccomp's own numbers for calls that the architecture does not have.
      if (number >= 0) last = std::max(last, number & ~static_cast<int>(kX32Bit));
    }
  }
  return last;
}

bool LetsThrough(uint32_t action) {
  return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG ||
         (action & 0xffff0000U) == (SCMP_ACT_TRACE(0) & 0xffff0000U);
}

std::set<uint32_t> Architectures(const LinuxSeccomp& profile) {
  // The filter has the host's own whether it is listed or not.
  std::set<uint32_t> architectures = {::seccomp_arch_native()};
  constexpr absl::string_view kPrefix = "SCMP_ARCH_";
  for (const std::string& name : profile.architectures) {
    if (!absl::StartsWith(name, kPrefix)) continue;
    const std::string short_name = absl::AsciiStrToLower(name.substr(kPrefix.size()));
    if (const uint32_t one = ::seccomp_arch_resolve_name(short_name.c_str()); one != 0) {
      architectures.insert(one);
    }
  }
  return architectures;
}

}  // namespace

std::vector<sock_filter> UnknownSyscallPrologue(const LinuxSeccomp& profile,
                                                uint32_t default_action) {
  if (LetsThrough(default_action) || default_action == SCMP_ACT_ERRNO(ENOSYS)) return {};
  const std::set<uint32_t> architectures = Architectures(profile);
  constexpr uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;
  constexpr auto kNumber = static_cast<uint32_t>(offsetof(seccomp_data, nr));
  constexpr auto kArchitecture = static_cast<uint32_t>(offsetof(seccomp_data, arch));
  std::vector<sock_filter> out = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArchitecture)};
  for (const uint32_t architecture : architectures) {
    if (architecture == SCMP_ARCH_X32) continue;  // told apart by number, below
    const int last = LastKnown(profile, architecture);
    if (last < 0) continue;
    std::vector<sock_filter> block = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber)};
    const auto limit = static_cast<uint32_t>(last);
    if (architecture == SCMP_ARCH_X86_64) {
      const int x32 =
          architectures.count(SCMP_ARCH_X32) != 0 ? LastKnown(profile, SCMP_ARCH_X32) : -1;
      // Without x32 in the profile those numbers are the filter's own business.
      const bool check_x32 = x32 >= 0;
      block.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0));
      const uint8_t past = check_x32 ? 3 : 1;
      block.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, limit, 0, past));
      block.push_back(BPF_STMT(BPF_RET | BPF_K, kEnosys));
      if (check_x32) {
        block.push_back(
            BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kX32Bit | static_cast<uint32_t>(x32), 0, 1));
        block.push_back(BPF_STMT(BPF_RET | BPF_K, kEnosys));
      }
    } else {
      block.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, limit, 0, 1));
      block.push_back(BPF_STMT(BPF_RET | BPF_K, kEnosys));
    }
    // The next block compares the architecture again.
    block.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArchitecture));
    out.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, static_cast<uint8_t>(block.size())));
    out.insert(out.end(), block.begin(), block.end());
  }
  return out;
}

}  // namespace gantry::runtime
