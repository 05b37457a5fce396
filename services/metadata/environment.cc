#include "services/metadata/environment.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/positioned_io.h"
#include "services/metadata/page_check.h"

namespace gantry::metadata {
namespace {

constexpr unsigned kMaxReaders = 1024;
constexpr uint64_t kReserve = 1 << 20;

struct EnvCloser {
  void operator()(MDB_env* env) const { ::mdb_env_close(env); }
};

// Puts `base` at the start of `file`, of which those pages were read before.
absl::Status WriteBase(const std::string& file, absl::string_view base) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(file, O_WRONLY));
  return WriteAll(fd.get(), base, file);
}

}  // namespace

absl::StatusOr<UniqueFd> LockStore(const std::string& path) {
  const std::string file = path + "/lock";
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(file, O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        absl::StrCat("the metadata store in ", path, " is in use by another process"));
  }
  return ErrnoError(errno, absl::StrCat("lock ", file));
}

absl::StatusOr<UniqueFd> LockCopying(const std::string& path, int operation) {
  const std::string file = path + "/copying";
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(file, O_RDWR | O_CREAT, 0600));
  while (::flock(fd.get(), operation) != 0) {
    if (errno != EINTR) return ErrnoError(errno, absl::StrCat("lock ", file));
  }
  return fd;
}

absl::Status LmdbError(int code, absl::string_view what) {
  const std::string message = absl::StrCat(what, ": ", ::mdb_strerror(code));
  switch (code) {
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
      return absl::ResourceExhaustedError(message);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PANIC:
      return absl::DataLossError(message);
    default:
      // Positive codes are errno's.
      return code > 0 ? ErrnoError(code, what) : absl::InternalError(message);
  }
}

absl::StatusOr<std::unique_ptr<Environment>> Environment::Open(const std::string& path,
                                                               size_t map_size_bytes, UniqueFd lock,
                                                               absl::string_view base) {
  const std::string file = path + "/meta.mdb";
  GANTRY_RETURN_IF_ERROR(CheckPages(file, base));
  if (!base.empty()) GANTRY_RETURN_IF_ERROR(WriteBase(file, base));
  MDB_env* raw = nullptr;
  if (const int code = ::mdb_env_create(&raw); code != 0)
    return LmdbError(code, "create an LMDB environment");
  std::unique_ptr<MDB_env, EnvCloser> env(raw);
  ::mdb_env_set_mapsize(raw, map_size_bytes);
  ::mdb_env_set_maxreaders(raw, kMaxReaders);
  // NOTLS: a reader's slot belongs to its transaction, since any thread of the pool may run the
  // next one.
  if (const int code =
          ::mdb_env_open(raw, file.c_str(), MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC, 0600);
      code != 0) {
    return LmdbError(code, absl::StrCat("open the metadata store ", file));
  }
  // 0.9.24 sets this on its other descriptors, but not on the data file's.
  int fd = -1;
  ::mdb_env_get_fd(raw, &fd);
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return ErrnoError(errno, absl::StrCat("set close-on-exec on ", file));
  }
  std::unique_ptr<Environment> environment(new Environment(std::move(lock), file, env.release()));
  GANTRY_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*environment, 0));
  if (const int code = ::mdb_dbi_open(transaction.get(), nullptr, 0, &environment->dbi_);
      code != 0) {
    return LmdbError(code, absl::StrCat("open the metadata store ", file));
  }
  GANTRY_RETURN_IF_ERROR(transaction.Commit());
  // LMDB syncs its file, not the directory; without its name in there nothing would be durable.
  GANTRY_RETURN_IF_ERROR(SyncDirectory(path));
  GANTRY_RETURN_IF_ERROR(SyncDirectory(path + "/.."));
  return environment;
}

int Environment::fd() const {
  int fd = -1;
  ::mdb_env_get_fd(env_, &fd);
  return fd;
}

absl::StatusOr<std::string> Environment::ReadBase() const {
  MDB_stat stat;
  ::mdb_env_stat(env_, &stat);
  std::string base(size_t{2} * stat.ms_psize, '\0');
  GANTRY_ASSIGN_OR_RETURN(const size_t got,
                          ReadAt(fd(), base.data(), base.size(), 0, absl::StrCat("read ", file_)));
  if (got < base.size()) {
    return absl::DataLossError(absl::StrCat("the metadata store ", file_, " was cut"));
  }
  return base;
}

absl::Status Environment::SyncPages() const {
  if (::fdatasync(fd()) != 0) return ErrnoError(errno, absl::StrCat("sync ", file_));
  return absl::OkStatus();
}

uint64_t Environment::End() const {
  MDB_envinfo info;
  MDB_stat stat;
  ::mdb_env_info(env_, &info);
  ::mdb_env_stat(env_, &stat);
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

void Environment::ReserveSpace() {
  const uint64_t end = End();
  if (end + kReserve / 2 <= reserved_) return;
  if (::fallocate(fd(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(end + kReserve)) == 0) {
    reserved_ = end + kReserve;
  } else if (errno != ENOSPC && errno != EDQUOT) {
    reserved_ = ~uint64_t{0};  // not on this file system
  }
}

bool Environment::ShortOfSpace() const { return End() + kReserve / 2 > reserved_; }

Environment::~Environment() { ::mdb_env_close(env_); }

absl::StatusOr<Transaction> Transaction::Begin(const Environment& environment, unsigned flags,
                                               MDB_txn* parent) {
  MDB_txn* raw = nullptr;
  if (const int code = ::mdb_txn_begin(environment.env(), parent, flags, &raw); code != 0) {
    return LmdbError(code, "begin a metadata transaction");
  }
  return Transaction(raw);
}

absl::Status Transaction::Commit() {
  if (const int code = ::mdb_txn_commit(std::exchange(transaction_, nullptr)); code != 0) {
    return LmdbError(code, "commit a metadata transaction");
  }
  return absl::OkStatus();
}

}  // namespace gantry::metadata
