#pragma once
// Laws of speed-up fitted to measured times. Pure functions, no MPI, no files.
//
//   amdahl    S(N) = N / (1 + a (N - 1))
//   usl       S(N) = N / (1 + sigma (N - 1) + kappa N (N - 1)), sigma, kappa >= 0
//             (universal scalability law: N. Gunther, "Guerrilla Capacity Planning", 2007)
//   exchange  T(N) = serial + parallel / N + bytes(N) / bandwidth, all >= 0, with the bytes that
//             the busiest rank sent and a bandwidth that was measured, or else is fitted
//
// The first is Amdahl's law with the serial fraction a: of one rank's time T(1) the part a is not
// shared and the rest is, so T(N) = T(1) (a + (1 - a) / N) = T(1) (1 + a (N - 1)) / N, and
// S(N) = T(1) / T(N). S(1) = 1, S grows to 1 / a. The value that Karp and Flatt (CACM 33(5), 1990)
// take from one N, (1/S - 1/N) / (1 - 1/N), is the same a solved for: where it rises with N, what
// is lost grows with N (exchange), where it is constant the law holds. Eight ranks with a = 0.15
// give 8 / (1 + 0.15 * 7) = 3.90; the 4.7 that can be read for it is no value of this law.
//
// Weak scaling: a run on N ranks has the work W(N) (1 for the smallest); the laws hold for the time
// per work, S(N) = W(N) T(1) / T(N).
//
// How it is fitted. A point is the median of the repeats on one number of ranks, so one bad run of
// three does not count. All laws are linear in suitable parameters (T(1), T(1) a, ...). Noise
// of times is a fraction of them, so least squares is on relative residuals, (measured - fitted) /
// fitted. A bad point is looked for by leaving each out in turn: it is set aside when the others'
// fit misses it by more than chance does (externally studentised residual, 5 % level, Bonferroni)
// under every law with points to spare, and no law explains all points within the scatter of the
// repeats. Neither Huber's weights nor Theil and Sen's pairs would do: with 4 to 8 points the last
// N pulls the line to itself whatever its weight, and half of the pairs may hold the bad one. At
// most a quarter of the points is set aside, none of fewer than four, and none by noise that is
// known from fewer than two degrees of freedom.
//
// Intervals (95 %) and bands are quantiles of draws from the multivariate t-distribution of the
// linear parameters, with a fixed seed. Its scale is the scatter of the points around the law,
// pooled with that of the repeats unless the points scatter significantly more (then the law is not
// exact, and more repeats would not help). Draws outside of a law's bounds are made again. Bands
// are those of the law, not of a single run.
//
// `aic` is AICc on the runs: n ln(RSS / n) + 2k + 2k (k + 1) / (n - k - 1), with k counting the
// variance too. Laws within 2 of each other explain the data equally well.

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

/// One timed run.
struct ScalingRun {
  int ranks = 1;
  double seconds = 0;
  double work = 1;            // relative to the smallest number of ranks (1 for strong scaling)
  double exchange_bytes = 0;  // sent by the busiest rank
  std::string source = {};    // file of the record
};

/// Runs of the same thing on different numbers of ranks, in any order, any number of repeats each.
struct ScalingSeries {
  std::string name;  // "whole", "denoise", "decode", ...
  bool weak = false;
  std::vector<ScalingRun> runs;
  std::optional<double> bandwidth = {};  // bytes/s and rank, measured; for the exchange law
  std::vector<std::string> notes = {};   // what a reader must know: first of the fit's warnings
};

/// A value and its 95 % interval; infinite ends where the runs say nothing of their noise (as many
/// points as parameters, and no repeats).
struct Estimate {
  double value = 0, low = 0, high = 0;
};

/// All runs with one number of ranks together.
struct ScalingPoint {
  int ranks = 1;
  int repeats = 0;
  double seconds = 0;                // median
  double spread = 0;                 // median absolute deviation x 1.4826; 0 for a single run
  double work = 1;                   // mean of the runs
  double exchange_bytes = 0;         // mean of the runs
  double speedup = 0;                // T(1) work / T(N); without a run on one rank, the fit's T(1)
  double efficiency = 0;             // speedup / N
  std::optional<double> karp_flatt;  // N > 1
  bool outlier = false;              // set aside: the laws are fitted to the others
};

enum class Law { amdahl, usl, exchange };
/// "amdahl", "usl", "exchange".
const char* name_of(Law law);
/// "S(N) = N / (1 + a (N - 1))", ...
const char* formula_of(Law law);

/// (1/S - 1/N) / (1 - 1/N); N > 1.
double karp_flatt(double speedup, double ranks);

/// A positive quantity of N known at some N: straight lines between in log-log, and beyond the ends
/// with the slope of the last two (held within -1 to 1; 0 for a single one).
class RankCurve {
 public:
  RankCurve() = default;
  /// Pairs (N, value) with ascending N; those with value 0 are left out.
  explicit RankCurve(std::vector<std::pair<double, double>> known);
  [[nodiscard]] double at(double ranks) const;  // 0 when nothing is known

 private:
  std::vector<std::pair<double, double>> logs_;
};

struct LawFit {
  Law law = Law::amdahl;
  Estimate one_rank_seconds;  // T(1) of the fit, for work 1
  // amdahl: a; usl: sigma, kappa; exchange: serial_seconds, parallel_seconds, bandwidth (bytes/s;
  // infinite when exchange costs nothing; low = high = value when it was given).
  std::vector<std::pair<std::string, Estimate>> parameters;
  std::vector<double> residuals;  // by point: (measured - fitted) / fitted seconds
  double rms_residual = 0;        // of the points that were not set aside
  double aic = 0;                 // NaN: fewer runs than the formula needs (parameters + 3)
  bool lack_of_fit = false;       // points scatter around the law more than their repeats do (5 %)

  /// Seconds on N ranks (weak: for the work of N ranks), and speed-up against one rank, with the
  /// band of the fit. N >= 1. Negative a counts as 0: continued, it would give negative seconds.
  [[nodiscard]] Estimate seconds(double ranks) const;
  [[nodiscard]] Estimate speedup(double ranks) const;

  // Parameters of the fit and the draws around them that the bands are made of, each
  // {T1, a}, {T1, sigma, kappa} or {T1, serial, parallel, seconds per byte}.
  std::vector<double> best;
  std::vector<std::vector<double>> draws;
  RankCurve work, bytes;  // of the runs; bytes for the exchange law alone
};

struct ScalingFit {
  std::string name;
  bool weak = false;
  std::vector<ScalingPoint> points;   // ascending ranks
  std::vector<LawFit> laws;           // those that the data can carry, best (lowest AICc) first
  std::vector<std::string> warnings;  // whole sentences
  [[nodiscard]] const LawFit* law(Law law) const;  // null when it was not fitted
};

/// InputError: no runs; ranks below 1, or times or work that are not positive numbers, each named
/// with its source. With a single N there are points but no laws.
ScalingFit fit_scaling(const ScalingSeries& series);

}  // namespace weft
