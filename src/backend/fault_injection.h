// Deliberate damage, for tests and the demo's failing controls. Not installed.
#pragma once

#include "src/receiver/config.h"
#include "src/sender/config.h"

namespace baton {

/// Hooks run on the progress thread. PdBackend::create takes them out of here.
struct FaultInjection {
  sender::FaultHooks sender;
  receiver::FaultHooks receiver;
};

}  // namespace baton
