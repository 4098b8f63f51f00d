// The world of fuzz_sender and fuzz_receiver: one honest process, and one that says anything.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/log.h"
#include "src/wire/codec.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/script.h"
#include "tests/support/handoff.h"

namespace baton::fuzz {

/// Of every buffer.
inline constexpr std::uint32_t kPages = 4;

/// Enough for what a word sets off: connections are made by timers.
inline constexpr Duration kReaction = std::chrono::milliseconds(1);

inline Epoch epoch_of(std::uint8_t byte) {
  Epoch epoch;
  epoch.bytes.fill(byte);
  return epoch;
}
/// The one that says anything.
inline Epoch hostile_epoch() {
  return epoch_of(0x11);
}
/// Stands in inputs for the honest process's epoch, which is another one each time.
inline Epoch placeholder_epoch() {
  return epoch_of(0x22);
}

inline std::string fill_in(std::string bytes, const Epoch& honest) {
  const Epoch placeholder = placeholder_epoch();
  for (std::size_t at = bytes.find(placeholder.view()); at != std::string::npos;
       at = bytes.find(placeholder.view(), at + honest.bytes.size())) {
    bytes.replace(at, honest.bytes.size(), honest.view());
  }
  return bytes;
}

/// No log, and a failed expectation of the test support ends the program.
inline void set_up_once() {
  static const bool done = [] {
    log::set_level(log::Level::kOff);
    GTEST_FLAG_SET(break_on_failure, true);
    return true;
  }();
  static_cast<void>(done);
}

/// An honest process sends nothing that can't be understood.
inline wire::Message understood(std::string_view payload) {
  auto message = wire::decode(payload, {});
  require(message.ok(), "what an honest process says is understood");
  return *std::move(message);
}

inline Duration time_of(const Step& step) {
  return std::chrono::milliseconds(250) * static_cast<int>(step.bytes.size());
}

}  // namespace baton::fuzz
