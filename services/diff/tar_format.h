#ifndef GANTRY_SERVICES_DIFF_TAR_FORMAT_H_
#define GANTRY_SERVICES_DIFF_TAR_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace gantry::diff {

// A tar is made of blocks of this size.
inline constexpr size_t kTarBlock = 512;

// The header block of an entry. Source: POSIX.1-2017, pax, "ustar Interchange Format".
struct UstarHeader {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char fill[12];
};
static_assert(sizeof(UstarHeader) == kTarBlock);

// A piece of a file that is not a hole.
struct Extent {
  int64_t offset = 0;
  int64_t size = 0;

  bool operator==(const Extent&) const = default;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_TAR_FORMAT_H_
