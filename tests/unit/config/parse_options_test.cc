// Configurations as people write them: LMCache's keys, Baton's, and what is refused with a reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "baton/options.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kReceiver = R"(
pd_role: receiver
pd_buffer_size: 1048576
pd_peer_init_port: 8300
pd_peer_alloc_port: 8400
)";

Options parsed(const std::string& yaml) {
  const StatusOr<ParsedOptions> result = parse_options(yaml, "test.yaml");
  EXPECT_TRUE(result.ok()) << result.status() << "\n" << yaml;
  return result.ok() ? result->options : Options{};
}

std::string error_of(const std::string& yaml) {
  const Status status = parse_options(yaml, "test.yaml").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << yaml;
  EXPECT_THAT(std::string(status.message()), StartsWith("test.yaml:"));
  return std::string(status.message());
}

/// The error for one more line, the sixth, in a configuration that is good without it.
std::string error_with(const std::string& line) {
  EXPECT_TRUE(parse_options(kReceiver, "test.yaml").ok());
  return error_of(kReceiver + line + "\n");
}

TEST(ParseOptions, LmcachesSenderExample) {
  const StatusOr<ParsedOptions> result = parse_options(R"(
# comments are comments
enable_pd: True
pd_role: "sender"
pd_buffer_size: 2147483648
pd_buffer_device: cpu
pd_proxy_host: "localhost"
pd_proxy_port: 7500
transfer_channel: "nixl"
nixl_backends: [UCX]
pd_allocation_timeout_sec: 2.5
pd_shutdown_timeout_sec: 5
pd_condition_poll_interval_sec: 0.005
pd_skip_proxy_notification: false
pd_bidirectional: false
pd_max_prefill_len: 0
chunk_size: 64
save_unfull_chunk: no
)",
                                                       "test.yaml");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->options.pd_role, Role::kSender);
  EXPECT_EQ(result->options.pd_buffer_size, 2'147'483'648U);
  EXPECT_EQ(result->options.pd_proxy_host, "localhost");
  EXPECT_EQ(result->options.pd_proxy_port, 7500);
  EXPECT_EQ(result->options.pd_admission_timeout_ms, milliseconds(2500));
  EXPECT_EQ(result->options.pd_shutdown_timeout_ms, milliseconds(5000));
  EXPECT_EQ(result->options.chunk_size, 64U);
  EXPECT_FALSE(result->options.save_unfull_chunk);
  EXPECT_THAT(result->notes,
              ElementsAre(StartsWith("test.yaml: these mean nothing here: transfer_channel (line "
                                     "9), nixl_backends (line 10), pd_condition_poll_interval_sec "
                                     "(line 13);")));
}

TEST(ParseOptions, LmcachesReceiverExample) {
  const StatusOr<ParsedOptions> result = parse_options(R"(
enable_pd: true
pd_role: receiver
pd_buffer_size: 1073741824
pd_peer_host: 10.0.0.1
pd_peer_init_port: [8300, 8301]
pd_peer_alloc_port:
  - 8400
  - 8401
pd_peer_query_port: [8500, 8501]
pd_peer_data_port: [0, 0]
)",
                                                       "test.yaml");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->options.pd_role, Role::kReceiver);
  EXPECT_EQ(result->options.pd_peer_host, "10.0.0.1");
  EXPECT_THAT(result->options.pd_peer_init_port, ElementsAre(8300, 8301));
  EXPECT_THAT(result->options.pd_peer_alloc_port, ElementsAre(8400, 8401));
  EXPECT_THAT(result->options.pd_peer_query_port, ElementsAre(8500, 8501));
  EXPECT_THAT(result->notes, ::testing::IsEmpty());
}

