// Calls of the observer, each in a turn of its own.
#pragma once

#include <string>
#include <utility>

#include "src/base/lifetime.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// Tells the observer in later turns, and nothing more once this object is gone.
class ObserverPost {
 public:
  explicit ObserverPost(Scheduler& scheduler) : scheduler_(scheduler) {}

  void set(TransportObserver* observer) { observer_ = observer; }

  void writer_connected(const PeerId& peer) {
    tell([peer](TransportObserver& observer) { observer.on_writer_connected(peer); });
  }
  void writer_gone(const PeerId& peer, Status why) {
    tell([peer, why = std::move(why)](TransportObserver& observer) {
      observer.on_writer_gone(peer, why);
    });
  }
  void receiver_gone(const PeerId& peer, Status why) {
    tell([peer, why = std::move(why)](TransportObserver& observer) {
      observer.on_receiver_gone(peer, why);
    });
  }
  void writer_says(const PeerId& peer, std::string message) {
    tell([peer, message = std::move(message)](TransportObserver& observer) {
      observer.on_writer_says(peer, message);
    });
  }
  void receiver_says(const PeerId& peer, std::string message) {
    tell([peer, message = std::move(message)](TransportObserver& observer) {
      observer.on_receiver_says(peer, message);
    });
  }

 private:
  template <typename Call>
  void tell(Call call) {
    scheduler_.post(lifetime_.guard([this, call = std::move(call)] {
      if (observer_ != nullptr) {
        call(*observer_);
      }
    }));
  }

  Scheduler& scheduler_;
  TransportObserver* observer_ = nullptr;
  Lifetime lifetime_;
};

}  // namespace baton::transport
