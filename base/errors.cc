#include "base/errors.h"

#include <cerrno>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"

namespace gantry {
namespace {

constexpr char kErrnoPayload[] = "gantry/errno";

absl::Status Rebuild(const absl::Status& status, absl::StatusCode code, absl::string_view message) {
  absl::Status result(code, message);
  status.ForEachPayload([&result](absl::string_view type, const absl::Cord& payload) {
    result.SetPayload(type, payload);
  });
  return result;
}

}  // namespace

absl::Status ErrnoError(int error, absl::string_view what) {
  absl::Status status = absl::ErrnoToStatus(error, what);
  switch (error) {
    case ELOOP:
    case EXDEV:
      status = Rebuild(status, absl::StatusCode::kInvalidArgument, status.message());
      break;
    case EIO:
      status = Rebuild(status, absl::StatusCode::kDataLoss, status.message());
      break;
    case ETIMEDOUT:
      status = Rebuild(status, absl::StatusCode::kUnavailable, status.message());
      break;
    default:
      break;
  }
  status.SetPayload(kErrnoPayload, absl::Cord(absl::StrCat(error)));
  return status;
}

int ErrnoOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrnoPayload);
  int error = 0;
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &error)) return error;
  return 0;
}

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return Rebuild(status, status.code(), absl::StrCat(context, ": ", status.message()));
}

absl::Status WithCode(const absl::Status& status, absl::StatusCode code) {
  if (status.ok()) return status;
  return Rebuild(status, code, status.message());
}

}  // namespace gantry
