// Large puts over TCP, against bare sockets.
#include "tools/bench/put_cases.h"

namespace baton::bench {

void run_put_tcp_cases(Run& run) {
  if (!run.begin("put_tcp_large")) {
    return;
  }
  const LargePut put(run);
  BatonPair pair(run, put.settings("tcp", "off"));
  const auto receiver = run.start("raw-tcp-receiver", "raw_tcp's receiver", put.buffer());
  Json arguments = put.settings("tcp", "off");
  arguments.update(receiver->started());
  const auto sender = run.start("raw-tcp-sender", "raw_tcp's sender", arguments);
  CaseResult result;
  result.name = "put_tcp_large";
  result.reference_name = "raw_tcp";
  result.unit = "GB/s";
  result.target = 0.92;
  result.settings = put.settings("tcp", "off");
  result.settings["raw_tcp"] = sender->started();
  run.measure(
      result, {&pair.sender(), &pair.receiver(), sender.get(), receiver.get()}, true,
      [&] { return put.gbps(pair.pass(put.chunks_each(), put.times())); },
      [&] {
        const double us = sender->call("pass").at("us").get<double>();
        receiver->call("nothing");
        return put.gbps(us);
      });
  pair.check_contents(put.chunks_each());
  run.note("raw_tcp", result.reference, "GB/s");
  run.finish(std::move(result));
}

}  // namespace baton::bench
