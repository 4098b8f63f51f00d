// RDMA devices out of a sysfs tree, also out of one that is odd.
#include "src/transport/ucx/rdma_devices.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

namespace baton::transport::ucx {
namespace {

namespace fs = std::filesystem;

constexpr const char* kZero = "0000:0000:0000:0000:0000:0000:0000:0000";
constexpr const char* kLinkLocal = "fe80:0000:0000:0000:5054:00ff:fe12:3456";
constexpr const char* kIpv4 = "0000:0000:0000:0000:0000:ffff:0a00:0007";

class RdmaDevicesTest : public ::testing::Test {
 protected:
  RdmaDevicesTest() {
    std::string name = (fs::temp_directory_path() / "baton-rdma-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~RdmaDevicesTest() override { fs::remove_all(root_); }

  void put(const fs::path& file, std::string_view text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  void put_port(const std::string& port, std::string_view state, std::string_view link_layer) {
    put(port + "/state", state);
    put(port + "/link_layer", link_layer);
  }
  void put_gid(const std::string& port, unsigned index, std::string_view value,
               std::string_view type = "", std::string_view netdev = "") {
    const std::string name = std::to_string(index);
    put(port + "/gids/" + name, value);
    if (!type.empty()) {
      put(port + "/gid_attrs/types/" + name, type);
      put(port + "/gid_attrs/ndevs/" + name, netdev);
    }
  }
  std::vector<RdmaDevice> list() { return list_rdma_devices(root_); }

  fs::path root_;
};

TEST_F(RdmaDevicesTest, WhetherOneOfSomeIsActive) {
  put_port("mlx5_0/ports/1", "1: DOWN\n", "Ethernet\n");
  put_port("mlx5_0/ports/2", "4: ACTIVE\n", "Ethernet\n");
  put_port("mlx5_1/ports/1", "4: ACTIVE\n", "InfiniBand\n");
  for (const char* active : {"", "all", "mlx5_0:2", "mlx5_1:1", "mlx5_0:1,mlx5_1:1"}) {
    EXPECT_TRUE(any_active_among(active, root_)) << active;
  }
  for (const char* none : {"mlx5_0", "mlx5_1", "^mlx5_0:1", "mlx5_0:1", "mlx5_2:1", "mlx5_0:3", ",",
                           ":", "mlx5_1:", "../mlx5_1/ports/1/..:1"}) {
    EXPECT_FALSE(any_active_among(none, root_)) << none;
  }
  EXPECT_THAT(active_ports_among("", root_), ::testing::ElementsAre("mlx5_0:2", "mlx5_1:1"));
  EXPECT_THAT(active_ports_among("mlx5_1:1,mlx5_0:1,mlx5_0:2", root_),
              ::testing::ElementsAre("mlx5_1:1", "mlx5_0:2"));
  put_port("mlx5_1/ports/1", "2: INIT\n", "InfiniBand\n");
  put_port("mlx5_0/ports/2", "1: DOWN\n", "Ethernet\n");
  EXPECT_FALSE(any_active_among("", root_));
}

TEST_F(RdmaDevicesTest, ReadsARocePort) {
  put("mlx5_0/node_type", "1: CA\n");
  put("mlx5_0/fw_ver", "28.39.1002\n");
  fs::create_directory(root_ / "mlx5_0/device");
  fs::create_symlink("../../../bus/pci/drivers/mlx5_core", root_ / "mlx5_0/device/driver");
  const std::string port = "mlx5_0/ports/1";
  put_port(port, "4: ACTIVE\n", "Ethernet\n");
  put(port + "/phys_state", "5: LinkUp\n");
  put(port + "/rate", "100 Gb/sec (4X EDR)\n");
  put(port + "/lid", "0x0\n");
  put_gid(port, 10, kIpv4, "RoCE v2\n", "eth2\n");
  put_gid(port, 0, kLinkLocal, "IB/RoCE v1\n", "eth2\n");
  put_gid(port, 2, kZero, "IB/RoCE v1\n", "eth2\n");

  const auto devices = list();
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].name, "mlx5_0");
  EXPECT_EQ(devices[0].node_type, "CA");
  EXPECT_EQ(devices[0].driver, "mlx5_core");
  EXPECT_EQ(devices[0].firmware, "28.39.1002");
  ASSERT_EQ(devices[0].ports.size(), 1U);
  const RdmaPort& read = devices[0].ports[0];
  EXPECT_EQ(read.number, 1U);
  EXPECT_EQ(read.state, "ACTIVE");
  EXPECT_EQ(read.physical_state, "LinkUp");
  EXPECT_EQ(read.link_layer, "Ethernet");
  EXPECT_EQ(read.rate, "100 Gb/sec (4X EDR)");
  EXPECT_EQ(read.lid, "0x0");
  EXPECT_EQ(read.netdev, "eth2");
  ASSERT_EQ(read.gids.size(), 2U) << "the one of zeros is none";
  EXPECT_EQ(read.gids[0].index, 0U);
  EXPECT_EQ(read.gids[0].type, GidType::kRoceV1);
  EXPECT_TRUE(read.gids[0].is_link_local());
  EXPECT_FALSE(read.gids[0].is_ipv4());
  EXPECT_EQ(read.gids[1].index, 10U);
  EXPECT_EQ(read.gids[1].value, kIpv4);
  EXPECT_EQ(read.gids[1].type, GidType::kRoceV2);
  EXPECT_TRUE(read.gids[1].is_ipv4());
  EXPECT_FALSE(read.gids[1].is_link_local());
  EXPECT_TRUE(any_active_port(devices));
}

TEST_F(RdmaDevicesTest, SaysInfinibandOfTheSameTypeOnAnotherLinkLayer) {
  put_port("ib0/ports/1", "4: ACTIVE", "InfiniBand");
  put_gid("ib0/ports/1", 0, kLinkLocal, "IB/RoCE v1");
  const auto devices = list();
  EXPECT_EQ(devices.at(0).ports.at(0).gids.at(0).type, GidType::kIb);
  EXPECT_EQ(devices[0].ports[0].netdev, "unknown");
  EXPECT_TRUE(any_active_port(devices));
}

TEST_F(RdmaDevicesTest, FindsTheNetdevOfASoftwareDeviceAndOfAnAdapter) {
  put("rxe0/parent", "veth0\n");
  put_port("rxe0/ports/1", "4: ACTIVE", "Ethernet");
  put("mlx5_0/device/net/eth5/mtu", "9000");
  put_port("mlx5_0/ports/1", "1: DOWN", "Ethernet");
  const auto devices = list();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].ports.at(0).netdev, "eth5");
  EXPECT_EQ(devices[1].ports.at(0).netdev, "veth0");
}

TEST_F(RdmaDevicesTest, OffersNothingWithoutAnActivePortOfVerbsThatUcxHas) {
  EXPECT_FALSE(any_active_port(list_rdma_devices(root_ / "nowhere")));
  EXPECT_FALSE(any_active_port(list()));
  put_port("a/ports/1", "1: DOWN", "Ethernet");
  put_port("b/ports/1", "5: ACTIVE_DEFER", "InfiniBand");
  put_port("efa/ports/1", "4: ACTIVE", "Unspecified");
  put("iwarp/node_type", "4: RNIC");
  put_port("iwarp/ports/1", "4: ACTIVE", "Ethernet");
  fs::create_directories(root_ / "empty/ports/1");
  EXPECT_EQ(list().size(), 5U);
  EXPECT_FALSE(any_active_port(list()));
  put_port("a/ports/2", "4: ACTIVE", "Ethernet");
  EXPECT_TRUE(any_active_port(list()));
}

TEST_F(RdmaDevicesTest, SaysUnknownOfWhatIsMissing) {
  fs::create_directories(root_ / "bare/ports/1/gids");
  const auto devices = list();
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].node_type, "unknown");
  EXPECT_EQ(devices[0].driver, "unknown");
  const RdmaPort& port = devices[0].ports.at(0);
  for (const std::string& text :
       {port.state, port.physical_state, port.link_layer, port.rate, port.lid, port.netdev}) {
    EXPECT_EQ(text, "unknown");
  }
  EXPECT_TRUE(port.gids.empty());
}

