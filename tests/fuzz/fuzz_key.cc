// CacheEngineKey: the same verdict with and without building it, and text comes back to the byte.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "baton/key.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baton::CacheEngineKey;
  using baton::fuzz::require;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto key = CacheEngineKey::parse(text);
  require(key.status() == CacheEngineKey::validate(text), "parse and validate agree");
  if (!key.ok()) {
    require(key.status().code() == baton::StatusCode::kInvalidArgument, "an error of one kind");
    require(key.status().message().size() < 1024, "an error that fits a log line");
    return 0;
  }
  require(text.size() <= CacheEngineKey::kMaxBytes, "no longer key than the limit");
  require(key->to_string() == text, "a key comes back to the byte");
  require(key->world_size > 0 && !key->model_name.empty(), "a key's fields");
  require(key->chunk_hash == "0" || key->chunk_hash[key->chunk_hash[0] == '-' ? 1 : 0] != '0',
          "one number has one key");
  return 0;
}
