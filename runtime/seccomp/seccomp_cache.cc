#include <fcntl.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/digest.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/wire.h"
#include "runtime/seccomp/seccomp.h"

namespace gantry::runtime {
namespace {

constexpr size_t kRemembered = 32;
constexpr size_t kMaxFile = 1 << 20;
// The kernel's own limit on the length of a filter (BPF_MAXINSNS).
constexpr size_t kMaxInstructions = 4096;
constexpr size_t kMaxFiles = 256;
constexpr size_t kChecksumSize = 64;
// Part of every key: programs that an older gantry made differently are not taken.
constexpr uint64_t kFormat = 2;

// Everything that decides the program, in one unambiguous row of bytes.
std::string Canonical(const LinuxSeccomp& profile) {
  WireWriter out;
  const scmp_version* const version = ::seccomp_version();
  out.Element(1, absl::StrCat(version->major, ".", version->minor, ".", version->micro, " ",
                              ::seccomp_arch_native()));
  out.Element(2, profile.default_action);
  out.Uint(8, kFormat);
  out.Uint(3, profile.default_errno_ret.has_value() ? uint64_t{*profile.default_errno_ret} + 1 : 0);
  for (const std::string& architecture : profile.architectures) out.Element(4, architecture);
  out.Bool(5, profile.flags.has_value());
  if (profile.flags.has_value()) {
    for (const std::string& flag : *profile.flags) out.Element(6, flag);
  }
  for (const SeccompSyscall& rule : profile.syscalls) {
    WireWriter nested;
    for (const std::string& name : rule.names) nested.Element(1, name);
    nested.Element(2, rule.action);
    nested.Uint(3, rule.errno_ret.has_value() ? uint64_t{*rule.errno_ret} + 1 : 0);
    for (const SeccompArg& arg : rule.args) {
      nested.Element(4, absl::StrCat(arg.index, " ", arg.value, " ", arg.value_two, " ", arg.op));
    }
    out.Element(7, nested.bytes());
  }
  return out.Take();
}

// File: the sha256 (hex) of the rest; then fields 1 flags, 2 uses_notify, 3 instructions.
std::string Encode(const SeccompProgram& program) {
  WireWriter out;
  out.Uint(1, program.flags);
  out.Bool(2, program.uses_notify);
  out.Element(3, absl::string_view(reinterpret_cast<const char*>(program.filter.data()),
                                   program.filter.size() * sizeof(sock_filter)));
  return absl::StrCat(Sha256(out.bytes()).hex(), out.bytes());
}

std::optional<SeccompProgram> Decode(absl::string_view bytes) {
  SeccompProgram program;
  absl::string_view code;
  if (bytes.size() < kChecksumSize) return std::nullopt;
  const absl::string_view record = bytes.substr(kChecksumSize);
  if (Sha256(record).hex() != bytes.substr(0, kChecksumSize)) return std::nullopt;
  WireReader reader(record);
  while (reader.Next()) {
    if (reader.field() == 1) program.flags = static_cast<unsigned>(reader.uint());
    if (reader.field() == 2) program.uses_notify = reader.boolean();
    if (reader.field() == 3) code = reader.bytes();
  }
  if (!reader.status().ok() || code.empty() || code.size() % sizeof(sock_filter) != 0 ||
      code.size() / sizeof(sock_filter) > kMaxInstructions) {
    return std::nullopt;
  }
  program.filter.resize(code.size() / sizeof(sock_filter));
  std::memcpy(program.filter.data(), code.data(), code.size());
  return program;
}

std::optional<SeccompProgram> Load(const std::string& path) {
  const absl::StatusOr<UniqueFd> fd = OpenFile(path, O_RDONLY | O_NOFOLLOW);
  if (!fd.ok()) return std::nullopt;
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid() ||
      (st.st_mode & 022) != 0) {
    return std::nullopt;
  }
  const absl::StatusOr<std::string> bytes = ReadFd(fd->get(), kMaxFile, path);
  return bytes.ok() ? Decode(*bytes) : std::nullopt;
}

// Every profile that a client thinks of becomes a file. Hosts have a handful; when there are many,
// all go, and those in use come back.
void MakeRoom(const std::string& directory) {
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  if (!names.ok() || names->size() < kMaxFiles) return;
  for (const std::string& name : *names) {
    if (name.size() == kChecksumSize) ::unlink(absl::StrCat(directory, "/", name).c_str());
  }
}

}  // namespace

std::string SeccompCacheKey(const LinuxSeccomp& profile) {
  return std::string(Sha256(Canonical(profile)).hex());
}

SeccompCache::SeccompCache(std::string disk_dir) : disk_dir_(std::move(disk_dir)) {}

std::shared_ptr<const SeccompProgram> SeccompCache::Remember(const std::string& key,
                                                             SeccompProgram program) {
  auto shared = std::make_shared<const SeccompProgram>(std::move(program));
  const std::lock_guard lock(mutex_);
  recent_.emplace_front(key, shared);
  if (recent_.size() > kRemembered) recent_.pop_back();
  return shared;
}

absl::StatusOr<std::shared_ptr<const SeccompProgram>> SeccompCache::Compile(
    const LinuxSeccomp& profile) {
  const std::string key = SeccompCacheKey(profile);
  {
    const std::lock_guard lock(mutex_);
    for (auto entry = recent_.begin(); entry != recent_.end(); ++entry) {
      if (entry->first != key) continue;
      recent_.splice(recent_.begin(), recent_, entry);
      return entry->second;
    }
  }
  const std::string path = absl::StrCat(disk_dir_, "/", key);
  if (!disk_dir_.empty()) {
    if (std::optional<SeccompProgram> program = Load(path); program.has_value()) {
      return Remember(key, *std::move(program));
    }
  }
  GANTRY_ASSIGN_OR_RETURN(SeccompProgram program, CompileSeccomp(profile));
  // A cache that cannot be written costs time and nothing else.
  if (!disk_dir_.empty() && MakeDirectories(disk_dir_, 0700).ok()) {
    MakeRoom(disk_dir_);
    WriteFileAtomic(path, Encode(program), 0600, Durability::kNotDurable).IgnoreError();
  }
  return Remember(key, std::move(program));
}

}  // namespace gantry::runtime
