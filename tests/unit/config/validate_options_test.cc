// Options::validate: for those who fill in the struct themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "baton/options.h"
#include "src/base/protocol_version.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

Options receiver() {
  Options options;
  options.pd_buffer_size = 1U << 20U;
  options.pd_peer_init_port = {8300, 8301};
  options.pd_peer_alloc_port = {8400, 8401};
  return options;
}

Options sender() {
  Options options;
  options.pd_role = Role::kSender;
  options.pd_buffer_size = 1U << 20U;
  return options;
}

template <typename Change>
void expect_refused(Options options, Change change, const std::string& complaint) {
  ASSERT_TRUE(options.validate().ok()) << options.validate();
  change(options);
  const Status status = options.validate();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << complaint;
  EXPECT_THAT(std::string(status.message()), HasSubstr(complaint));
}

TEST(ValidateOptions, Ranges) {
  using O = Options;
  expect_refused(
      sender(), [](O& o) { o.pd_buffer_size = 0; }, "pd_buffer_size is 0; allowed: int: 1 to");
  expect_refused(
      sender(), [](O& o) { o.chunk_size = 0; }, "chunk_size is 0");
  expect_refused(
      sender(), [](O& o) { o.pd_put_timeout_ms = milliseconds(0); }, "pd_put_timeout_ms is 0");
  expect_refused(
      sender(), [](O& o) { o.pd_put_timeout_ms = milliseconds(-5); }, "pd_put_timeout_ms is -5");
  expect_refused(
      sender(), [](O& o) { o.pd_claim_timeout_ms = milliseconds::max(); }, "pd_claim_timeout_ms");
  expect_refused(
      sender(), [](O& o) { o.pd_proxy_host = "a\nb"; }, "pd_proxy_host is 'a\\x0ab'");
  expect_refused(
      sender(), [](O& o) { o.pd_integrity = static_cast<Integrity>(9); }, "pd_integrity is 9");
  expect_refused(
      sender(), [](O& o) { o.pd_peer_init_port.resize(1025); }, "pd_peer_init_port is a list of");
}

TEST(ValidateOptions, AClaimOutlastsAPut) {
  expect_refused(
      sender(), [](Options& o) { o.pd_claim_timeout_ms = o.pd_put_timeout_ms - milliseconds(1); },
      "pd_claim_timeout_ms is 29999; at least pd_put_timeout_ms, 30000");
  expect_refused(
      sender(), [](Options& o) { o.pd_claim_ttl_ms = o.pd_claim_timeout_ms - milliseconds(1); },
      "pd_claim_ttl_ms is 59999; at least pd_claim_timeout_ms, 60000");
  Options equal = sender();
  equal.pd_claim_timeout_ms = equal.pd_put_timeout_ms;
  EXPECT_TRUE(equal.validate().ok());
}

TEST(ValidateOptions, ALeaseOutlastsADrain) {
  expect_refused(
      receiver(), [](Options& o) { o.pd_lease_ms = o.pd_drain_timeout_ms - milliseconds(1); },
      "pd_lease_ms is 1999; at least pd_drain_timeout_ms, 2000");
}

TEST(ValidateOptions, ProtocolVersionsAreARange) {
  expect_refused(
      receiver(), [](Options& o) { o.pd_protocol_min = 0; }, "pd_protocol_min is 0");
  expect_refused(
      sender(), [](Options& o) { o.pd_protocol_max = kProtocolVersions.max + 1; },
      "pd_protocol_max is 6");
  const auto crossed = [](Options& o) {
    o.pd_protocol_min = 2;
    o.pd_protocol_max = 1;
  };
  expect_refused(sender(), crossed, "pd_protocol_min is 2, more than pd_protocol_max, 1");
}

TEST(ValidateOptions, AReceiverNeedsPortsPerRank) {
  using O = Options;
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_init_port.clear(); }, "pd_peer_init_port is missing");
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_alloc_port.pop_back(); }, "pd_peer_alloc_port has 1 ports");
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_data_port = {1}; }, "pd_peer_data_port has 1 ports");
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_host.clear(); }, "pd_peer_host is empty");
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_host = "0.0.0.0"; }, "pd_peer_host is 0.0.0.0");
  Options any = receiver();
  any.pd_peer_init_port = any.pd_peer_alloc_port = any.pd_peer_data_port = {0};
  EXPECT_TRUE(any.validate().ok()) << any.validate();
}

