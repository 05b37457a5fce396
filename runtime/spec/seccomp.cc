#include "runtime/spec/seccomp.h"

#include <utility>

#include "runtime/spec/json_fields.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<SeccompArg> ParseArg(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  SeccompArg arg;
  fields.Read("index", &arg.index);
  fields.Read("value", &arg.value);
  fields.Read("valueTwo", &arg.value_two);
  fields.Read("op", &arg.op);
  if (!fields.ok()) return fields.status();
  return arg;
}

absl::StatusOr<SeccompSyscall> ParseSyscall(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  SeccompSyscall syscall;
  fields.Read("names", &syscall.names);
  fields.Read("action", &syscall.action);
  fields.Read("errnoRet", &syscall.errno_ret);
  fields.ReadArray("args", &syscall.args, ParseArg);
  if (fields.ok() && syscall.action.empty()) fields.FailField("action", "is missing");
  if (!fields.ok()) return fields.status();
  return syscall;
}

}  // namespace

absl::StatusOr<LinuxSeccomp> SeccompFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxSeccomp seccomp;
  fields.Read("defaultAction", &seccomp.default_action);
  fields.Read("defaultErrnoRet", &seccomp.default_errno_ret);
  fields.Read("architectures", &seccomp.architectures);
  fields.Read("flags", &seccomp.flags);
  fields.Read("listenerPath", &seccomp.listener_path);
  fields.Read("listenerMetadata", &seccomp.listener_metadata);
  fields.ReadArray("syscalls", &seccomp.syscalls, ParseSyscall);
  if (fields.ok() && seccomp.default_action.empty())
    fields.FailField("defaultAction", "is missing");
  if (!fields.ok()) return fields.status();
  return seccomp;
}

}  // namespace gantry::runtime