TEST(ParseOptions, BatonsKeys) {
  const Options options = parsed(std::string(kReceiver) + R"(
pd_peer_data_port: 8600
pd_request_idle_timeout_ms: 4321
pd_transport: shm
pd_integrity: paranoid
pd_poison_pages: true
busy_poll: true
pd_handshake_timeout_ms: 1
pd_admission_timeout_ms: 2
pd_put_timeout_ms: 3
pd_drain_timeout_ms: 4
pd_claim_timeout_ms: 86400000
pd_claim_ttl_ms: 86400000
pd_shutdown_timeout_ms: 6
pd_max_message_bytes: 4096
pd_max_keys: 7
pd_max_open_requests: 8
pd_max_puts: 9
pd_max_prefill_len: 10
pd_lease_ms: 3600000
pd_proxy_kind: baton
pd_group_leader_host: rank0.example
pd_max_peer_requests: 11
pd_max_peer_chunks: 12
pd_eager_bytes: 13
pd_copy_helpers: 14
pd_protocol_min: 2
pd_protocol_max: 2
)");
  EXPECT_THAT(options.pd_peer_init_port, ElementsAre(8300));
  EXPECT_THAT(options.pd_peer_data_port, ElementsAre(8600));
  EXPECT_EQ(options.pd_request_idle_timeout_ms, milliseconds(4321));
  EXPECT_EQ(options.pd_transport, TransportChoice::kShm);
  EXPECT_EQ(options.pd_integrity, Integrity::kParanoid);
  EXPECT_TRUE(options.pd_poison_pages);
  EXPECT_TRUE(options.busy_poll);
  EXPECT_EQ(options.pd_handshake_timeout_ms, milliseconds(1));
  EXPECT_EQ(options.pd_admission_timeout_ms, milliseconds(2));
  EXPECT_EQ(options.pd_put_timeout_ms, milliseconds(3));
  EXPECT_EQ(options.pd_drain_timeout_ms, milliseconds(4));
  EXPECT_EQ(options.pd_claim_timeout_ms, std::chrono::days(1));
  EXPECT_EQ(options.pd_claim_ttl_ms, std::chrono::days(1));
  EXPECT_EQ(options.pd_shutdown_timeout_ms, milliseconds(6));
  EXPECT_EQ(options.pd_max_message_bytes, 4096U);
  EXPECT_EQ(options.pd_max_keys, 7U);
  EXPECT_EQ(options.pd_max_open_requests, 8U);
  EXPECT_EQ(options.pd_max_puts, 9U);
  EXPECT_EQ(options.pd_max_prefill_len, 10U);
  EXPECT_EQ(options.pd_lease_ms, std::chrono::hours(1));
  EXPECT_EQ(options.pd_proxy_kind, ProxyKind::kBaton);
  EXPECT_EQ(options.pd_group_leader_host, "rank0.example");
  EXPECT_EQ(options.pd_max_peer_requests, 11U);
  EXPECT_EQ(options.pd_max_peer_chunks, 12U);
  EXPECT_EQ(options.pd_eager_bytes, 13U);
  EXPECT_EQ(options.pd_copy_helpers, 14U);
  EXPECT_EQ(options.pd_protocol_min, 2U);
  EXPECT_EQ(options.pd_protocol_max, 2U);
}

TEST(ParseOptions, NullMeansTheDefault) {
  const StatusOr<ParsedOptions> result = parse_options(
      std::string(kReceiver) + "pd_allocation_timeout_sec: null\npd_proxy_host:\nchunk_size: ~\n",
      "test.yaml");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->options.pd_admission_timeout_ms, Options{}.pd_admission_timeout_ms);
  EXPECT_EQ(result->options.chunk_size, 256U);
  EXPECT_THAT(result->notes, IsEmpty());
}

TEST(ParseOptions, NoKeyMayBeUnknownAndTheClosestIsNamed) {
  EXPECT_THAT(error_with("pd_bufer_size: 1"),
              HasSubstr("test.yaml:6: unknown key 'pd_bufer_size'; the closest known one is "
                        "pd_buffer_size"));
  EXPECT_THAT(error_with("PD_ROLE: sender"), HasSubstr("unknown key 'PD_ROLE'"));
  EXPECT_THAT(error_with("pd_claim_timeout: 4"), HasSubstr("pd_claim_timeout_ms"));
  EXPECT_THAT(error_with(std::string(900, 'x') + ": 1"), HasSubstr("… (900 bytes)"));
}

