#include "bench/driver/image.h"

#include "base/digest.h"
#include "base/errors.h"
#include "base/json.h"

namespace gantry::bench {
namespace {

absl::StatusOr<Json> ReadJson(Client& client, const std::string& digest) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadBlob(client, digest));
  return ParseJson(text, digest);
}

std::string ChainOf(const std::string& below, const std::string& diff_id) {
  if (below.empty()) return diff_id;
  return Sha256(absl::StrCat(below, " ", diff_id)).text();
}

}  // namespace

absl::StatusOr<std::string> ReadBlob(Client& client, const std::string& digest) {
  grpc::ClientContext context;
  client.Address(&context);
  api::content::v1::ReadContentRequest request;
  request.set_digest(digest);
  const auto stream = client.content->Read(&context, request);
  api::content::v1::ReadContentResponse chunk;
  std::string bytes;
  while (stream->Read(&chunk)) bytes += chunk.data();
  if (const grpc::Status status = stream->Finish(); !status.ok()) {
    return Annotate(Client::ToAbsl(status), absl::StrCat("read ", digest));
  }
  return bytes;
}

absl::StatusOr<std::vector<Layer>> LayersOf(Client& client, const std::string& image) {
  api::images::v1::GetImageRequest request;
  request.set_name(image);
  GANTRY_ASSIGN_OR_RETURN(
      const auto found, client.Call(*client.images, &api::images::v1::Images::Stub::Get, request));
  GANTRY_ASSIGN_OR_RETURN(Json manifest, ReadJson(client, found.image().target().digest()));
  if (manifest.contains("manifests")) {
    GANTRY_ASSIGN_OR_RETURN(
        manifest, ReadJson(client, manifest["manifests"][0]["digest"].get<std::string>()));
  }
  GANTRY_ASSIGN_OR_RETURN(const Json config,
                          ReadJson(client, manifest["config"]["digest"].get<std::string>()));
  const Json& diff_ids = config["rootfs"]["diff_ids"];
  std::vector<Layer> layers;
  std::string chain;
  for (size_t i = 0; i < manifest["layers"].size(); ++i) {
    const Json& from = manifest["layers"][i];
    Layer layer;
    layer.descriptor.set_media_type(from["mediaType"].get<std::string>());
    layer.descriptor.set_digest(from["digest"].get<std::string>());
    layer.descriptor.set_size(from["size"].get<int64_t>());
    layer.diff_id = diff_ids[i].get<std::string>();
    layer.chain_id = chain = ChainOf(chain, layer.diff_id);
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace gantry::bench
