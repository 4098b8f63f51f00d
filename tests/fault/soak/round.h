// One round: requests under way, one process killed and started again, everybody called to account.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/fault/soak/fleet.h"

namespace baton::soak {

/// A process of the fleet, whichever incarnation.
struct Worker {
  Place place;
  std::unique_ptr<Process> process;
  bool ready = false;
  /// A prefiller: it has told the proxy that lives something. Before it notices that the former one
  /// was killed, it begins requests for that one, and fails them.
  bool knows_proxy = true;
};

struct Totals {
  std::uint64_t rounds = 0;
  std::uint64_t requests = 0;
  std::uint64_t identical = 0;
  std::uint64_t failed = 0;  ///< and somebody was told
  std::uint64_t mismatched = 0;
  std::uint64_t lost_pages = 0;
};

class Round {
 public:
  Round(const Fleet& fleet, std::vector<Worker>& workers, std::uint64_t number);

  /// What must not be: empty if all is well.
  const std::vector<std::string>& run(Totals& totals);
  /// "killed decoder 1 after 41 events; …"
  std::string summary() const { return summary_; }

 private:
  /// Whoever still owes an answer, as bits of a rank.
  struct Request {
    RequestPlan plan;
    bool begun = false;
    bool expecting = false;        ///< the proxy has not said kExpected
    bool releasing = false;        ///< the proxy has not said kReleased
    std::uint32_t prefilling = 0;  ///< ranks, as bits
    std::uint32_t claiming = 0;    ///< ranks, as bits
    std::uint32_t claimed = 0;     ///< ranks that had every byte
    std::uint32_t wrong_chunks = 0;
    bool touched = false;  ///< the killed process had to do with it
    bool refused = false;  ///< its prefiller said kResourceExhausted
    Status failure;        ///< the first that was reported
    bool ended() const {
      return begun && !expecting && !releasing && prefilling == 0 && claiming == 0;
    }
  };
  using Clock = std::chrono::steady_clock;

  void begin_requests();
  void begin(std::uint32_t number);
  void await_all();
  void settle();
  void wait_for_event(Clock::time_point deadline);
  void on_message(Worker& worker, const Message& message);
  void on_answer(Worker& worker, Request& request, const Message& message);
  void on_death(Worker& worker);
  void on_broken(Request& request, const Worker& worker);
  void fail(Request& request, std::uint32_t number, const Status& why);
  void kill_and_restart();
  bool concerns(const Place& place, const RequestPlan& plan) const;
  Worker& worker(Part part, std::uint32_t index, std::uint32_t rank);
  void tell(Worker& to, Word word, std::uint32_t number);
  void judge(Totals& totals);

  const Fleet& fleet_;
  std::vector<Worker>& workers_;
  const std::uint64_t number_;
  std::vector<Request> requests_;
  std::uint32_t next_ = 0;
  std::uint32_t events_ = 0;
  std::uint32_t kill_at_ = 0;  ///< an event; 0 once it was done
  std::size_t victim_ = 0;
  bool tells_decoders_ = false;  ///< of failed requests; else their time to live ends them
  std::uint32_t settling_ = 0;
  std::uint64_t lost_pages_ = 0;
  std::vector<std::string> wrongs_;
  std::string summary_;
};

/// Kills nobody: waits until all are there. False if one is not.
bool await_ready(const Fleet& fleet, std::vector<Worker>& workers);

}  // namespace baton::soak
