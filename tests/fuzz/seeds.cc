#include "tests/fuzz/seeds.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "baton/key.h"
#include "src/engine/kv_blob.h"
#include "src/transport/nixl/welcome.h"
#include "src/wire/codec.h"
#include "src/wire/xfer_dlist.h"
#include "tests/support/nixl_metadata.h"
#include "tests/unit/wire/samples.h"

namespace baton::fuzz {
namespace {

constexpr const char* kKey = "m@1@0@1@half";

Seeds wire_seeds() {
  Seeds seeds;
  for (const wire::Message& message : wire::samples::all()) {
    seeds.emplace(wire::type_name(message), wire::encode(message));  // The first of each type.
  }
  seeds["AllocResponse_refused"] = wire::encode(wire::samples::alloc_refusal());
  seeds["AllocResponse_sync"] = wire::encode(wire::samples::sync_alloc_response());
  // What is refused: more than fuzz_wire's tight limits allow, and lists of unequal lengths.
  seeds["refused_keys"] = wire::encode(wire::CacheQueryRequest{std::vector(9, std::string(kKey))});
  seeds["refused_requests"] = wire::encode(
      wire::Heartbeat{wire::samples::parties(), 1, std::vector(5, wire::AttemptName{"cmpl-1", 6})});
  seeds["refused_req_id"] = wire::encode(wire::ProxyNotif{std::string(65, 'r'), {}});
  seeds["refused_lists"] =
      wire::encode(wire::DrainNotif{wire::samples::parties(), 5, {1, 2}, {3}, 8});
  return seeds;
}

Seeds key_seeds() {
  CacheEngineKey key;
  key.model_name = "org/model";
  key.chunk_hash = "-deadbeef";
  Seeds seeds{{"plain", key.to_string()}};
  key.world_size = 8;
  key.worker_id = 7;
  key.dtype = DType::kBfloat16;
  key.layer_id = 17;
  seeds["of_a_layer"] = key.to_string();
  key.tags = {"tenant%blue", "lora%a%b"};
  seeds["with_tags"] = key.to_string();
  seeds["refused_zero"] = "m@1@0@01@half";
  return seeds;
}

Seeds kv_blob_seeds() {
  Seeds seeds;
  for (const std::uint32_t tokens : {1U, 3U}) {
    const engine::KvShape shape{2, 4};
    const std::vector<std::byte> chunk(engine::kv_chunk_bytes(shape, tokens), std::byte{0x3C});
    std::vector<std::byte> blob;
    if (engine::kv_chunk_to_blob(shape, 16, tokens, chunk, blob).ok()) {
      seeds[fmt::format("tokens_{}", tokens)] =
          std::string(reinterpret_cast<const char*>(blob.data()), blob.size());
      seeds["refused_longer"] = seeds[fmt::format("tokens_{}", tokens)] + '\0';
    }
  }
  return seeds;
}

Seeds xfer_dlist_seeds() {
  const auto pages = [](std::uint64_t count) {
    wire::XferDlist list;
    for (std::uint64_t i = 0; i < count; ++i) {
      list.descriptors.push_back({0x7f0000000000 + i * 4096, 4096, 0});
    }
    return list;
  };
  Seeds seeds{{"one", wire::encode_xfer_dlist(pages(1))},
              {"long_state", wire::encode_xfer_dlist(pages(8))},
              {"refused_none", wire::encode_xfer_dlist({})},
              {"refused_many", wire::encode_xfer_dlist(pages(9))}};
  wire::XferDlist vram = pages(2);
  vram.memory = wire::XferDlist::Memory::kVram;
  seeds["vram"] = wire::encode_xfer_dlist(vram);
  seeds["protocol_5"] = seeds["one"];
  seeds["protocol_5"][1] = 5;
  // NIXL's wheels: another module name, in a frame that is as much longer.
  constexpr std::string_view kModule = "nixl._bindings";
  std::string wheel = seeds["one"];
  wheel.replace(wheel.find(kModule), kModule.size(), "nixl_cu12._bindings");
  wheel[wheel.find("nixl_cu12") - 1] += 5;
  wheel[3] += 5;
  seeds["wheel"] = wheel;
  wire::XferDlist overlapping = pages(3);
  overlapping.descriptors[2].address -= 1;
  seeds["overlapping"] = wire::encode_xfer_dlist(overlapping);
  return seeds;
}

Seeds nixl_seeds() {
  testing::NixlMetadata agent;
  agent.regions = {{.address = 0x1000, .length = 4096}, {.address = 0x10000, .length = 8192}};
  agent.count = 2;
  Seeds seeds{{"metadata_two", testing::serialise(agent)}};
  transport::nixl::Welcome welcome{.base_address = 0x10000,
                                   .page_bytes = 4096,
                                   .page_count = 2,
                                   .probe_address = 0x1000,
                                   .metadata = testing::serialise(agent)};
  seeds["welcome"] = encode(welcome);
  welcome.page_count = 3;
  seeds["refused_pages"] = encode(welcome);
  agent.memory = 1;
  seeds["refused_gpu"] = testing::serialise(agent);
  agent.sections = 0;
  seeds["metadata_none"] = testing::serialise(agent);
  return seeds;
}

bool write(const std::filesystem::path& folder, const Seeds& seeds) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : seeds) {
    std::ofstream file(folder / name, std::ios::binary | std::ios::trunc);
    if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
      std::fprintf(stderr, "can't write %s\n", (folder / name).c_str());
      return false;
    }
  }
  return !seeds.empty();
}

}  // namespace
}  // namespace baton::fuzz

int main(int argc, char** argv) {
  using namespace baton::fuzz;  // NOLINT(google-build-using-namespace)
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  const std::filesystem::path corpus = argv[1];
  const bool written = write(corpus / "fuzz_wire", wire_seeds()) &&
                       write(corpus / "fuzz_xfer_dlist", xfer_dlist_seeds()) &&
                       write(corpus / "fuzz_nixl", nixl_seeds()) &&
                       write(corpus / "fuzz_key", key_seeds()) &&
                       write(corpus / "fuzz_kv_blob", kv_blob_seeds()) &&
                       write(corpus / "fuzz_receiver", receiver_seeds()) &&
                       write(corpus / "fuzz_sender", sender_seeds());
  return written ? 0 : 1;
}