TEST(ParseOptions, ValuesOfTheWrongTypeNameKeyValueAndWhatIsAllowed) {
  EXPECT_THAT(error_with("chunk_size: many"),
              HasSubstr("test.yaml:6: chunk_size is 'many'; allowed: int: 1 to 1048576"));
  EXPECT_THAT(error_with("pd_max_keys: \"64\""), HasSubstr("pd_max_keys is '64'"));
  EXPECT_THAT(error_with("chunk_size: 64.0"), HasSubstr("chunk_size is '64.0'"));
  EXPECT_THAT(error_with("chunk_size: 0x40"), HasSubstr("chunk_size is '0x40'"));
  EXPECT_THAT(error_with("chunk_size: +64"), HasSubstr("chunk_size is '+64'"));
  EXPECT_THAT(error_with("chunk_size: true"), HasSubstr("chunk_size is 'true'"));
  EXPECT_THAT(error_with("chunk_size: [64]"), HasSubstr("chunk_size is a list of 1: ['64']"));
  EXPECT_THAT(error_with("busy_poll: 1"), HasSubstr("busy_poll is '1'; allowed: bool"));
  EXPECT_THAT(error_with("busy_poll: \"true\""), HasSubstr("busy_poll is 'true'"));
  EXPECT_THAT(error_with("pd_transport: rdma"),
              HasSubstr("pd_transport is 'rdma'; allowed: auto | shm | tcp"));
  EXPECT_THAT(error_with("pd_integrity: Full"), HasSubstr("off | full | paranoid"));
  EXPECT_THAT(error_with("pd_integrity: [full]"), HasSubstr("off | full | paranoid"));
  EXPECT_THAT(error_with("pd_proxy_host: [a]"), HasSubstr("pd_proxy_host is a list"));
  EXPECT_THAT(error_with("pd_proxy_host: \"a b\""), HasSubstr("pd_proxy_host is 'a b'"));
  EXPECT_THAT(error_with("pd_peer_host: \"tcp://a\""), HasSubstr("pd_peer_host is 'tcp://a'"));
  EXPECT_THAT(error_with("transfer_channel: [a]"), HasSubstr("transfer_channel is a list"));
  EXPECT_THAT(error_with("pd_condition_poll_interval_sec: soon"), HasSubstr("'soon'"));
  EXPECT_THAT(error_with("pd_peer_query_port: http"), HasSubstr("pd_peer_query_port is 'http'"));
}

