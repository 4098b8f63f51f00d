// Who has to go when the room is full (P8).
#include "src/transport/waiting_room.h"

#include <gtest/gtest.h>

#include <string>

namespace baton::transport {
namespace {

using Room = WaitingRoom<std::string>;

TEST(WaitingRoom, NobodyHasToLeaveAnEmptyRoom) {
  EXPECT_FALSE(Room().who_has_to_go().has_value());
}

TEST(WaitingRoom, AmongEqualsTheOldestGoes) {
  Room room;
  const auto first = room.enter("a");
  const auto second = room.enter("b");
  room.enter("c");
  EXPECT_EQ(room.who_has_to_go(), first);
  room.leave(first);
  EXPECT_EQ(room.who_has_to_go(), second);
}

TEST(WaitingRoom, TheMostCrowdedSourcePays) {
  Room room;
  room.enter("honest");
  const auto oldest_of_flood = room.enter("flood");
  for (int i = 0; i < 10; ++i) {
    room.enter("flood");
  }
  EXPECT_EQ(room.who_has_to_go(), oldest_of_flood);
}

TEST(WaitingRoom, AFloodNeverPushesOutAnother) {
  constexpr std::size_t kRoom = 8;
  Room room;
  const auto honest = room.enter("honest");
  for (int i = 0; i < 1000; ++i) {
    room.enter("flood");
    if (room.size() > kRoom) {
      const auto out = room.who_has_to_go();
      ASSERT_TRUE(out.has_value());
      ASSERT_NE(*out, honest);
      room.leave(*out);
    }
  }
  EXPECT_EQ(room.size(), kRoom);
}

}  // namespace
}  // namespace baton::transport
