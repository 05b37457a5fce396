#ifndef GANTRY_BASE_ERRORS_H_
#define GANTRY_BASE_ERRORS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace gantry {

// Debian builds abseil with a string_view of its own. These are the two ways between it and the
// standard one, for the few places (spdlog, std::filesystem, std::map lookups) that need the other.
inline std::string_view Std(absl::string_view view) { return {view.data(), view.size()}; }
inline absl::string_view Absl(std::string_view view) { return {view.data(), view.size()}; }

// The one place where errno becomes a code. `what` names the act and the thing: "create directory
// fs in snapshot 42". The number travels as a payload for callers that branch on it (ErrnoOf).
//
// Codes are those of absl::ErrnoToStatus, with four overridden because the default misleads a
// client: ELOOP and EXDEV (a path that leaves its root, openat2(2)) are InvalidArgument, EIO is
// DataLoss, and ETIMEDOUT is Unavailable (DeadlineExceeded would read as the client's own
// deadline).
absl::Status ErrnoError(int error, absl::string_view what);

// The errno that ErrnoError recorded in `status`, or 0.
int ErrnoOf(const absl::Status& status);

// `status` with "`context`: " before its message; OK stays OK. Code and payloads survive.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// The same, with the code replaced: for the layer that decides what a failure means to the client.
absl::Status WithCode(const absl::Status& status, absl::StatusCode code);

}  // namespace gantry

#define GANTRY_CONCAT_INNER(a, b) a##b
#define GANTRY_CONCAT(a, b) GANTRY_CONCAT_INNER(a, b)

#define GANTRY_RETURN_IF_ERROR(expression)                                                    \
  do {                                                                                        \
    if (absl::Status gantry_status = (expression); !gantry_status.ok()) return gantry_status; \
  } while (false)

#define GANTRY_ASSIGN_OR_RETURN(lhs, expression) \
  GANTRY_ASSIGN_OR_RETURN_IMPL(GANTRY_CONCAT(gantry_statusor_, __LINE__), lhs, expression)

#define GANTRY_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expression) \
  auto statusor = (expression);                                 \
  if (!statusor.ok()) return std::move(statusor).status();      \
  lhs = *std::move(statusor)

#endif  // GANTRY_BASE_ERRORS_H_
