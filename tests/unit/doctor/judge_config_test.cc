// Can this configuration work on that host?
#include <gtest/gtest.h>

#include "src/transport/nixl/nixl.h"
#include "tests/unit/doctor/hosts.h"

namespace baton::doctor {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

ConfigFacts receiver(std::uint64_t buffer_bytes = kGiB) {
  ConfigFacts config;
  config.path = "decode.yaml";
  ParsedOptions parsed;
  parsed.options.pd_role = Role::kReceiver;
  parsed.options.pd_buffer_size = buffer_bytes;
  parsed.options.pd_peer_init_port = {7300};
  parsed.options.pd_peer_alloc_port = {7400};
  config.parsed = parsed;
  config.ports = {{"pd_peer_init_port", "tcp://127.0.0.1:7300", absl::OkStatus()},
                  {"pd_peer_alloc_port", "tcp://127.0.0.1:7400", absl::OkStatus()}};
  return config;
}

TEST(JudgeConfig, FindsNoFaultWithAnOrdinaryOne) {
  EXPECT_FALSE(any_error(judge_config(plain_host(), receiver())));
  EXPECT_FALSE(any_error(judge_config(roce_host(), receiver(4 * kMiB))));
}

TEST(JudgeConfig, RefusesWhatCantBeRead) {
  ConfigFacts config;
  config.parsed = absl::InvalidArgumentError("decode.yaml:3: unknown key 'pd_rôle'");
  EXPECT_THAT(judge_config(plain_host(), config),
              Contains(is(Level::kError, "configuration", "decode.yaml:3")));
}

TEST(JudgeConfig, RefusesUcxWithoutRdmaUnlessItMayBeInsecure) {
  ConfigFacts config = receiver();
  config.parsed->options.pd_transport = TransportChoice::kUcx;
  EXPECT_THAT(judge_config(plain_host(), config),
              Contains(is(Level::kError, "transports", "there is no RDMA device")));
  HostFacts down = roce_host();
  down.rdma_devices[0].ports[0].state = "DOWN";
  EXPECT_THAT(judge_config(down, config), Contains(is(Level::kError, "transports", "is ACTIVE")));
  config.parsed->options.insecure_data_plane = true;
  const Findings found = judge_config(plain_host(), config);
  EXPECT_FALSE(any_error(found));
  EXPECT_THAT(found, Contains(is(Level::kWarning, "transports", "can write anywhere")));
}

TEST(JudgeConfig, RefusesUcxThatDoesntOpen) {
  HostFacts host = roce_host();
  host.memlock.soft_bytes.reset();
  host.ucx_opened = absl::FailedPreconditionError("UCX_TLS names 'tcp'");
  ConfigFacts config = receiver();
  config.parsed->options.pd_transport = TransportChoice::kUcx;
  EXPECT_THAT(judge_config(host, config),
              Contains(is(Level::kError, "transports", "UCX_TLS names 'tcp'")));
  EXPECT_THAT(judge_config(host, config),
              Contains(Field(&Finding::remedy, HasSubstr("see the findings on ports"))));
  config.parsed->options.pd_transport = TransportChoice::kAuto;
  EXPECT_THAT(judge_config(host, config),
              Contains(is(Level::kOk, "transports", "offers shm, tcp; ucx not: UCX_TLS names")));
}

TEST(JudgeConfig, ComparesTheBufferWithWhatMayBeLockedWhereRdmaLocksIt) {
  HostFacts host = roce_host();
  const auto judged = [&](std::uint64_t buffer_bytes,
                          TransportChoice choice = TransportChoice::kUcx) {
    ConfigFacts config = receiver(buffer_bytes);
    config.parsed->options.pd_transport = choice;
    return judge_config(host, config);
  };
  const auto silent = Not(Contains(Field(&Finding::topic, "memlock")));
  host.memlock.soft_bytes = kGiB;
  EXPECT_THAT(judged(kGiB + 1), Contains(is(Level::kError, "memlock", "locked once; 1 GiB (hard")));
  EXPECT_THAT(judged(kGiB + 1), Not(Contains(Field(&Finding::topic, "transports"))))
      << "one fault, one error";
  EXPECT_THAT(judged(kGiB + 1, TransportChoice::kAuto),
              Contains(is(Level::kWarning, "memlock", "goes on without ucx")));
  EXPECT_THAT(
      judged(kGiB + 1, TransportChoice::kAuto),
      Contains(is(Level::kOk, "transports", "offers shm, tcp; ucx not: it would lock 1 GiB")));
  EXPECT_THAT(judged(kGiB), Contains(is(Level::kWarning, "memlock", "of their own")));
  EXPECT_THAT(judged(kGiB - 64 * kMiB),
              Contains(is(Level::kOk, "memlock", "960 MiB would be locked, 1 GiB")));
  EXPECT_THAT(judged(2 * kGiB, TransportChoice::kTcp), silent);
  host.memlock.exempt = true;
  EXPECT_THAT(judged(2 * kGiB), silent);
  host.memlock = {.soft_bytes = std::nullopt, .hard_bytes = std::nullopt, .exempt = false};
  EXPECT_THAT(judged(2 * kGiB), silent);
  host = plain_host();
  EXPECT_THAT(judged(2 * kGiB, TransportChoice::kAuto), silent) << "nothing is locked without RDMA";
}

TEST(JudgeConfig, CountsTheBufferOnceForEachDeviceThatRegistersIt) {
  HostFacts host = roce_host();
  host.rdma_devices.push_back(host.rdma_devices[0]);
  host.rdma_devices[1].name = "mlx5_1";
  host.rdma_devices.push_back(host.rdma_devices[0]);
  host.rdma_devices[2].name = "mlx5_2";
  host.rdma_devices[2].ports[0].state = "DOWN";
  Options options;
  EXPECT_EQ(count_registrations(host, options), 2U) << "one is down";
  host.ucx_environment = {{"UCX_NET_DEVICES", "mlx5_1:1"}};
  EXPECT_EQ(count_registrations(host, options), 1U);
  host.ucx_environment = {{"UCX_NET_DEVICES", "^mlx5_0:1,mlx5_1:1"}};
  EXPECT_EQ(count_registrations(host, options), 0U);
  options.pd_ucx_rails = {"mlx5_0:1", "mlx5_0:1,mlx5_1:1"};
  EXPECT_EQ(count_registrations(host, options), 3U);

  host.ucx_environment.clear();
  host.memlock.soft_bytes = kGiB;
  ConfigFacts config = receiver(600 * kMiB);
  config.parsed->options.pd_transport = TransportChoice::kUcx;
  EXPECT_THAT(judge_config(host, config),
              Contains(is(Level::kError, "memlock", "by 2 RDMA devices: 1.2 GiB")));
}

TEST(JudgeConfig, NixlHasToBeBuiltInAndNeedsRdmaOrLeave) {
  ConfigFacts config = receiver(kMiB);
  config.parsed->options.pd_transport = TransportChoice::kNixl;
  const HostFacts without_rdma;
  if (!transport::has_nixl()) {
    EXPECT_THAT(judge_config(without_rdma, config),
                Contains(is(Level::kError, "transports", "built without NIXL")));
    return;
  }
  EXPECT_THAT(judge_config(without_rdma, config),
              Contains(is(Level::kError, "transports", "no RDMA port")));
  EXPECT_THAT(judge_config(roce_host(), config),
              Contains(is(Level::kOk, "transports", "offers nixl")));
  config.parsed->options.insecure_data_plane = true;
  EXPECT_THAT(judge_config(without_rdma, config),
              Contains(is(Level::kWarning, "transports", "nixl goes over UCX's own TCP")));
}

TEST(JudgeConfig, StockPeersNeedNixlAsItsTransportDoes) {
  ConfigFacts config = receiver(kMiB);
  EXPECT_THAT(judge_config(plain_host(), config),
              Not(Contains(Field(&Finding::what, HasSubstr("NIXL")))));
  config.parsed->options.pd_stock_peers = StockPeers::kAllow;
  const HostFacts without_rdma;
  if (!transport::has_nixl()) {
    EXPECT_THAT(judge_config(roce_host(), config),
                Contains(is(Level::kError, "transports",
                            "pd_stock_peers is allow, but this Baton was built without NIXL")));
    return;
  }
  EXPECT_THAT(
      judge_config(without_rdma, config),
      Contains(is(Level::kError, "transports", "pd_stock_peers is allow, but no RDMA port")));
  EXPECT_THAT(judge_config(roce_host(), config),
              Contains(is(Level::kOk, "transports", "meets LMCache's peers over NIXL")));
  config.parsed->options.insecure_data_plane = true;
  EXPECT_THAT(judge_config(without_rdma, config),
              AllOf(Contains(is(Level::kWarning, "transports", "nixl goes over UCX's own TCP")),
                    Not(Contains(is(Level::kNote, "transports", "says nothing here")))));
}

TEST(JudgeConfig, WarnsOfTheInsecurePlaneWhereItIsUsed) {
  ConfigFacts config = receiver(kMiB);
  config.parsed->options.insecure_data_plane = true;
  EXPECT_THAT(judge_config(roce_host(), config),
              Contains(is(Level::kWarning, "transports", "can write anywhere")));
  EXPECT_THAT(judge_config(plain_host(), config),
              Contains(is(Level::kNote, "transports", "says nothing here")));
}

TEST(JudgeConfig, ComparesTheBufferWithTheMemory) {
  EXPECT_THAT(judge_config(plain_host(), receiver(17 * kGiB)),
              Contains(is(Level::kError, "memory", "17 GiB, this host has 16 GiB")));
  EXPECT_THAT(judge_config(plain_host(), receiver(13 * kGiB)),
              Contains(is(Level::kWarning, "memory", "only 12 GiB")));
  HostFacts unknown = plain_host();
  unknown.memory_bytes = unknown.available_bytes = 0;
  EXPECT_THAT(judge_config(unknown, receiver()), Not(Contains(Field(&Finding::topic, "memory"))));
}

TEST(JudgeConfig, RefusesAddressesAndPortsThatCantBeBound) {
  ConfigFacts config = receiver();
  config.ports[1].bound = absl::UnavailableError("can't bind tcp://127.0.0.1:7400: in use");
  const Findings taken = judge_config(plain_host(), config);
  EXPECT_THAT(taken, Contains(is(Level::kError, "port", "pd_peer_alloc_port: can't bind")));
  EXPECT_THAT(taken, Not(Contains(is(Level::kOk, "port", ""))));
  config.peer_host = absl::NotFoundError("10.9.9.9 is no address of this host");
  const Findings foreign = judge_config(plain_host(), config);
  EXPECT_THAT(foreign, Contains(is(Level::kError, "address", "10.9.9.9")));
  EXPECT_THAT(foreign, Contains(Field(&Finding::remedy, HasSubstr("10.0.0.5 (eth2)"))));
}

TEST(JudgeConfig, RefusesKeyFilesThatAreNot) {
  ConfigFacts config = receiver();
  EXPECT_THAT(judge_config(plain_host(), config),
              Contains(is(Level::kNote, "keys", "pd_security is none")));
  config.parsed->options.pd_security = Security::kCurve;
  EXPECT_THAT(judge_config(plain_host(), config), Contains(is(Level::kOk, "keys", "fine")));
  config.keys = absl::FailedPreconditionError("pd_secret_key_file: k has mode 0644");
  EXPECT_THAT(judge_config(plain_host(), config),
              Contains(is(Level::kError, "keys", "has mode 0644")));
}

TEST(JudgeConfig, WarnsASenderOfAProxyWithoutAddress) {
  ConfigFacts config = receiver();
  config.parsed->options.pd_role = Role::kSender;
  config.proxy_host = absl::InvalidArgumentError("can't resolve host 'proxy'");
  const Findings found = judge_config(plain_host(), config);
  EXPECT_FALSE(any_error(found));
  EXPECT_THAT(found, Contains(is(Level::kWarning, "address", "can't resolve host 'proxy'")));
}

TEST(JudgeConfig, PassesOnWhatTheParserNoted) {
  ConfigFacts config = receiver();
  config.parsed->notes = {"decode.yaml:9: nixl_backends means nothing here"};
  EXPECT_THAT(judge_config(plain_host(), config),
              Contains(is(Level::kNote, "configuration", "nixl_backends")));
}

TEST(JudgeDefaults, MindsTheLimitOnlyWhereThereIsRdma) {
  EXPECT_THAT(judge_defaults(plain_host()), Contains(is(Level::kNote, "memlock", "8 MiB")));
  EXPECT_THAT(judge_defaults(roce_host()), Contains(is(Level::kWarning, "memlock", "8 MiB")));
  HostFacts host = roce_host();
  host.memlock.exempt = true;
  EXPECT_THAT(judge_defaults(host), Contains(is(Level::kOk, "memlock", "CAP_IPC_LOCK")));
  host.memlock = {};
  EXPECT_THAT(judge_defaults(host), Contains(is(Level::kOk, "memlock", "unlimited")));
  EXPECT_THAT(judge_defaults(host), Contains(is(Level::kOk, "transports", "ucx (RDMA)")));
}

}  // namespace
}  // namespace baton::doctor
