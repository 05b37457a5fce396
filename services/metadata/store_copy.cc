#include "services/metadata/store_copy.h"

#include <lmdb.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/metadata/environment.h"
#include "services/metadata/store.h"

namespace gantry::metadata {
namespace {

struct EnvCloser {
  void operator()(MDB_env* env) const { ::mdb_env_close(env); }
};

}  // namespace

absl::Status CopyStore(const std::string& path, const std::string& destination) {
  const std::string source = path + "/meta.mdb";
  const std::string copy = destination + "/meta.mdb";
  if (::access(source.c_str(), F_OK) != 0) {
    return ErrnoError(errno, absl::StrCat("find a metadata store in ", path));
  }
  if (::access(copy.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat("there is a metadata store in ", destination));
  }
  // A store that nobody has open may wait for its journal to be replayed, which its owner does.
  if (const auto owned = Store::Open(path);
      !owned.ok() && !absl::IsFailedPrecondition(owned.status())) {
    return owned.status();
  }
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd copying, LockCopying(path, LOCK_SH));
  GANTRY_RETURN_IF_ERROR(MakeDirectories(destination, 0700));
  MDB_env* raw = nullptr;
  if (const int code = ::mdb_env_create(&raw); code != 0)
    return LmdbError(code, "create an LMDB environment");
  const std::unique_ptr<MDB_env, EnvCloser> env(raw);
  const std::string what = absl::StrCat("copy the metadata store ", source);
  if (const int code =
          ::mdb_env_open(raw, source.c_str(), MDB_NOSUBDIR | MDB_NOTLS | MDB_RDONLY, 0600);
      code != 0) {
    return LmdbError(code, what);
  }
  // A copier that was killed has left its reader behind, which keeps old pages from being used.
  int dead = 0;
  ::mdb_reader_check(raw, &dead);
  if (const int code = ::mdb_env_copy2(raw, copy.c_str(), MDB_CP_COMPACT); code != 0) {
    ::unlink(copy.c_str());
    return LmdbError(code, what);
  }
  return SyncDirectory(destination);
}

}  // namespace gantry::metadata
