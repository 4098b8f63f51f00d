// Who may write to whom by RDMA, and how UCX's description of it is read.
#include "src/transport/ucx/offer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/transport/ucx/lanes.h"

namespace baton::transport::ucx {
namespace {

RdmaDevice device(const std::string& link_layer, const std::string& state,
                  const std::string& gid = "fe80:0000:0000:0000:0002:c903:0029:4f39") {
  RdmaPort port;
  port.number = 1;
  port.state = state;
  port.link_layer = link_layer;
  port.gids.resize(1);
  port.gids[0].value = gid;
  RdmaDevice made;
  made.name = "mlx5_0";
  made.node_type = "CA";
  made.driver = "mlx5_core";
  made.ports.push_back(port);
  return made;
}

TEST(UcxOffer, NamesTheFabricsOfActivePorts) {
  const std::vector<RdmaDevice> devices = {device("Ethernet", "ACTIVE"),
                                           device("InfiniBand", "ACTIVE"),
                                           device("InfiniBand", "DOWN", "fec0:0000:0000:0007:")};
  EXPECT_EQ(make_offer(devices, false), "ucx1 ib:fe80:0000:0000:0000 roce");
  EXPECT_EQ(make_offer(devices, true), "ucx1 ib:fe80:0000:0000:0000 roce tcp");
  EXPECT_EQ(make_offer({}, false), "ucx1");
}

TEST(UcxOffer, MeetsWhereAFabricIsCommon) {
  EXPECT_TRUE(offers_meet("ucx1 roce", "ucx1 ib:fe80 roce"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "ucx1 ib:fe80"));
  EXPECT_FALSE(offers_meet("ucx1 ib:fe80", "ucx1 ib:fe81"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "ucx1 roc"));
  EXPECT_FALSE(offers_meet("ucx1", "ucx1"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "ucx2 roce"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "ucx10 roce"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "ucx10 ucx1 roce"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "roce ucx1"));
  EXPECT_FALSE(offers_meet("ucx1 roce", "ucx1 roce" + std::string(2000, ' ')));
}

TEST(UcxLanes, OfUcx113) {
  EXPECT_EQ(parse_lanes(R"(#
# UCP endpoint intra-node
#
#               peer: vm:123
#                 lane[0]:  1:rc_verbs/rxe0:1.0 md[0]     -> addr[0].md[0]/ib/sysdev[255] rma_bw#0 am
#                 lane[1]:  1:rc_verbs/rxe0:1.1 md[0]     -> addr[1].md[0]/ib/sysdev[255]
#                 lane[2]:  2:rc_mlx5/mlx5_0:1.0 md[1]    -> md[1]/ib/sysdev[0] wireup{ud_mlx5/mlx5_0:1}
#
)"),
            "rc_verbs/rxe0:1,rc_mlx5/mlx5_0:1");
}

TEST(UcxLanes, WhatIsNotUnderstoodIsUnknown) {
  EXPECT_EQ(parse_lanes(""), "unknown");
  EXPECT_EQ(parse_lanes("lane["), "unknown");
  EXPECT_EQ(parse_lanes("lane[0]: 1"), "unknown");
  EXPECT_EQ(parse_lanes("lane[0]: <none>\nlane[1]:"), "unknown");
}

}  // namespace
}  // namespace baton::transport::ucx
