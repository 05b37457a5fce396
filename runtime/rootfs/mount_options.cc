#include "runtime/rootfs/mount_options.h"

#include <sys/mount.h>

#include "runtime/spec/names.h"

namespace gantry::runtime {
namespace {

// A word that sets `set` after clearing `clear`.
struct Attribute {
  const char* name;
  uint64_t set;
  uint64_t clear;
};

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

constexpr Attribute kAttributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"atime", 0, MOUNT_ATTR__ATIME},
    {"relatime", 0, MOUNT_ATTR__ATIME},
    {"norelatime", 0, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nostrictatime", 0, MOUNT_ATTR__ATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

// Said for completeness; they change nothing.
constexpr const char* kIdle[] = {"defaults", "loud",     "silent",     "noacl",
                                 "acl",      "iversion", "noiversion", "remount"};

constexpr const char* kSuperblock[] = {"sync",       "async", "dirsync", "lazytime",
                                       "nolazytime", "mand",  "nomand"};

const Attribute* FindAttribute(absl::string_view name) {
  for (const Attribute& known : kAttributes) {
    if (name == known.name) return &known;
  }
  return nullptr;
}

void Apply(const Attribute& attribute, uint64_t* set, uint64_t* clear) {
  *set = (*set & ~attribute.clear) | attribute.set;
  *clear = (*clear & ~attribute.set) | attribute.clear;
}

template <size_t kSize>
bool IsOneOf(const char* const (&words)[kSize], absl::string_view name) {
  for (const char* known : words) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace

MountOptions ParseMountOptions(const std::vector<std::string>& options) {
  MountOptions parsed;
  for (const std::string& option : options) {
    if (option == "bind" || option == "rbind") {
      parsed.bind = true;
      parsed.recursive = parsed.recursive || option == "rbind";
    } else if (const Attribute* attribute = FindAttribute(option)) {
      Apply(*attribute, &parsed.attr_set, &parsed.attr_clear);
    } else if (const auto propagation = PropagationByName(option)) {
      parsed.propagation = *propagation & ~uint64_t{MS_REC};
      parsed.propagation_recursive = (*propagation & MS_REC) != 0;
    } else if (const Attribute* below = option.size() > 2 && option[0] == 'r'
                                            ? FindAttribute(absl::string_view(option).substr(1))
                                            : nullptr) {
      Apply(*below, &parsed.recursive_set, &parsed.recursive_clear);
    } else if (option == "tmpcopyup") {
      parsed.copy_up = true;
    } else if (option == "idmap" || option == "ridmap") {
      parsed.id_mapped = true;
      parsed.id_mapped_below = option == "ridmap";
    } else if (IsOneOf(kSuperblock, option)) {
      parsed.superblock.push_back(option);
    } else if (!option.empty() && !IsOneOf(kIdle, option)) {
      parsed.data.push_back(option);
    }
  }
  return parsed;
}

}  // namespace gantry::runtime
