#include "weft/run/network_file.h"

#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "weft/base/error.h"
#include "weft/io/atomic_file.h"

#include "job_values.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* format_name = "weft network";
constexpr int format_version = 1;
constexpr std::size_t most_bytes = 4'000'000;
constexpr int most_depth = 10;

ordered_json of_time(const RepeatedTime& t) {
  return {{"median", t.median}, {"least", t.least}, {"most", t.most}};
}

ordered_json of_link(const LinkSpeed& link) {
  return {{"latency", link.latency}, {"bandwidth", link.bandwidth}, {"error", link.error}};
}

ordered_json rows_of(const NetworkBench& bench) {
  ordered_json rows = ordered_json::array();
  for (const NetworkRow& r : bench.rows) {
    rows.push_back({{"scope", scope_name(r.scope)},
                    {"pattern", pattern_name(r.pattern)},
                    {"ranks", r.ranks},
                    {"groups", r.groups},
                    {"bytes", r.bytes},
                    {"bytes_sent", r.sent()},
                    {"iterations", r.iterations},
                    {"seconds", of_time(r.seconds)},
                    {"algorithm_bandwidth", r.algorithm_bandwidth()},
                    {"bus_bandwidth", r.bus_bandwidth()}});
  }
  return rows;
}

ordered_json latencies_of(const NetworkBench& bench) {
  ordered_json rows = ordered_json::array();
  for (const NetworkLatency& l : bench.latencies) {
    rows.push_back({{"scope", scope_name(l.scope)},
                    {"path", l.path},
                    {"bytes", 8},
                    {"pairs", l.pairs},
                    {"seconds", of_time(l.seconds)},
                    {"slowest_pair", l.slowest}});
  }
  return rows;
}

ordered_json hosts_of(const HostMap& hosts) {
  ordered_json list = ordered_json::array();
  const std::vector<int> ranks = hosts.ranks_on();
  for (std::size_t h = 0; h < ranks.size(); ++h) {
    list.push_back({{"name", hosts.names[h]}, {"ranks", ranks[h]}});
  }
  return list;
}

/// Reads values of an object; what is wrong becomes an InputError with file and key.
class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  [[nodiscard]] bool has(const char* key) const { return object_.contains(key); }
  [[nodiscard]] Reader table(const char* key) const {
    return {value(key, &json::is_object, "an object"), where_ + ", " + key};
  }
  [[nodiscard]] const json& list(const char* key) const {
    return value(key, &json::is_array, "a list");
  }
  [[nodiscard]] std::string text(const char* key) const {
    return value(key, &json::is_string, "text").get<std::string>();
  }
  [[nodiscard]] double number(const char* key, double least) const {
    const auto n = value(key, &json::is_number, "a number").get<double>();
    if (!(std::isfinite(n) && n >= least)) {
      fail_input("{}: \"{}\" is {}: expected a number from {:g} on; is the file damaged?", where_,
                 key, n, least);
    }
    return n;
  }

 private:
  const json& value(const char* key, bool (json::*is)() const noexcept, const char* kind) const {
    const auto at = object_.find(key);
    if (at == object_.end()) {
      fail_input("{}: \"{}\" is missing; is the file damaged?", where_, key);
    }
    if (!((*at).*is)()) {
      fail_input("{}: \"{}\" is not {}; is the file damaged?", where_, key, kind);
    }
    return *at;
  }

  const json& object_;
  std::string where_;
};

LinkSpeed link_of(const Reader& figures, const char* scope) {
  const Reader link = figures.table(scope);
  constexpr double least_bandwidth = 1;  // byte per second: more than 0
  return {link.number("latency", 0), link.number("bandwidth", least_bandwidth),
          link.number("error", 0)};
}

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::vector<NetworkFit> fit_network(const NetworkBench& bench) {
  std::vector<NetworkFit> fits;
  for (const NetworkScope scope : {NetworkScope::node, NetworkScope::network, NetworkScope::all}) {
    for (const NetworkPattern pattern : network_patterns) {
      std::vector<TransferTime> times;
      for (const NetworkRow& row : bench.rows) {
        if (row.scope != scope || row.pattern != pattern) continue;
        times.push_back({row.sent(), row.seconds.median});
      }
      if (const auto fit = fit_link(times)) fits.push_back({scope, pattern, *fit});
    }
  }
  return fits;
}