TEST_F(RdmaDevicesTest, SurvivesOddTrees) {
  put("a_file_not_a_device", "hello");
  fs::create_symlink("loop", root_ / "loop");
  fs::create_directories(root_ / "evil\x1b[2J");
  const std::string port = "mlx5_0/ports/1";
  put_port(port, std::string(100'000, 'x'), "Ether\x1b[2Jnet\nsecond line");
  put(port + "/phys_state", "\n");
  put(port + "/lid", std::string("\0\xff", 2));
  fs::create_directories(root_ / port / "rate");
  for (const char* name : {"0", "-1", "4294967296", "x", "01", " 2"}) {
    fs::create_directories(root_ / "mlx5_0/ports" / name);
  }
  put_gid(port, 0, kLinkLocal, "RoCE v9", "eth0");
  put_gid(port, 1, "fe80:0000:0000:0000:5054:00ff:fe12:345g");
  put_gid(port, 2, "fe80::1");
  put_gid(port, 3, "fe80 0000 0000 0000 5054 00ff fe12 3456");
  put_gid(port, 4, std::string(39, '0'));
  ASSERT_EQ(::mkfifo((root_ / port / "gids/5").c_str(), 0600), 0);

  const auto devices = list();
  ASSERT_EQ(devices.size(), 1U);
  ASSERT_EQ(devices[0].ports.size(), 2U);
  EXPECT_EQ(devices[0].ports[0].number, 0U);
  const RdmaPort& read = devices[0].ports[1];
  EXPECT_EQ(read.number, 1U);
  EXPECT_LT(read.state.size(), 256U);
  EXPECT_EQ(read.link_layer, "Ether?[2Jnet");
  EXPECT_EQ(read.physical_state, "unknown");
  EXPECT_EQ(read.lid, "??");
  EXPECT_EQ(read.rate, "unknown");
  ASSERT_EQ(read.gids.size(), 1U);
  EXPECT_EQ(read.gids[0].type, GidType::kUnknown);
}

TEST_F(RdmaDevicesTest, EndsOnATreeWithoutEnd) {
  for (unsigned device = 0; device < 300; ++device) {
    fs::create_directory(root_ / fmt::format("d{}", device));
  }
  const std::string port = "d0/ports/1";
  for (unsigned gid = 0; gid < 1100; ++gid) {
    put_gid(port, gid, kLinkLocal);
  }
  const auto devices = list();
  EXPECT_EQ(devices.size(), 256U);
  EXPECT_EQ(devices.at(0).ports.at(0).gids.size(), 1024U);
}

}  // namespace
}  // namespace baton::transport::ucx
