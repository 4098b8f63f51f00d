// A prefiller and a decoder that are configured by LMCache's files and variables alone.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "baton/pd_backend.h"
#include "tests/support/backend_pair.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

/// The test has a small model, and takes any port.
std::unique_ptr<PdBackend> started(const std::string& file, Environment environment) {
  const std::uint32_t tokens = small_options(Role::kSender, 1, TransportChoice::kAuto).chunk_size;
  environment["LMCACHE_CHUNK_SIZE"] = std::to_string(tokens);
  environment["LMCACHE_PD_BUFFER_SIZE"] = std::to_string(16U << 20U);
  environment["LMCACHE_CONFIG_FILE"] =
      std::string(BATON_SOURCE_DIR) + "/tests/unit/config/lmcache/" + file;
  const auto parsed = load_options_from_environment(environment);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? make_backend(parsed->options) : nullptr;
}

TEST(LmcacheConfig, AHandoff) {
  for (const char* decoder : {"decoder.yaml", "xpyd-decoder.yaml", "bidirectional-decoder.yaml"}) {
    for (const char* prefiller :
         {"prefiller.yaml", "xpyd-prefiller.yaml", "bidirectional-prefiller.yaml"}) {
      auto decode = started(decoder, {{"LMCACHE_PD_PEER_INIT_PORT", "0"},
                                      {"LMCACHE_PD_PEER_ALLOC_PORT", "0"},
                                      {"LMCACHE_PD_PEER_QUERY_PORT", "0"}});
      auto prefill = started(prefiller, {{"LMCACHE_PD_SKIP_PROXY_NOTIFICATION", "True"}});
      ASSERT_TRUE(decode != nullptr && prefill != nullptr);
      TransferSpec to = transfer_to(*decode, "request", 4);
      to.receiver_host = "localhost";
      const auto put =
          prefill->batched_submit_put_task(small_keys(0, 4), staged(*prefill, 0, 4), to);
      ASSERT_TRUE(put.ok()) << put.status();
      const Status ended = put->wait(10s);
      ASSERT_TRUE(ended.ok()) << ended;
      const auto claim = decode->claim("request", small_keys(0, 4));
      ASSERT_TRUE(claim.ok()) << claim.status();
      EXPECT_EQ(claim->chunks().size(), 4U);
    }
  }
}

}  // namespace
}  // namespace baton
