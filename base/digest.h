#ifndef GANTRY_BASE_DIGEST_H_
#define GANTRY_BASE_DIGEST_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry {

// A content address, "sha256:<64 hex>" or "sha512:<128 hex>", lower case. An object that exists and
// is not empty is valid. Source: OCI image-spec, descriptor.md "Digests".
class Digest {
 public:
  // Empty; only good for being assigned to.
  Digest() = default;

  // Errors: InvalidArgument that quotes `text`.
  static absl::StatusOr<Digest> Parse(absl::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  // "sha256" or "sha512".
  [[nodiscard]] absl::string_view algorithm() const;
  [[nodiscard]] absl::string_view hex() const;

  bool operator==(const Digest&) const = default;
  auto operator<=>(const Digest&) const = default;

 private:
  explicit Digest(absl::string_view text) : text_(text) {}
  std::string text_;
};

// Hashes a stream. Movable; not thread-safe. `Finish` may be called once.
class Digester {
 public:
  // `algorithm` is "sha256" or "sha512" (else InvalidArgument).
  static absl::StatusOr<Digester> Create(absl::string_view algorithm = "sha256");
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  ~Digester();

  void Update(absl::string_view bytes);
  Digest Finish();
  // The digest of what has come so far; more may follow.
  [[nodiscard]] Digest Peek() const;

 private:
  struct State;
  explicit Digester(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The sha256 of `bytes`.
Digest Sha256(absl::string_view bytes);

}  // namespace gantry

#endif  // GANTRY_BASE_DIGEST_H_
