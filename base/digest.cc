#include "base/digest.h"

#include <openssl/evp.h>

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gantry {
namespace {

struct Algorithm {
  absl::string_view name;
  size_t hex_size;
  const EVP_MD* (*evp)();
};
constexpr std::array<Algorithm, 2> kAlgorithms = {
    {{"sha256", 64, EVP_sha256}, {"sha512", 128, EVP_sha512}}};

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
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
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
  if (state->context == nullptr || EVP_DigestInit_ex(state->context, found->evp(), nullptr) != 1) {
    return absl::InternalError(absl::StrCat("start a ", algorithm, " digest: OpenSSL refused"));
  }
  return Digester(std::move(state));
}

void Digester::Update(absl::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

namespace {

Digest FinishContext(absl::string_view algorithm, EVP_MD_CTX* context) {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context, raw, &size);
  const absl::string_view bytes(reinterpret_cast<const char*>(raw), size);
  return *Digest::Parse(absl::StrCat(algorithm, ":", absl::BytesToHexString(bytes)));
}

}  // namespace

Digest Digester::Finish() { return FinishContext(state_->algorithm, state_->context); }

Digest Digester::Peek() const {
  State copy;
  EVP_MD_CTX_copy_ex(copy.context, state_->context);
  return FinishContext(state_->algorithm, copy.context);
}

Digest Sha256(absl::string_view bytes) {
  Digester digester = *Digester::Create();
  digester.Update(bytes);
  return digester.Finish();
}

}  // namespace gantry
