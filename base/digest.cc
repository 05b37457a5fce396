// The hash functions themselves and not OpenSSL's EVP over them: that one reaches every cipher of
// the library, which the static shim would carry, 3 MB of it. The code that runs is the same.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/digest.h"

#include <openssl/sha.h>

#include <array>
#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gantry {
namespace {

struct Algorithm {
  absl::string_view name;
  size_t hex_size;
};
constexpr std::array<Algorithm, 2> kAlgorithms = {{{"sha256", 64}, {"sha512", 128}}};

const Algorithm* Find(absl::string_view name) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("digest \"", absl::CHexEscape(text.substr(0, 160)), "\": ", why));
}

}  // namespace

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos) return Bad(text, "invalid checksum digest format");
  const Algorithm* algorithm = Find(text.substr(0, colon));
  if (algorithm == nullptr) return Bad(text, "unsupported digest algorithm");
  const absl::string_view hex = text.substr(colon + 1);
  if (hex.size() != algorithm->hex_size) return Bad(text, "invalid checksum digest length");
  for (const char c : hex) {
    if (!IsLowerHex(c)) return Bad(text, "invalid checksum digest format");
  }
  return Digest(text);
}

absl::string_view Digest::algorithm() const {
  return absl::string_view(text_).substr(0, text_.find(':'));
}

absl::string_view Digest::hex() const {
  return absl::string_view(text_).substr(text_.find(':') + 1);
}

struct Digester::State {
  absl::string_view algorithm;
  std::variant<SHA256_CTX, SHA512_CTX> context;
};

Digester::Digester(std::unique_ptr<State> state) : state_(std::move(state)) {}
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;
Digester::~Digester() = default;

absl::StatusOr<Digester> Digester::Create(absl::string_view algorithm) {
  const Algorithm* found = Find(algorithm);
  if (found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("digest algorithm \"", algorithm, "\" is unsupported"));
  }
  auto state = std::make_unique<State>();
  state->algorithm = found->name;
  if (found->name == "sha512") {
    SHA512_Init(&state->context.emplace<SHA512_CTX>());
  } else {
    SHA256_Init(&state->context.emplace<SHA256_CTX>());
  }
  return Digester(std::move(state));
}

void Digester::Update(absl::string_view bytes) {
  if (auto* sha256 = std::get_if<SHA256_CTX>(&state_->context)) {
    SHA256_Update(sha256, bytes.data(), bytes.size());
  } else {
    SHA512_Update(&std::get<SHA512_CTX>(state_->context), bytes.data(), bytes.size());
  }
}

Digest Digester::Finish() {
  unsigned char raw[SHA512_DIGEST_LENGTH];
  size_t size = SHA256_DIGEST_LENGTH;
  if (auto* sha256 = std::get_if<SHA256_CTX>(&state_->context)) {
    SHA256_Final(raw, sha256);
  } else {
    size = SHA512_DIGEST_LENGTH;
    SHA512_Final(raw, &std::get<SHA512_CTX>(state_->context));
  }
  const absl::string_view bytes(reinterpret_cast<const char*>(raw), size);
  return *Digest::Parse(absl::StrCat(state_->algorithm, ":", absl::BytesToHexString(bytes)));
}

Digest Digester::Peek() const { return Digester(std::make_unique<State>(*state_)).Finish(); }

Digest Sha256(absl::string_view bytes) {
  Digester digester = *Digester::Create();
  digester.Update(bytes);
  return digester.Finish();
}

}  // namespace gantry
