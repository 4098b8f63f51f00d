// What Baton will choose for a peer, and what can't be known from one side.
#include <gtest/gtest.h>

#include "tests/unit/doctor/hosts.h"
#include "tools/doctor/doctor.h"

namespace baton::doctor {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

PeerFacts peer_behind(const std::string& netdev, const std::string& source_ip) {
  PeerFacts peer;
  peer.host = "decode-1";
  peer.address = "10.0.0.7";
  peer.netdev = netdev;
  peer.source_ip = source_ip;
  return peer;
}

PeerFacts own_address() {
  PeerFacts peer = peer_behind("lo", ipv4(127, 0, 0, 1));
  peer.is_own = true;
  return peer;
}

Options with(TransportChoice choice) {
  Options options;
  options.pd_transport = choice;
  return options;
}

TEST(JudgePeer, SharesMemoryOnThisHostUnlessTold) {
  const PeerVerdict verdict = judge_peer(roce_host(), {}, own_address());
  EXPECT_EQ(verdict.choice, "shm");
  EXPECT_EQ(verdict.otherwise, "ucx");
  EXPECT_THAT(verdict.why, HasSubstr("same user"));
  EXPECT_EQ(judge_peer(plain_host(), {}, own_address()).otherwise, "tcp");
  EXPECT_EQ(judge_peer(plain_host(), with(TransportChoice::kTcp), own_address()).choice, "tcp");
  EXPECT_EQ(judge_peer(roce_host(), with(TransportChoice::kUcx), own_address()).choice, "ucx");
}

TEST(JudgePeer, TakesTcpBetweenHostsWithoutRdma) {
  const PeerVerdict verdict =
      judge_peer(plain_host(), {}, peer_behind("eth0", ipv4(192, 168, 0, 5)));
  EXPECT_EQ(verdict.choice, "tcp");
  EXPECT_EQ(verdict.otherwise, "");
  EXPECT_THAT(verdict.why, HasSubstr("there is no RDMA device"));
  EXPECT_THAT(verdict.findings, IsEmpty());
}

TEST(JudgePeer, TakesUcxWhereTheWayLeadsThroughAnRdmaPort) {
  const PeerVerdict verdict = judge_peer(roce_host(), {}, peer_behind("eth2", ipv4(10, 0, 0, 5)));
  EXPECT_EQ(verdict.choice, "ucx");
  EXPECT_EQ(verdict.otherwise, "tcp");
  EXPECT_THAT(verdict.why, HasSubstr("eth2, which is the RDMA port mlx5_0:1"));
  EXPECT_THAT(verdict.findings, IsEmpty());
  EXPECT_EQ(
      judge_peer(roce_host(), with(TransportChoice::kUcx), peer_behind("eth2", ipv4(10, 0, 0, 5)))
          .otherwise,
      "");
}

TEST(JudgePeer, KnowsThePortOfABondByItsAddress) {
  const PeerVerdict verdict = judge_peer(roce_host(), {}, peer_behind("bond0", ipv4(10, 0, 0, 5)));
  EXPECT_THAT(verdict.why, HasSubstr("bond0, which is the RDMA port mlx5_0:1"));
}

TEST(JudgePeer, KnowsAnInfinibandPortByItsNetdev) {
  HostFacts host = roce_host();
  host.rdma_devices[0].ports[0].link_layer = "InfiniBand";
  host.rdma_devices[0].ports[0].netdev = "ib0";
  host.rdma_devices[0].ports[0].gids.clear();
  const PeerVerdict verdict = judge_peer(host, {}, peer_behind("ib0", ipv4(10, 9, 0, 5)));
  EXPECT_THAT(verdict.why, HasSubstr("ib0, which is the RDMA port mlx5_0:1"));
}

TEST(JudgePeer, SaysThatAnotherWayProvesNothing) {
  const PeerVerdict verdict =
      judge_peer(roce_host(), {}, peer_behind("eth0", ipv4(192, 168, 0, 5)));
  EXPECT_EQ(verdict.choice, "ucx") << "the handshake only sees that both have RDMA";
  EXPECT_THAT(verdict.findings, Contains(is(Level::kWarning, "peer", "through eth0")));
}

TEST(JudgePeer, FindsNoTransportWhereNoneIsLeft) {
  const PeerFacts peer = peer_behind("eth0", ipv4(192, 168, 0, 5));
  const PeerVerdict shm = judge_peer(plain_host(), with(TransportChoice::kShm), peer);
  EXPECT_EQ(shm.choice, "");
  EXPECT_THAT(shm.why, HasSubstr("pd_transport is shm"));
  const PeerVerdict ucx = judge_peer(plain_host(), with(TransportChoice::kUcx), peer);
  EXPECT_EQ(ucx.choice, "");
  EXPECT_THAT(ucx.why, HasSubstr("there is no RDMA device"));
  PeerFacts nobody;
  nobody.resolved = absl::InvalidArgumentError("can't resolve host 'decode-1'");
  const PeerVerdict unknown = judge_peer(plain_host(), {}, nobody);
  EXPECT_EQ(unknown.choice, "");
  EXPECT_THAT(unknown.findings, Contains(is(Level::kWarning, "peer", "can't resolve")));
}

TEST(JudgePeer, TellsWhatCameOfConnecting) {
  PeerFacts peer = peer_behind("eth0", ipv4(192, 168, 0, 5));
  peer.port = 7300;
  peer.answered = absl::OkStatus();
  EXPECT_THAT(judge_peer(plain_host(), {}, peer).findings,
              Contains(is(Level::kOk, "peer", "at port 7300")));
  peer.answered = absl::UnavailableError("Connection refused");
  EXPECT_THAT(judge_peer(plain_host(), {}, peer).findings,
              Contains(is(Level::kWarning, "peer", "Connection refused")));
  peer.netdev.clear();
  EXPECT_THAT(judge_peer(plain_host(), {}, peer).findings,
              Contains(is(Level::kWarning, "peer", "no route")));
}

TEST(ParsePeer, TakesHostsAndPorts) {
  const auto parsed = [](std::string_view text) {
    const auto peer = parse_peer(text);
    return !peer.ok()   ? std::string("refused")
           : peer->port ? fmt::format("{} {}", peer->host, *peer->port)
                        : peer->host;
  };
  EXPECT_EQ(parsed("decode-1"), "decode-1");
  EXPECT_EQ(parsed("10.0.0.7:7300"), "10.0.0.7 7300");
  EXPECT_EQ(parsed("fe80::1"), "fe80::1");
  EXPECT_EQ(parsed("[fe80::1]"), "fe80::1");
  EXPECT_EQ(parsed("[fe80::1]:7300"), "fe80::1 7300");
  for (const char* wrong : {"", ":", ":7300", "h:", "h:0", "h:65536", "h:7x", "h:-1", "[::1",
                            "[::1]7300", "[]:7300", "[::1]:"}) {
    EXPECT_EQ(parsed(wrong), "refused") << wrong;
  }
  EXPECT_EQ(parsed(std::string(254, 'h')), "refused");
}

}  // namespace
}  // namespace baton::doctor