TEST(ParseOptions, PortsAreAnIntOrAList) {
  const char* start = "pd_role: receiver\npd_buffer_size: 1\npd_peer_alloc_port: 0\n";
  const auto init = [&](const std::string& ports) {
    return error_of(start + ("pd_peer_init_port: " + ports));
  };
  EXPECT_THAT(parsed(start + std::string("pd_peer_init_port: 65535")).pd_peer_init_port,
              ElementsAre(65'535));
  EXPECT_THAT(init("65536"), HasSubstr("test.yaml:4: pd_peer_init_port is '65536'; allowed: int or "
                                       "list of int: 0 to 65535"));
  EXPECT_THAT(init("[1, -1]"), HasSubstr("a list of 2: ['1', '-1']"));
  EXPECT_THAT(init("[[1]]"), HasSubstr("'pd_peer_init_port' is a list with a list inside"));
  EXPECT_THAT(init("[1, ]\n  x"), HasSubstr("test.yaml:"));
  EXPECT_THAT(init("\"8300x\""), HasSubstr("pd_peer_init_port is '8300x'"));
}

TEST(ParseOptions, NumbersOutOfRange) {
  EXPECT_THAT(error_with("chunk_size: 0"), HasSubstr("chunk_size is '0'; allowed: int: 1 to"));
  EXPECT_THAT(error_with("chunk_size: -1"), HasSubstr("chunk_size is '-1'"));
  EXPECT_THAT(error_with("chunk_size: 99999999999999999999"), HasSubstr("1 to 1048576"));
  EXPECT_THAT(error_with("pd_max_prefill_len: 4294967296"), HasSubstr("0 to 4294967295"));
  EXPECT_THAT(error_with("pd_max_keys: 0"), HasSubstr("pd_max_keys is '0'"));
  EXPECT_THAT(error_with("pd_eager_bytes: 1048577"), HasSubstr("0 to 1048576"));
  EXPECT_THAT(error_with("pd_copy_helpers: 17"), HasSubstr("0 to 16"));
  EXPECT_THAT(error_with("pd_max_message_bytes: 1023"), HasSubstr("1024 to 1073741824"));
}

TEST(ParseOptions, TimeLimitsAreFinite) {
  for (const char* key : {"pd_handshake_timeout_ms", "pd_admission_timeout_ms", "pd_put_timeout_ms",
                          "pd_request_idle_timeout_ms", "pd_drain_timeout_ms",
                          "pd_claim_timeout_ms", "pd_shutdown_timeout_ms"}) {
    for (const char* value : {"0", "-1", "86400001", ".inf", "1.5"}) {
      const std::string error = error_with(std::string(key) + ": " + value);
      EXPECT_THAT(error, HasSubstr(key + (" is '" + std::string(value) +
                                          "'; allowed: int: 1 to "
                                          "86400000")));
      EXPECT_THAT(error, HasSubstr("every wait of Baton's ends"));
    }
  }
  for (const char* key : {"pd_allocation_timeout_sec", "pd_shutdown_timeout_sec"}) {
    for (const char* value :
         {"0", "-1", "86400.1", "-.inf", "-inf", ".nan", "nan", "1e300", "0.0001", "5s"}) {
      EXPECT_THAT(error_with(std::string(key) + ": " + value),
                  HasSubstr("allowed: float: 0.001 to 86400"));
    }
  }
}

TEST(ParseOptions, SecondsAndMillisecondsMustAgree) {
  const std::string good = kReceiver;
  EXPECT_EQ(parsed(good + "pd_allocation_timeout_sec: 0.25").pd_admission_timeout_ms,
            milliseconds(250));
  EXPECT_EQ(parsed(good + "pd_shutdown_timeout_sec: 1.5\npd_shutdown_timeout_ms: 1500")
                .pd_shutdown_timeout_ms,
            milliseconds(1500));
  EXPECT_THAT(error_with("pd_allocation_timeout_sec: 2\npd_admission_timeout_ms: 3000"),
              HasSubstr("test.yaml:6: pd_allocation_timeout_sec says 2000 ms, but "
                        "pd_admission_timeout_ms in line 7 says 3000 ms"));
  EXPECT_THAT(error_with("pd_shutdown_timeout_ms: 3000\npd_shutdown_timeout_sec: 2"),
              HasSubstr("test.yaml:7: pd_shutdown_timeout_sec says 2000 ms"));
}

TEST(ParseOptions, WhatIsNotSupportedSaysWhy) {
  EXPECT_THAT(error_with("enable_pd: false"), HasSubstr("enable_pd is 'false'; allowed: bool: only "
                                                        "true (a Baton back end does nothing"));
  EXPECT_THAT(error_with("pd_buffer_device: cuda"),
              HasSubstr("pd_buffer_device is 'cuda'; allowed: str: only cpu (CUDA memory is not "
                        "supported yet)"));
  EXPECT_THAT(error_of("pd_role: neither\npd_buffer_size: 1"),
              HasSubstr("test.yaml:1: pd_role is 'neither'; allowed: sender | receiver | both"));
}

TEST(ParseOptions, AProcessOfBothRoles) {
  const std::string text =
      "pd_role: both\npd_bidirectional: true\npd_buffer_size: 4096\npd_peer_host: 127.0.0.1\n"
      "pd_peer_init_port: 7300\npd_peer_alloc_port: 7400\npd_skip_proxy_notification: true\n";
  const auto both = parse_options(text, "test.yaml");
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->options.pd_role, Role::kBoth);
  EXPECT_TRUE(both->options.pd_bidirectional);
  EXPECT_EQ(
      parse_options(text + "pd_staging_buffer_size: 1024\n", "")->options.pd_staging_buffer_size,
      1024U);
  EXPECT_THAT(error_of(text + "pd_staging_buffer_size: 4096\n"),
              HasSubstr("pd_staging_buffer_size is 4096, pd_buffer_size 4096: nothing is left"));
  EXPECT_THAT(error_with("pd_staging_buffer_size: 1"), HasSubstr("but pd_role is not both"));
  EXPECT_THAT(error_of("pd_role: both\npd_buffer_size: 4096\n"),
              HasSubstr("pd_peer_init_port is missing"));
}

TEST(ParseOptions, ContradictionsAreFoundAfterTheValues) {
  EXPECT_THAT(error_of(""), HasSubstr("test.yaml: pd_buffer_size is 0"));
  EXPECT_THAT(error_with("pd_claim_timeout_ms: 29999"),
              HasSubstr("test.yaml: pd_claim_timeout_ms is 29999; at least pd_put_timeout_ms"));
}

}  // namespace
}  // namespace baton