void write_network_file(const fs::path& path, const NetworkReport& report) {
  ordered_json fits = ordered_json::array(), figures = ordered_json::object();
  for (const NetworkFit& f : fit_network(report.bench)) {
    ordered_json entry = of_link(f.fit);
    fits.push_back({{"scope", scope_name(f.scope)},
                    {"pattern", pattern_name(f.pattern)},
                    {"latency", f.fit.latency},
                    {"bandwidth", f.fit.bandwidth},
                    {"error", f.fit.error}});
    if (f.pattern == NetworkPattern::all_to_all && f.scope != NetworkScope::all) {
      figures[scope_name(f.scope)] = std::move(entry);
    }
  }
  if (report.forward_speed) figures["flops"] = *report.forward_speed;
  const ordered_json file{
      {"format", format_name},
      {"version", format_version},
      {"weft", WEFT_VERSION},
      {"date", report.date},
      {"device", device_name(report.device)},
      {"device_name", report.device_name},
      {"transport", report.transport},
      {"mpi", report.mpi},
      {"ranks", report.hosts.host.size()},
      {"hosts", hosts_of(report.hosts)},
      {"repeats", report.options.repeats},
      {"warm_up", report.options.warm_up},
      {"units", "seconds, bytes, bytes per second; FLOP/s per rank"},
      {"formulas",
       {{"all-to-all",
         "bytes: a rank's send buffer, of which n - 1 of n parts are sent; algorithm_bandwidth = "
         "bytes / time, bus_bandwidth = algorithm_bandwidth (n - 1) / n"},
        {"halo",
         "bytes: to each neighbour in a row of n ranks; algorithm_bandwidth = bus_bandwidth = "
         "min(2, n - 1) bytes / time"},
        {"ring",
         "bytes: to the next rank of a circle; algorithm_bandwidth = bus_bandwidth = bytes / "
         "time"},
        {"latencies", "half the time of a round trip"},
        {"fits",
         "time = latency + bytes_sent / bandwidth by least squares of relative residuals; error: "
         "their root mean square"}}},
      {"figures", figures},
      {"fits", fits},
      {"latencies", latencies_of(report.bench)},
      {"rows", rows_of(report.bench)}};
  AtomicPath target(path);
  std::ofstream out(target.temporary(), std::ios::binary);
  out << file.dump(1) << '\n';
  out.close();
  if (!out) fail("{}: cannot be written", path.string());
  target.commit();
}

std::string read_network_text(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    fail_input("network: {}: no such file: name one that weft bench-net -o has written",
               path.string());
  }
  std::ifstream in(path, std::ios::binary);
  std::string text(most_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) {
    fail_input("network: {}: cannot be read", path.string());
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most_bytes) {
    fail_input("network: {}: more than {} bytes, which no file of weft bench-net has",
               path.string(), most_bytes);
  }
  return text;
}

MeasuredNetwork network_figures(const std::string& text, const fs::path& path, DeviceKind device) {
  bool shallow = true;
  const auto look = [&](int depth, json::parse_event_t, const json&) {
    shallow = shallow && depth <= most_depth;
    return shallow;
  };
  const json file = json::parse(text, look, /*allow_exceptions=*/false);
  const std::string where = "network: " + path.string();
  if (!shallow || !file.is_object() || file.value("format", json()) != format_name) {
    fail_input("{}: not a network file: name one that weft bench-net -o has written", where);
  }
  const Reader root(file, where);
  if (const double version = root.number("version", 1); version != format_version) {
    fail_input("{}: of version {:g}, and this weft reads version {}: measure again with this weft",
               where, version, format_version);
  }
  const std::string measured_on = root.text("device");
  if (measured_on != device_name(device)) {
    fail_input(
        "{}: measured between ranks on {}, and this job computes on {}: run weft bench-net "
        "--device {} there, or choose the job's --device",
        where, printable(measured_on, 40), device_name(device), device_name(device));
  }
  const std::string date = root.text("date");
  const double ranks = root.number("ranks", 2);
  MeasuredNetwork made;
  made.source = fmt::format("{}, {}, {:g} ranks of {}", path.filename().string(),
                            printable(date.substr(0, date.find('T')), 40), ranks,
                            plural(root.list("hosts").size(), "host"));
  const Reader figures = root.table("figures");
  if (figures.has("node")) made.node = link_of(figures, "node");
  if (figures.has("network")) made.network = link_of(figures, "network");
  if (figures.has("flops")) made.flops = figures.number("flops", 1);
  if (!made.node && !made.network) {
    fail_input("{}: has no figures, neither within a node nor between nodes: measure again", where);
  }
  return made;
}

}  // namespace weft
