// The table of keys: complete, and with the defaults that the struct has.
#include "src/config/option_docs.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "baton/options.h"

namespace baton {
namespace {

TEST(OptionDocs, Defaults) {
  const std::map<std::string, std::string> expected = {
      {"enable_pd", "true"},
      {"pd_role", "receiver"},
      {"pd_buffer_size", "0"},
      {"pd_buffer_device", "cpu"},
      {"pd_peer_host", "127.0.0.1"},
      {"pd_peer_init_port", ""},
      {"pd_peer_alloc_port", ""},
      {"pd_peer_query_port", ""},
      {"pd_peer_data_port", ""},
      {"pd_peer_ucx_port", ""},
      {"pd_ucx_rails", ""},
      {"insecure_data_plane", "false"},
      {"pd_proxy_host", ""},
      {"pd_proxy_port", "0"},
      {"pd_skip_proxy_notification", "false"},
      {"pd_bidirectional", "false"},
      {"pd_allocation_timeout_sec", ""},
      {"pd_shutdown_timeout_sec", ""},
      {"pd_condition_poll_interval_sec", ""},
      {"pd_max_prefill_len", "0"},
      {"transfer_channel", ""},
      {"nixl_backends", ""},
      {"chunk_size", "256"},
      {"save_unfull_chunk", "true"},
      {"pd_stock_peers", "refuse"},
      {"pd_transport", "auto"},
      {"pd_integrity", "full"},
      {"pd_poison_pages", "false"},
      {"busy_poll", "false"},
      {"pd_security", "none"},
      {"pd_secret_key_file", ""},
      {"pd_peer_keys_file", ""},
      {"pd_proxy_plain", "false"},
      {"pd_handshake_timeout_ms", "5000"},
      {"pd_admission_timeout_ms", "60000"},
      {"pd_put_timeout_ms", "30000"},
      {"pd_read_timeout_ms", "30000"},
      {"pd_staging_buffer_size", "0"},
      {"pd_max_peer_reads", "256"},
      {"pd_request_idle_timeout_ms", "120000"},
      {"pd_drain_timeout_ms", "2000"},
      {"pd_ucx_stall_timeout_ms", "10000"},
      {"pd_claim_timeout_ms", "60000"},
      {"pd_claim_ttl_ms", "300000"},
      {"pd_shutdown_timeout_ms", "5000"},
      {"pd_max_message_bytes", "8388608"},
      {"pd_max_keys", "65536"},
      {"pd_max_open_requests", "4096"},
      {"pd_max_puts", "4096"},
      {"pd_eager_bytes", "65536"},
      {"pd_copy_helpers", "1"},
      {"pd_max_peer_requests", "1024"},
      {"pd_max_peer_chunks", "0"},
      {"pd_lease_ms", "10000"},
      {"pd_group_leader_host", ""},
      {"pd_proxy_kind", "stock"},
      {"pd_protocol_min", "1"},
      {"pd_pages_ahead", "16"},
      {"pd_max_peer_pages_ahead", "64"},
      {"pd_protocol_max", "5"},
  };
  std::map<std::string, std::string> documented;
  for (const OptionDoc& doc : option_docs()) {
    EXPECT_TRUE(documented.emplace(doc.name, doc.default_value).second) << doc.name << " twice";
  }
  EXPECT_EQ(documented, expected);
}

TEST(OptionDocs, EveryKeyIsExplained) {
  std::set<std::string> origins;
  for (const OptionDoc& doc : option_docs()) {
    EXPECT_FALSE(doc.type.empty()) << doc.name;
    EXPECT_FALSE(doc.meaning.empty()) << doc.name;
    EXPECT_TRUE(!doc.range.empty() || doc.type == "bool" ||
                doc.type.find('|') != std::string::npos || doc.meaning == "accepted, not used")
        << doc.name << " has no range";
    origins.insert(doc.origin);
  }
  EXPECT_EQ(origins, (std::set<std::string>{"baton", "lmcache"}));
}

TEST(OptionDocs, DocumentedKeysAreParsed) {
  for (const OptionDoc& doc : option_docs()) {
    // Hardly a good value for any key; what is refused must be that, not the name.
    const Status status = parse_options(doc.name + ": [x, y]\n", "test").status();
    EXPECT_EQ(std::string(status.message()).find("unknown key"), std::string::npos) << doc.name;
  }
}

}  // namespace
}  // namespace baton
