// Who may write how much to one receiver, and who is next.
#include "src/sender/write_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace baton::sender {
namespace {

using ::testing::ElementsAre;

class WriteWindowTest : public ::testing::Test {
 protected:
  /// A put of that name that always has more to write.
  void ask(const std::string& name, std::size_t bytes) {
    if (window_.enter(bytes, [this, name, bytes] { ask(name, bytes); })) {
      began_.push_back(name);
    }
  }
  WriteWindow window_{100};
  std::vector<std::string> began_;
};

TEST_F(WriteWindowTest, BoundsWhatIsUnderWay) {
  ask("a", 60);
  ask("b", 40);
  ask("c", 1);
  EXPECT_THAT(began_, ElementsAre("a", "b"));
  EXPECT_EQ(window_.used_bytes(), 100U);
  window_.leave(40);
  EXPECT_THAT(began_, ElementsAre("a", "b", "c"));
  EXPECT_EQ(window_.used_bytes(), 61U);
}

TEST_F(WriteWindowTest, WhatIsLargerThanTheWindowGoesAlone) {
  ask("a", 500);
  ask("b", 1);
  EXPECT_THAT(began_, ElementsAre("a"));
  window_.leave(500);
  EXPECT_THAT(began_, ElementsAre("a", "b"));
}

TEST_F(WriteWindowTest, NobodyOvertakesWhoWaits) {
  ask("a", 80);
  ask("large", 50);
  ask("small", 10);
  EXPECT_THAT(began_, ElementsAre("a")) << "it would fit, but is not its turn";
  window_.leave(80);
  EXPECT_THAT(began_, ElementsAre("a", "large", "small"));
}

TEST_F(WriteWindowTest, WhoseTurnDoesNotFitYetStaysInFront) {
  ask("a", 50);
  ask("b", 50);
  ask("large", 90);
  ask("small", 10);
  window_.leave(50);
  EXPECT_THAT(began_, ElementsAre("a", "b"));
  window_.leave(50);
  EXPECT_THAT(began_, ElementsAre("a", "b", "large", "small"));
}

TEST_F(WriteWindowTest, WhoHasWaitedAndEndedHoldsNobodyUp) {
  ask("a", 100);
  EXPECT_FALSE(window_.enter(50, [] {}));  // Its put has ended by its turn.
  ask("b", 50);
  window_.leave(100);
  EXPECT_THAT(began_, ElementsAre("a", "b"));
}

TEST_F(WriteWindowTest, ATurnIsForOneSlice) {
  ask("a", 100);
  std::vector<bool> entered;
  EXPECT_FALSE(window_.enter(10, [&] {
    entered.push_back(window_.enter(10, [] {}));
    entered.push_back(window_.enter(10, [] {}));
  }));
  ask("b", 10);
  window_.leave(100);
  EXPECT_THAT(entered, ElementsAre(true, false)) << "b is next";
  EXPECT_THAT(began_, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace baton::sender