TEST(ValidateOptions, ARanksPortsDiffer) {
  using O = Options;
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_alloc_port[1] = 8301; }, "rank 1 has a port twice");
  expect_refused(
      receiver(),
      [](O& o) {
        o.pd_peer_data_port = {8300, 0};
      },
      "rank 0 has a port twice");
  expect_refused(
      receiver(),
      [](O& o) {
        o.pd_peer_data_port = {0, 8401};
      },
      "rank 1 has a port twice");
}

TEST(ValidateOptions, PortsOfUcxAreHeldToTheSame) {
  using O = Options;
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_ucx_port = {1}; }, "pd_peer_ucx_port has 1 ports");
  expect_refused(
      receiver(),
      [](O& o) {
        o.pd_peer_data_port = {0, 8500};
        o.pd_peer_ucx_port = {8600, 8500};
      },
      "rank 1 has a port twice: 8500 is both pd_peer_data_port and pd_peer_ucx_port");
}

TEST(ValidateOptions, RailsAreNamesOfDevicesAndForUcx) {
  using O = Options;
  Options rails = receiver();
  rails.pd_ucx_rails = {"mlx5_0:1", "mlx5_1:1,mlx5_2:1"};
  EXPECT_TRUE(rails.validate().ok()) << rails.validate();
  expect_refused(
      rails, [](O& o) { o.pd_ucx_rails[1] = "mlx5 1"; }, "pd_ucx_rails is 'mlx5 1'");
  expect_refused(
      rails, [](O& o) { o.pd_ucx_rails.resize(17, "mlx5_0:1"); }, "pd_ucx_rails is a list of 17");
  expect_refused(
      rails, [](O& o) { o.pd_transport = TransportChoice::kTcp; }, "pd_ucx_rails are given");
}

TEST(ValidateOptions, KeysAreWholeOrAbsent) {
  using O = Options;
  expect_refused(
      receiver(), [](O& o) { o.pd_security = Security::kCurve; },
      "pd_secret_key_file is missing, but pd_security is curve");
  expect_refused(
      receiver(), [](O& o) { o.pd_peer_keys_file = "peers"; },
      "pd_peer_keys_file is 'peers', but pd_security is none");
  expect_refused(
      sender(), [](O& o) { o.pd_secret_key_file = "k"; },
      "pd_secret_key_file is 'k', but pd_security is none");
  expect_refused(
      sender(), [](O& o) { o.pd_secret_key_file = std::string("a\0b", 3); },
      "pd_secret_key_file is 'a\\x00b'; allowed: str: a path");
  expect_refused(
      sender(), [](O& o) { o.pd_proxy_plain = true; }, "nothing to exempt the proxy from");
  Options keys = sender();
  keys.pd_security = Security::kCurve;
  keys.pd_secret_key_file = "own.secret";
  keys.pd_peer_keys_file = "peers.keys";
  expect_refused(
      keys, [](O& o) { o.pd_peer_keys_file.clear(); }, "pd_peer_keys_file is missing");
  expect_refused(
      keys, [](O& o) { o.pd_proxy_plain = true; }, "pd_proxy_host is missing");
  expect_refused(
      keys, [](O& o) { o.pd_security = static_cast<Security>(7); }, "pd_security is 7");
  expect_refused(
      keys, [](O& o) { o.pd_stock_peers = StockPeers::kAllow; },
      "pd_stock_peers is allow, but pd_security is curve");
}

TEST(ValidateOptions, ASendersProxyIsAHostAndAPort) {
  using O = Options;
  expect_refused(
      sender(), [](O& o) { o.pd_proxy_host = "proxy"; }, "pd_proxy_port is 0 although");
  expect_refused(
      sender(), [](O& o) { o.pd_proxy_port = 7500; }, "pd_proxy_host is missing");
  expect_refused(
      sender(), [](O& o) { o.pd_proxy_kind = ProxyKind::kBaton; }, "pd_proxy_host is missing");
  Options both = sender();
  both.pd_proxy_host = "::1";
  both.pd_proxy_port = 7500;
  EXPECT_TRUE(both.validate().ok());
}

}  // namespace
}  // namespace baton
