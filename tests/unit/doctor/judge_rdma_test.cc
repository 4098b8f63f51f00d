// What is said of RDMA ports, GIDs, device files and UCX's environment.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/doctor/hosts.h"

namespace baton::doctor {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using transport::ucx::GidType;
using transport::ucx::RdmaPort;

RdmaPort& port_of(HostFacts& host) {
  return host.rdma_devices.at(0).ports.at(0);
}

TEST(JudgeRdma, SaysNothingOfAHostWithoutDevices) {
  EXPECT_THAT(judge_rdma(plain_host()), IsEmpty());
}

TEST(JudgeRdma, IsContentWithARoceHost) {
  const Findings found = judge_rdma(roce_host());
  EXPECT_THAT(found, Each(Field(&Finding::level, Level::kOk)));
  EXPECT_THAT(found, Contains(is(Level::kOk, "port", "mlx5_0:1 is ACTIVE")));
  EXPECT_THAT(found, Contains(is(Level::kOk, "gid", "GID 3 (RoCE v2, 10.0.0.5)")));
  EXPECT_THAT(found, Contains(is(Level::kOk, "verbs", "uverbs0")));
}

TEST(JudgeRdma, NamesThePortThatIsDownAndHowToWakeIt) {
  HostFacts host = roce_host();
  port_of(host).state = "DOWN";
  port_of(host).physical_state = "Disabled";
  const Findings found = judge_rdma(host);
  EXPECT_THAT(found,
              Contains(is(Level::kWarning, "port", "mlx5_0:1 is DOWN (physically Disabled)")));
  EXPECT_THAT(found.at(0).remedy, HasSubstr("ip link set eth2 up"));
  EXPECT_THAT(found, Not(Contains(Field(&Finding::topic, "gid"))));
  port_of(host).link_layer = "InfiniBand";
  port_of(host).state = "INIT";
  EXPECT_THAT(judge_rdma(host).at(0).remedy, HasSubstr("subnet manager"));
}

TEST(JudgeRdma, TellsWhatUcxCantUse) {
  HostFacts host = roce_host();
  host.rdma_devices[0].node_type = "RNIC";
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kNote, "port", "iWARP")));
  host.rdma_devices[0].node_type = "CA";
  host.rdma_devices[0].driver = "efa";
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kNote, "port", "nor can this UCX")));
  host.ucx = {1, 20, 0};
  EXPECT_THAT(judge_rdma(host), Not(Contains(is(Level::kNote, "port", "nor can this UCX"))));
}

TEST(JudgeRdma, ChoosesTheGidThatUcxTakes) {
  RdmaPort port;
  const auto chosen = [&](UcxVersion version) {
    const auto* const gid = default_gid(port, version);
    return gid == nullptr ? -1 : static_cast<int>(gid->index);
  };
  const UcxVersion old{1, 13, 1};
  const UcxVersion young{1, 21, 0};
  EXPECT_EQ(chosen(old), -1);
  port.gids = {ipv6_gid(0, true, GidType::kRoceV1)};
  EXPECT_EQ(chosen(old), 0);
  EXPECT_EQ(chosen(young), 0);
  port.gids.push_back(ipv4_gid(1, ipv4(10, 0, 0, 5), GidType::kRoceV1));
  EXPECT_EQ(chosen(old), 1) << "IPv4 before IPv6";
  port.gids.push_back(ipv6_gid(2, true, GidType::kRoceV2));
  EXPECT_EQ(chosen(old), 2) << "v2 before v1";
  port.gids.push_back(ipv6_gid(3, false, GidType::kRoceV2));
  EXPECT_EQ(chosen(old), 2) << "the first, were it link-local";
  EXPECT_EQ(chosen(young), 3) << "routed before link-local";
  port.gids.push_back(ipv4_gid(4, ipv4(10, 0, 0, 5), GidType::kRoceV2));
  port.gids.push_back(ipv4_gid(5, ipv4(10, 0, 0, 6), GidType::kRoceV2));
  EXPECT_EQ(chosen(old), 4);
  EXPECT_EQ(chosen(young), 4);
}

TEST(JudgeRdma, WarnsOfGidsThatPeersMayNotReach) {
  HostFacts host = roce_host();
  port_of(host).gids.clear();
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "gid", "has no GID")));
  port_of(host).gids = {ipv4_gid(0, ipv4(10, 0, 0, 5), GidType::kRoceV1)};
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "gid", "RoCE v1 is not routed")));
  port_of(host).gids = {ipv6_gid(1, true, GidType::kRoceV2), ipv6_gid(4, false, GidType::kRoceV2)};
  const Findings found = judge_rdma(host);
  EXPECT_THAT(found, Contains(is(Level::kWarning, "gid", "same link")));
  EXPECT_THAT(found, Contains(Field(&Finding::remedy, "set UCX_IB_GID_INDEX=4")));
}

TEST(JudgeRdma, HeedsTheGidIndexOfTheEnvironment) {
  HostFacts host = roce_host();
  host.ucx_environment = {{"UCX_IB_GID_INDEX", "1"}};
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kOk, "gid", "is told to take GID 1")));
  host.ucx_environment = {{"UCX_IB_GID_INDEX", "7"}};
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "gid", "has no such GID")));
  host.ucx_environment = {{"UCX_IB_GID_INDEX", "auto"}};
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kOk, "gid", "will take GID 3")));
}

TEST(JudgeRdma, SaysWhyTheVerbsCantBeUsed) {
  HostFacts host = roce_host();
  host.verbs_files[0].error = EACCES;
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "verbs", "Permission denied")));
  host.verbs_files[0].error = ENOENT;
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "verbs", "isn't there")));
  host.verbs_files.clear();
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "verbs", "ib_uverbs")));
  host.ucx_opened = absl::UnavailableError("UCX finds nothing");
  EXPECT_THAT(judge_rdma(host), Contains(is(Level::kWarning, "ucx", "UCX finds nothing")));
}

TEST(JudgeRdma, NoticesAnEnvironmentThatRulesRdmaOut) {
  HostFacts host = roce_host();
  const auto with = [&](const char* name, const char* value) {
    host.ucx_environment = {{name, value}};
    return judge_rdma(host);
  };
  EXPECT_THAT(with("UCX_NET_DEVICES", "mlx5_1:1"),
              Contains(is(Level::kWarning, "environment", "names no RDMA port")));
  EXPECT_THAT(with("UCX_NET_DEVICES", "mlx5_0:2,eth0"),
              Contains(is(Level::kWarning, "environment", "names no RDMA port")));
  EXPECT_THAT(with("UCX_NET_DEVICES", "^mlx5_0:1"),
              Contains(is(Level::kWarning, "environment", "names no RDMA port")));
  EXPECT_THAT(with("UCX_TLS", "tcp,ud"),
              Contains(is(Level::kWarning, "environment", "leaves out rc")));
  for (const char* fine : {"mlx5_0:1", "eth0,mlx5_0", "all", "^eth0", "^mlx5_1:1"}) {
    EXPECT_THAT(with("UCX_NET_DEVICES", fine), Not(Contains(at_least(Level::kWarning)))) << fine;
  }
  for (const char* fine : {"rc", "ud,rc_verbs", "ib", "dc_x"}) {
    EXPECT_THAT(with("UCX_TLS", fine), Not(Contains(at_least(Level::kWarning)))) << fine;
  }
}

}  // namespace
}  // namespace baton::doctor
