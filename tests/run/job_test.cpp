#include "weft/run/job.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

namespace weft {
namespace {

const JobKey& key(const std::string& name) {
  const auto found =
      std::ranges::find_if(job_keys(), [&](const JobKey& k) { return k.name == name; });
  WEFT_ASSERT(found != job_keys().end(), "no key {}", name);
  return *found;
}

// "" when set() takes the text, else what it says.
std::string problem_of(const std::string& name, const std::string& text) {
  Job job;
  try {
    key(name).set(job, text);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

Job complete_job() {
  Job job;
  job.model = "model";
  job.output = "clip.mp4";
  job.prompt = "a river";
  return job;
}

std::vector<std::string> problems_of(const Job& job) {
  Problems problems;
  check_job(job, problems);
  return problems.list();
}

// ---- one value -------------------------------------------------------------------------------

struct Rejected {
  const char* key;
  const char* text;
  const char* message;
};

TEST(Job, RejectedValueSaysWhatWasExpected) {
  const std::vector<Rejected> rejected{
      {"frames", "80", "frames: 80 is not of the form 4 k + 1: use 77 or 81"},
      {"frames", "0", "frames: 0 is too small: use 1 or more"},
      {"frames", "-3", "frames: -3 is too small: use 1 or more"},
      {"frames", "2", "frames: 2 is not of the form 4 k + 1: use 1 or 5"},
      {"frames", "81.0", "frames: \"81.0\" is not a whole number"},
      {"width", "850", "width: 850 is not a multiple of 16: use 848 or 864"},
      {"height", "8", "height: 8 is too small: use 16 or more"},
      {"width", "16400", "width: 16400 is too large: use at most 16384"},
      {"width", "832px", "width: \"832px\" is not a whole number"},
      {"width", " 832", "width: \" 832\" is not a whole number"},
      {"width", "", "width: \"\" is not a whole number"},
      {"height", "9223372036854775808",
       "height: 9223372036854775808 is out of range: expected a whole number"},
      {"steps", "0", "steps: 0 is outside 1 ... 1000"},
      {"steps", "1001", "steps: 1001 is outside 1 ... 1000"},
      {"steps", "4294967297", "steps: 4294967297 is outside 1 ... 1000"},
      {"crf", "52", "crf: 52 is outside 0 ... 51"},
      {"threads", "-1", "threads: -1 is outside 0 ... 1024"},
      {"seed", "-1", "seed: \"-1\" is not a whole number from 0 to 18446744073709551615"},
      {"seed", "18446744073709551616",
       "seed: 18446744073709551616 is out of range: expected a whole number from 0 to "
       "18446744073709551615"},
      {"guidance-scale", "nan", "guidance-scale: nan is not a finite number"},
      {"guidance-scale", "inf", "guidance-scale: inf is not a finite number"},
      {"guidance-scale", "-0.5", "guidance-scale: -0.5 is negative: use 0 or more"},
      {"guidance-scale", "5,0", "guidance-scale: \"5,0\" is not a decimal number"},
      {"guidance-scale-2", "1e999",
       "guidance-scale-2: 1e999 is out of range: expected a decimal number"},
      {"flow-shift", "0", "flow-shift: 0 is not greater than 0"},
      {"fps", "-16", "fps: -16 is not greater than 0"},
      {"boundary-ratio", "1.01", "boundary-ratio: 1.01 is outside 0 ... 1"},
      {"overlap", "0.95", "overlap: 0.95 is outside 0 ... 0.9"},
      {"sampler", "unipcc", "sampler: \"unipcc\" is not one of unipc, euler: did you mean unipc?"},
      {"sampler", "heun", "sampler: \"heun\" is not one of unipc, euler"},
      {"noise", "Torch", "noise: \"Torch\" is not one of torch, philox: did you mean torch?"},
      {"decode", "tile", "decode: \"tile\" is not one of exact, tiles: did you mean tiles?"},
      {"device", "cdua", "device: \"cdua\" is not one of auto, cpu, cuda: did you mean cuda?"},
      {"codec", "x265", "codec: \"x265\" is not one of auto, x264, ffv1: did you mean x264?"},
      {"text-cleaning", "fixed", "text-cleaning: \"fixed\" is not one of basic, fix"},
      {"window", "832x480",
       "window: \"832x480\" is not auto, none or WIDTHxHEIGHTxFRAMES such as 832x480x81"},
      {"window", "832x480x80",
       "window: in 832x480x80: 80 is not of the form 4 k + 1: use 77 or 81"},
      {"window", "840x480x81",
       "window: in 840x480x81: 840 is not a multiple of 16: use 832 or 848"},
      {"metadata", "yes", "metadata: \"yes\" is not true or false"},
      {"prompt", " \t\n", "prompt: is empty: say what to draw"},
      {"storyboard", "0: a moon", "storyboard: frame 0 does not come after frame 0"},
      {"storyboard", "-4: a moon", "storyboard: frame -4 does not come after frame 0"},
      {"storyboard", "33: a moon | 33: a sun", "storyboard: frame 33 does not come after frame 33"},
      {"storyboard", "33: a moon | 17: a sun", "storyboard: frame 17 does not come after frame 33"},
      {"storyboard", "a moon rises",
       "storyboard: \"a moon rises\" is not FRAME: PROMPT such as 33: a moon rises"},
      {"storyboard", "33: a moon | later: a sun",
       "storyboard: \"later: a sun\" is not FRAME: PROMPT such as 33: a moon rises"},
      {"storyboard", "33.5: a moon",
       "storyboard: \"33.5: a moon\" is not FRAME: PROMPT such as 33: a moon rises"},
      {"storyboard", "33: a moon |",
       "storyboard: \"\" is not FRAME: PROMPT such as 33: a moon rises"},
      {"storyboard", "33: ", "storyboard: the prompt from frame 33 on is empty: say what to draw"},
      {"pix-fmt", "", "pix-fmt: is empty"}};
  for (const Rejected& r : rejected) {
    EXPECT_EQ(problem_of(r.key, r.text), r.message) << r.key << " " << r.text;
  }
}

TEST(Job, TakesTheEdgesOfEveryRange) {
  const std::vector<std::pair<const char*, const char*>> accepted{
      {"frames", "1"},
      {"frames", "81"},
      {"width", "16"},
      {"height", "16384"},
      {"steps", "1"},
      {"steps", "1000"},
      {"seed", "0"},
      {"seed", "18446744073709551615"},
      {"guidance-scale", "0"},
      {"guidance-scale-2", "3.5"},
      {"boundary-ratio", "0"},
      {"boundary-ratio", "1"},
      {"flow-shift", "0.001"},
      {"fps", "23.976"},
      {"overlap", "0"},
      {"overlap", "0.9"},
      {"window", "none"},
      {"window", "832x480x81"},
      {"crf", "0"},
      {"crf", "51"},
      {"threads", "0"},
      {"threads", "1024"},
      {"contact-sheet", "true"},
      {"storyboard", "1: a moon"},
      {"storyboard", "33: a moon: a thin one | 65: 太阳升起"},
      {"metadata", "false"},
  };
  for (const auto& [name, text] : accepted) {
    Job job;
    EXPECT_NO_THROW(key(name).set(job, text)) << name << " " << text;
    EXPECT_EQ(key(name).get(job), text) << name;  // and get() gives back what set() took
  }
}

TEST(Job, RejectedValueLeavesTheJobAlone) {
  Job job;
  job.steps = 7;
  EXPECT_THROW(key("steps").set(job, "0"), InputError);
  EXPECT_EQ(job.steps, 7);
}

TEST(Job, PromptsEndAtTwentyThousandBytes) {
  EXPECT_EQ(problem_of("prompt", std::string(20'000, 'a')), "");
  const char* message = "prompt: is 20001 bytes long: use at most 20000";
  EXPECT_EQ(problem_of("prompt", std::string(20'001, 'a')), message);
  EXPECT_NE(problem_of("negative-prompt", std::string(20'001, 'a')), "");
}

TEST(Job, KeysAreUniqueAndDescribed) {
  std::set<std::string> names;
  for (const JobKey& k : job_keys()) {
    EXPECT_TRUE(names.insert(k.name).second) << k.name;
    EXPECT_NE(std::string(k.help), "") << k.name;
    EXPECT_EQ(std::string(k.metavar).empty(), k.type == JobValue::toggle) << k.name;
  }
}

// Every field of Job is behind a key: defaults go through get() and set() unchanged.
TEST(Job, DefaultsPassTheirOwnRules) {
  const Job defaults = complete_job();
  for (const JobKey& k : job_keys()) {
    const std::string text = k.get(defaults);
    if (text.empty()) continue;
    Job copy = complete_job();
    EXPECT_NO_THROW(k.set(copy, text)) << k.name;
    EXPECT_EQ(k.get(copy), text) << k.name;
  }
}

TEST(Job, ParseSizeTakesThreeNumbersOnly) {
  const std::array<std::int64_t, 3> size{832, 480, 81};
  EXPECT_EQ(parse_size("832x480x81"), size);
  for (const char* text : {"", "832x480", "832x480x81x1", "832x480x", "832x-480x81", "832X480X81",
                           "832x480x81 ", "99999999999999999999x1x1"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

using Scenes = std::vector<std::pair<std::int64_t, std::string>>;

Scenes scenes_of(const std::string& storyboard) {
  Scenes scenes;
  for (const SceneText& s : parse_storyboard(storyboard)) scenes.emplace_back(s.frame, s.prompt);
  return scenes;
}

TEST(Job, ParseStoryboardSplitsAtBarsAndFirstColons) {
  EXPECT_EQ(scenes_of(""), Scenes{});
  EXPECT_EQ(scenes_of(" \n "), Scenes{});
  EXPECT_EQ(scenes_of("33:a moon"), (Scenes{{33, "a moon"}}));
  EXPECT_EQ(scenes_of("  33 :  a moon: a thin one |\n 65: 太阳升起 "),
            (Scenes{{33, "a moon: a thin one"}, {65, "太阳升起"}}));
  EXPECT_THROW(parse_storyboard("33"), InputError);
}

// ---- a whole job -----------------------------------------------------------------------------

TEST(CheckJob, FindsNothingWrongWithACompleteJob) {
  EXPECT_EQ(problems_of(complete_job()), std::vector<std::string>{});
}

TEST(CheckJob, ReportsEveryProblemAtOnce) {
  Job job;
  job.image = "no/such/picture.png";
  job.width = 850;
  job.frames = 80;
  job.steps = 0;
  job.guidance_scale = std::numeric_limits<double>::quiet_NaN();
  job.overlap = 2;
  job.sampler = "unipcc";
  job.storyboard = "33: a moon | 9: a sun";
  job.window = "big";
  const std::vector<std::string> expected{
      "model: missing: name the model's folder",
      "output: missing: name the file to write, such as clip.mp4",
      "image: no/such/picture.png is not a file that can be read",
      "prompt: is empty: say what to draw",
      "storyboard: frame 9 does not come after frame 33",
      "width: 850 is not a multiple of 16: use 848 or 864",
      "frames: 80 is not of the form 4 k + 1: use 77 or 81",
      "steps: 0 is outside 1 ... 1000",
      "guidance-scale: nan is not a finite number",
      "sampler: \"unipcc\" is not one of unipc, euler: did you mean unipc?",
      "window: \"big\" is not auto, none or WIDTHxHEIGHTxFRAMES such as 832x480x81",
      "overlap: 2 is outside 0 ... 0.9"};
  EXPECT_EQ(problems_of(job), expected);
}

// ---- job files -------------------------------------------------------------------------------

class JobFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("weft_job_test.{}", getpid());
    std::filesystem::create_directories(folder_);
    file_ = folder_ / "job.toml";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Reads `text` as a job file; problems come back without the file's name: "3: unknown key ...".
  std::vector<std::string> read(const std::string& text) {
    std::ofstream(file_, std::ios::binary) << text;
    Problems problems;
    read_job_file(file_, job_, problems);
    std::vector<std::string> list = problems.list();
    const std::string prefix = file_.string() + ":";
    for (std::string& problem : list) {
      EXPECT_TRUE(problem.starts_with(prefix)) << problem;
      problem.erase(0, prefix.size());
    }
    return list;
  }

  std::filesystem::path folder_, file_;
  Job job_;
};

TEST_F(JobFile, SetsEveryKindOfValue) {
  EXPECT_EQ(read("# a job\n"
                 "model = \"wan\"\n"
                 "output = \"clips/a.mp4\"\n"
                 "record = \"none\"\n"
                 "prompt = \"\"\"two\nlines\"\"\"\n"
                 "width = 1_280\r\n"
                 "height = 0x2C0\n"
                 "frames = +121\n"
                 "guidance-scale = 5\n"
                 "flow-shift = 3.5e0\n"
                 "seed = 18446744073709551615\n"
                 "sampler = 'euler'\n"
                 "metadata = false"),
            std::vector<std::string>{});
  EXPECT_EQ(job_.model, folder_ / "wan");  // relative to the file, not to the shell
  EXPECT_EQ(job_.output, folder_ / "clips/a.mp4");
  EXPECT_EQ(job_.record, "none");  // a word, not a file
  EXPECT_EQ(job_.prompt, "two\nlines");
  EXPECT_EQ(job_.width, 1280);
  EXPECT_EQ(job_.height, 704);
  EXPECT_EQ(job_.frames, 121);
  EXPECT_EQ(job_.guidance_scale, 5);
  EXPECT_EQ(job_.flow_shift, 3.5);
  EXPECT_EQ(job_.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(job_.sampler, "euler");
  EXPECT_FALSE(job_.metadata);
  EXPECT_EQ(job_.steps, std::nullopt);  // keys that are absent stay as they were
}

// A job file may be a stranger's: what it reads and writes stays beside it. Models are installed
// where they are.
TEST_F(JobFile, PathsStayInItsFolder) {
  std::filesystem::create_directory(folder_ / "in");
  std::filesystem::create_directory_symlink("/tmp", folder_ / "out");
  EXPECT_EQ(read("output = \"in/../a.mp4\"\nrecord = \"in/new/a.h5\"\nimage = \"b.png\"\n"
                 "model = \"/models/wan\"\n"),
            std::vector<std::string>{});
  EXPECT_EQ(read(fmt::format("output = \"{}\"\n", (folder_ / "a.mp4").string())),
            std::vector<std::string>{});
  const std::string where = std::filesystem::canonical(folder_).string();
  for (const std::string path : {"/etc/a.mp4", "../a.mp4", "in/../../a.mp4", "out/a.mp4"}) {
    for (const char* key : {"output", "record", "image"}) {
      job_ = {};
      EXPECT_EQ(read(fmt::format("{} = \"{}\"\n", key, path)),
                std::vector<std::string>{fmt::format(
                    "1: {0}: {1} is not inside {2}, where the file that names it lies: put it "
                    "there, or say it with --{0}",
                    key, path, where)});
      EXPECT_TRUE(job_.output.empty() && job_.record.empty() && job_.image.empty()) << path;
    }
  }
  // What weft has written into a queue itself was checked when it came from the list.
  std::ofstream(file_) << "image = \"/pictures/b.png\"\n";
  Problems problems;
  read_job_file(file_, job_, problems, JobFileFrom::weft);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(job_.image, "/pictures/b.png");
}

TEST_F(JobFile, PathsStayInTheCurrentFolder) {  // of which a bare file name says nothing
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  std::ofstream("bare.toml") << "output = \"../a.mp4\"\nrecord = \"a.h5\"\n";
  Problems problems;
  read_job_file("bare.toml", job_, problems);
  std::filesystem::current_path(before);
  ASSERT_EQ(problems.list().size(), 1U);
  EXPECT_TRUE(problems.list()[0].starts_with("bare.toml:1: output: ../a.mp4 is not inside "));
  EXPECT_EQ(job_.record, "a.h5");
}

TEST_F(JobFile, EmptyFileSetsNothing) {
  EXPECT_EQ(read(""), std::vector<std::string>{});
  EXPECT_EQ(read("# only a comment\n"), std::vector<std::string>{});
}

TEST_F(JobFile, ReportsEveryLineInOrder) {
  const std::vector<std::string> expected{
      "1: unknown key guidance_scale: did you mean guidance-scale?",
      "2: width: expected a whole number, got string",
      "3: frames: 80 is not of the form 4 k + 1: use 77 or 81",
      "4: prompt: expected a string in quotes, got integer",
      "5: contact-sheet: expected true or false, got integer",
      "6: steps: expected a whole number, got floating",
      "7: fps: nan is not a finite number",
      "8: seed: 18446744073709551616 is out of range: expected a whole number from 0 to "
      "18446744073709551615",
      "9: sampler: \"eulr\" is not one of unipc, euler: did you mean euler?",
      "10: window: expected a string in quotes, got array",
      "11: unknown key zzzzzzzzzzzz",
      "12: unknown key sampling: a job file has no [sections]"};
  EXPECT_EQ(read("guidance_scale = 5\n"
                 "width = \"832\"\n"
                 "frames = 80\n"
                 "prompt = 3\n"
                 "contact-sheet = 1\n"
                 "steps = 20.0\n"
                 "fps = nan\n"
                 "seed = 18446744073709551616\n"
                 "sampler = \"eulr\"\n"
                 "window = [832, 480, 81]\n"
                 "zzzzzzzzzzzz = 1\n"
                 "[sampling]\n"
                 "steps = 4\n"),
            expected);
  EXPECT_EQ(job_.width, std::nullopt);
}

TEST_F(JobFile, NamesTheLineThatIsNotToml) {
  // What follows is the parser's own text, which differs from one toml11 to the next.
  const std::vector<std::pair<const char*, const char*>> broken{
      {"steps = 4\nwidth =\n", "2: not valid TOML: "},
      {"steps = 4\nsteps = 5\n", "2: not valid TOML: "},
      {"steps = 4 5\n", "1: not valid TOML: "},
      {"\n\nprompt = \"open\n", "3: not valid TOML: "}};
  for (const auto& [text, message] : broken) {
    const std::vector<std::string> problems = read(text);
    ASSERT_EQ(problems.size(), 1) << text;
    EXPECT_TRUE(problems[0].starts_with(message)) << problems[0];
    EXPECT_GT(problems[0].size(), std::string(message).size());
  }
}

TEST_F(JobFile, MissingFileAndFolderAreProblems) {
  for (const std::filesystem::path& path : {folder_ / "none.toml", folder_}) {
    Problems problems;
    read_job_file(path, job_, problems);
    const std::string message = path.string() + ": cannot be read: is this the job file?";
    EXPECT_EQ(problems.list(), std::vector<std::string>{message});
  }
}

}  // namespace
}  // namespace weft
