#include "weft/run/job_list.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

namespace weft {
namespace {

using Texts = std::vector<std::string>;

class JobList : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("weft_job_list.{}", getpid());
    std::filesystem::create_directories(folder_);
    defaults_.model = "/models/wan";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Reads `text` as list.EXTENSION into jobs_; problems come back without the file's name.
  Texts read(const std::string& extension, const std::string& text) {
    const std::filesystem::path file = folder_ / ("list." + extension);
    std::ofstream(file, std::ios::binary) << text;
    Problems problems;
    jobs_ = read_job_list(file, defaults_, problems);
    Texts list = problems.list();
    for (std::string& problem : list) {
      EXPECT_TRUE(problem.starts_with(file.string() + ":")) << problem;
      problem.erase(0, file.string().size() + 1);
    }
    return list;
  }

  Texts prompts() const {
    Texts texts;
    for (const ListedJob& listed : jobs_) texts.push_back(listed.job.prompt);
    return texts;
  }
  Texts ids() const {
    Texts texts;
    for (const ListedJob& listed : jobs_) texts.push_back(listed.id);
    return texts;
  }
  // The lines where the rows begin.
  Texts lines() const {
    Texts texts;
    for (const ListedJob& listed : jobs_) {
      texts.push_back(listed.where.substr(listed.where.rfind(':') + 1));
    }
    return texts;
  }

  std::filesystem::path folder_;
  Job defaults_;
  std::vector<ListedJob> jobs_;
};

const Texts none;

// ---- the three formats say the same ----------------------------------------------------------

TEST_F(JobList, ThreeFormatsGiveTheSameJobs) {
  defaults_.steps = 30;
  const std::vector<std::pair<std::string, std::string>> lists{
      {"csv",
       "id,prompt,seed,model,guidance-scale,metadata,priority,steps\n"
       "a.1,a red kite,18446744073709551615,wan,3.5,false,high,\n"
       "b_2,\"a \"\"grey\"\" heron, wading\",7,/wan,5,true,low,4\n"},
      {"jsonl",
       "{\"id\":\"a.1\",\"prompt\":\"a red kite\",\"seed\":18446744073709551615,\"model\":\"wan\","
       "\"guidance-scale\":3.5,\"metadata\":false,\"priority\":\"high\",\"steps\":null}\n"
       "{\"id\":\"b_2\",\"prompt\":\"a \\\"grey\\\" heron, wading\",\"seed\":7,\"model\":\"/wan\","
       "\"guidance-scale\":5,\"priority\":\"low\",\"steps\":4}"},
      {"toml",
       "metadata = true\n"
       "[[job]]\nid = \"a.1\"\nprompt = \"a red kite\"\nseed = 18446744073709551615\n"
       "model = \"wan\"\nguidance-scale = 3.5\nmetadata = false\npriority = \"high\"\n"
       "[[job]]\nid = \"b_2\"\nprompt = 'a \"grey\" heron, wading'\nseed = 7\n"
       "model = \"/wan\"\nguidance-scale = 5\npriority = \"low\"\nsteps = 4\n"}};
  for (const auto& [extension, text] : lists) {
    ASSERT_EQ(read(extension, text), none);
    ASSERT_EQ(ids(), (Texts{"a.1", "b_2"})) << extension;
    EXPECT_EQ(prompts(), (Texts{"a red kite", "a \"grey\" heron, wading"})) << extension;
    EXPECT_EQ(jobs_[0].job.seed, 18446744073709551615U);
    EXPECT_EQ(jobs_[0].job.model, folder_ / "wan");  // relative to the list, not to the shell
    EXPECT_EQ(jobs_[1].job.model, "/wan");
    EXPECT_EQ(jobs_[0].job.guidance_scale, 3.5);
    EXPECT_FALSE(jobs_[0].job.metadata);
    EXPECT_TRUE(jobs_[1].job.metadata);
    EXPECT_EQ(jobs_[0].job.steps, 30);  // from the defaults
    EXPECT_EQ(jobs_[1].job.steps, 4);
    EXPECT_EQ(jobs_[0].priority, Priority::high);
    EXPECT_EQ(jobs_[1].priority, Priority::low);
  }
  EXPECT_EQ(lines(), (Texts{"2", "10"}));
}

TEST_F(JobList, OtherExtensionsAndUnreadableFilesAreProblems) {
  EXPECT_EQ(read("txt", "prompt\na\n"), Texts{" a list of jobs ends in .csv, .jsonl or .toml"});
  Problems problems;
  std::filesystem::create_directory(folder_ / "folder.csv");
  for (const char* name : {"absent.csv", "absent.jsonl", "absent.toml", "folder.csv"}) {
    read_job_list(folder_ / name, {}, problems);
    EXPECT_EQ(problems.list().back(),
              (folder_ / name).string() + ": cannot be read: is this the list of jobs?");
  }
  EXPECT_EQ(problems.list().size(), 4);
}

// Top-level keys of a TOML list are defaults of all its jobs, wherever they stand.
TEST_F(JobList, TomlDefaults) {
  ASSERT_EQ(read("toml",
                 "steps = 9\npriority = \"low\"\n[[job]]\nprompt = \"a\"\nsteps = 3\n"
                 "[[job]]\nprompt = \"b\"\n"),
            none);
  EXPECT_EQ(jobs_[0].job.steps, 3);
  EXPECT_EQ(jobs_[1].job.steps, 9);
  EXPECT_EQ(jobs_[1].priority, Priority::low);
}

// ---- CSV -------------------------------------------------------------------------------------

// Would catch: BOM taken into the first name, rows counted instead of lines, a last row lost.
TEST_F(JobList, CsvAsPeopleSaveIt) {
  ASSERT_EQ(read("csv",
                 "\xEF\xBB\xBFprompt,seed\r\n"
                 "\"two\r\nlines, and a \"\"word\"\"\",1\r\n"
                 "\r\n"
                 "  太阳升起 ,2\r\n"
                 " \t \r\n"
                 "\"# | = [x] \\n\t'\",3\r\n"
                 "last,4"),
            none);
  EXPECT_EQ(prompts(),
            (Texts{"two\r\nlines, and a \"word\"", "太阳升起", "# | = [x] \\n\t'", "last"}));
  EXPECT_EQ(lines(), (Texts{"2", "5", "7", "8"}));
}

TEST_F(JobList, CsvLineEndsOfEveryKind) {
  for (const char* text : {"prompt\na\nb\nc\n", "prompt\r\na\r\nb\r\nc", "prompt\ra\rb\rc\r",
                           "prompt\n\"a\"\nb\n c "}) {
    ASSERT_EQ(read("csv", text), none);
    EXPECT_EQ(prompts(), (Texts{"a", "b", "c"}));
    EXPECT_EQ(lines(), (Texts{"2", "3", "4"}));
  }
}

// Cells longer than the blocks in which a file is read, with line ends on the seams.
TEST_F(JobList, CsvAcrossBlocks) {
  for (const std::size_t length : {65'520U, 65'527U, 65'528U, 65'529U, 65'530U, 140'000U}) {
    std::string storyboard;
    for (int frame = 1; storyboard.size() + 120 < length; frame += 4) {
      storyboard += fmt::format("{}{}: {}", frame == 1 ? "" : "|", frame, std::string(100, 'a'));
    }
    storyboard.resize(length, 'b');
    ASSERT_EQ(read("csv", "prompt,storyboard\r\na,\"" + storyboard + "\"\r\nc,\r\n"), none);
    EXPECT_EQ(jobs_[0].job.storyboard, storyboard);
    EXPECT_EQ(lines(), (Texts{"2", "3"}));
  }
}

TEST_F(JobList, CsvProblemsNameLineAndColumnAllAtOnce) {
  const Texts expected{
      "1: unknown column sed: did you mean seed?",
      "1: column 4 is named width, as is column 3",
      "1: output: not in a list of jobs: each job writes into a folder of its own",
      "1: column 6 has no name",
      "2: width: 850 is not a multiple of 16: use 848 or 864",
      "3: 2 cells, but the header names 6 columns",
      "4: 7 cells, but the header names 6 columns: a cell with commas in it goes in quotes",
      "5: prompt: missing: say what to draw",
      "6: prompt: not UTF-8 at byte 2: save the file as UTF-8",
      "6: width: \"wide\" is not a whole number",
      "9: prompt: a NUL character at byte 1: save the file as UTF-8"};
  EXPECT_EQ(read("csv",
                 "prompt,sed,width,width,output,\n"
                 "a,1,850,,,\n"
                 "a,1\n"
                 "a,1,16,,,,\n"
                 ",1,16,,,\n"
                 "a\xFF,,wide,,,\n"
                 "\"two\nlines\",,,,,\n" +
                     std::string("\0,,,,,\n", 7)),
            expected);
}

TEST_F(JobList, CsvThatIsNoCsv) {
  const std::vector<std::pair<std::string, std::string>> files{
      {"", " is empty: the first row names the columns, such as prompt,seed"},
      {"\xEF\xBB\xBF", " is empty: the first row names the columns, such as prompt,seed"},
      {" \r\n\n", " is empty: the first row names the columns, such as prompt,seed"},
      {"prompt,seed\n", " holds no jobs"},
      {"a red kite,7\n",
       "1: no header: the first row names the columns, such as prompt,seed; this one begins with "
       "\"a red kite\""},
      {"prompt,seed\n\na,1\nb \"c\" d,2\ne,3\n",
       "4: a quote inside a cell: put the whole cell in quotes and double the quotes in it"},
      {"prompt,seed\n\"a\" b,1\n",
       "2: a quote inside a cell: put the whole cell in quotes and double the quotes in it"},
      {"prompt,seed\na,1\n\"b,2\nc,3\n", "3: a quote that is never closed (found in line 5)"},
      {"prompt,seed\na,1\n\"b,2\nc,\"3\"\n",
       "3: a quote inside a cell: put the whole cell in quotes and double the quotes in it (found "
       "in line 4)"},
      {std::string(200, ',') + "\n", "1: 201 columns: at most 100"}};
  for (const auto& [text, problem] : files) EXPECT_EQ(read("csv", text), Texts{problem}) << text;
}

TEST_F(JobList, HugeCellsAreRefusedInBoundedMemory) {
  EXPECT_EQ(read("csv", "prompt,seed\n" + std::string(1 << 20, 'a') + ",1\n"),
            Texts{"2: prompt: is 1048576 bytes long: use at most 20000"});
  EXPECT_EQ(read("csv", "prompt,width\na," + std::string(1 << 20, 'x') + "\n"),
            Texts{"2: width: 1048576 bytes long: use at most 1000"});
  EXPECT_EQ(read("csv", "prompt,seed\n\"a,1\n" + std::string(6 << 20, '\n')),
            Texts{"2: a cell of more than 4 MiB: is its closing quote missing?"});
  const Texts unknown = read("jsonl", "{\"" + std::string(1 << 20, 'p') + "\": 1}\n");
  ASSERT_EQ(unknown.size(), 1);
  EXPECT_LT(unknown[0].size(), 500);
  const Texts lines = read("jsonl", std::string(9 << 20, ' ') + "\n{\"prompt\": 3}\n");
  EXPECT_EQ(lines, (Texts{"1: a line of more than 8 MiB: is a line end missing?",
                          "2: prompt: expected a string in quotes, got a number"}));
}

TEST_F(JobList, ListsFiftyProblemsAndCountsTheRest) {
  std::string text = "prompt,width\n";
  for (int i = 0; i < 1000; ++i) text += "a,17\n";
  const Texts problems = read("csv", text);
  ASSERT_EQ(problems.size(), 51);
  EXPECT_EQ(problems[49], "51: width: 17 is not a multiple of 16: use 16 or 32");
  EXPECT_EQ(problems[50], " ... and 950 more");
}

// A terminal obeys what it is sent: nothing of a list goes there as it is.
TEST_F(JobList, MessagesHoldNoControlCharacters) {
  EXPECT_EQ(read("csv", "prompt,sampler\na,\"\x1B[2J\nx\"\n"),
            Texts{"2: sampler: \"\\x1b[2J\\nx\" is not one of unipc, euler"});
}

// ---- JSON lines ------------------------------------------------------------------------------

TEST_F(JobList, JsonProblemsNameTheLine) {
  const Texts expected{
      "1: prompt: expected a string in quotes, got a number",
      "2: width: expected a whole number, got a string",
      "3: steps: \"20.0\" is not a whole number",
      "4: metadata: expected true or false, got a number",
      "5: unknown key promt: did you mean prompt?",
      "5: unknown key zzzzzzzzzzzz",
      "6: prompt: given twice",
      "7: not valid JSON at byte 14 of the line",
      "9: expected an object such as {\"prompt\": \"a kite\"}",
      "10: expected an object such as {\"prompt\": \"a kite\"}",
      "11: window: expected a value, got an array",
      "12: window: expected a value, got an object",
      "13: not valid JSON at byte 13 of the line",
      "14: prompt: a NUL character at byte 2: save the file as UTF-8",
      "15: prompt: missing: say what to draw",
      "16: seed: 18446744073709551616 is out of range: expected a whole number from 0 to "
      "18446744073709551615",
      "17: a NUL byte at byte 2 of the line: save the file as UTF-8",
      "18: not valid JSON at byte 17 of the line",
      "19: record: not in a list of jobs: each job writes into a folder of its own",
      "20: priority: \"urgent\" is not one of high, normal, low",
      "21: not valid JSON at byte 16 of the line"};
  EXPECT_EQ(read("jsonl",
                 "{\"prompt\": 3}\n"
                 "{\"prompt\": \"a\", \"width\": \"832\"}\n"
                 "{\"prompt\": \"a\", \"steps\": 20.0}\r\n"
                 "{\"prompt\": \"a\", \"metadata\": 1}\n"
                 "{\"promt\": \"a\", \"zzzzzzzzzzzz\": 1}\n"
                 "{\"prompt\": \"a\", \"prompt\": \"b\"}\n"
                 "{\"prompt\": \"a\n"
                 "\n"
                 "[1]\n"
                 "\"prompt\"\n"
                 "{\"prompt\": \"a\", \"window\": [832]}\n"
                 "{\"prompt\": \"a\", \"window\": {\"w\": 1}}\n"
                 "{\"prompt\": \"\xFF\"}\n"
                 "{\"prompt\": \"a\\u0000b\"}\n"
                 "{}\n"
                 "{\"prompt\": \"a\", \"seed\": 18446744073709551616}\n" +
                     std::string("{\0\"prompt\": \"a\"}\n", 17) +
                     "{\"prompt\": \"a\"} x\n"
                     "{\"prompt\": \"a\", \"record\": \"r.h5\"}\n"
                     "{\"prompt\": \"a\", \"priority\": \"urgent\"}\n"
                     "{\"prompt\": \"a\",}"),
            expected);
  EXPECT_EQ(read("ndjson", ""), Texts{" holds no jobs"});
  EXPECT_EQ(read("ndjson", "\xEF\xBB\xBF{\"prompt\": \"a\\ud83d\\ude00\"}"), none);
  EXPECT_EQ(prompts(), Texts{"a😀"});
}

TEST_F(JobList, DeepNestingIsRefusedNotFollowed) {
  EXPECT_EQ(read("jsonl", "{\"a\":" + std::string(2'000'000, '[') + "\n"),
            Texts{"1: a: expected a value, got an array"});
  EXPECT_EQ(read("toml", "\na = " + std::string(2'000'000, '[') + "\n"),
            Texts{"2: not valid here: nested too deeply"});
  std::string dots = "a";
  for (int i = 0; i < 200'000; ++i) dots += ".a";
  EXPECT_EQ(read("toml", "[" + dots + "]\n"), Texts{"1: not valid here: nested too deeply"});
  EXPECT_EQ(read("toml", dots + " = 1\n"), Texts{"1: not valid here: nested too deeply"});
  // What is in strings and comments is not nesting.
  const std::string many = std::string(40, '[') + std::string(40, '{') + std::string(40, '.');
  EXPECT_EQ(read("toml", "# " + many + " '\"\n[[job]]\nprompt = \"\\\"" + many +
                             "\"\n[[job]]\nprompt = '" + many +
                             "\"'\n[[job]]\nprompt = \"\"\"\"\\\n" + many + "\"\"\"\n"),
            none);
  EXPECT_EQ(jobs_.size(), 3);
}

// ---- TOML ------------------------------------------------------------------------------------

TEST_F(JobList, TomlProblemsNameTheLine) {
  const Texts expected{
      "1: width: 17 is not a multiple of 16: use 16 or 32",
      "2: id: belongs into a [[job]]: ids are unique",
      "4: unknown key sed: did you mean seed?",
      "5: prompt: expected a string in quotes, got integer",
      "6: prompt: missing: say what to draw",
      "9: id: expected a string in quotes, got integer",
      "10: output: not in a list of jobs: each job writes into a folder of its own"};
  EXPECT_EQ(read("toml",
                 "width = 17\nid = \"a\"\n[[job]]\nsed = 1\nprompt = 3\n[[job]]\n"
                 "[[job]]\nprompt = \"a\"\nid = 7\noutput = \"x.mp4\"\n"),
            expected);
  EXPECT_EQ(read("toml", ""), Texts{" holds no jobs: begin each with [[job]]"});
  EXPECT_EQ(read("toml", "job = 3\n"), Texts{"1: holds no jobs: begin each with [[job]]"});
  EXPECT_EQ(read("toml", "\njob = [3]\n"),
            Texts{"2: job: expected [[job]] and the keys of a job in the lines below"});
  const Texts broken = read("toml", "\n[[job]]\nprompt =\n");
  ASSERT_EQ(broken.size(), 1);
  EXPECT_TRUE(broken[0].starts_with("3: not valid TOML: ")) << broken[0];
  EXPECT_EQ(read("toml", "\n# \xFF\n"), Texts{"2: not UTF-8: save the file as UTF-8"});
  EXPECT_EQ(read("toml", std::string("a\n\n\0", 4)),
            Texts{"3: a NUL character: save the file as UTF-8"});
}

// ---- what every job must have ----------------------------------------------------------------

TEST_F(JobList, MissingModelIsOneProblem) {
  defaults_.model.clear();
  EXPECT_EQ(read("csv", "prompt\na\nb\nc\n"),
            Texts{"2: model: missing: name the model's folder (and for 2 more jobs)"});
  EXPECT_EQ(read("csv", "prompt,model\na,m\nb,\n"),
            Texts{"3: model: missing: name the model's folder"});
}

TEST_F(JobList, ImagesMustBeThere) {
  std::ofstream(folder_ / "here.png") << "x";
  EXPECT_EQ(read("csv", "prompt,image\na,here.png\nb,\n"), none);
  EXPECT_EQ(jobs_[0].job.image, folder_ / "here.png");
  EXPECT_EQ(
      read("csv", "prompt,image\na,absent.png\nb,.\n"),
      (Texts{"2: image: " + (folder_ / "absent.png").string() + " is not a file that can be read",
             "3: image: " + (folder_ / ".").string() + " is not a file that can be read"}));
}

TEST_F(JobList, ImagesStayInTheListsFolder) {
  const std::filesystem::path beside =
      folder_.parent_path() / (folder_.filename().string() + ".png");
  std::ofstream(beside) << "x";
  std::filesystem::create_symlink(beside, folder_ / "link.png");
  const std::string name = "../" + beside.filename().string();
  const std::string rule = " is not inside " + std::filesystem::canonical(folder_).string() +
                           ", where the file that names it lies: put it there, or say it with "
                           "--image";
  EXPECT_EQ(read("csv", "prompt,image\na," + name + "\nb," + beside.string() + "\nc,link.png\n"),
            (Texts{"2: image: " + name + rule, "3: image: " + beside.string() + rule,
                   "4: image: link.png" + rule}));
  EXPECT_EQ(read("jsonl", "{\"prompt\": \"a\", \"image\": \"" + name + "\"}\n"),
            Texts{"1: image: " + name + rule});
  EXPECT_EQ(read("toml", "[[job]]\nprompt = \"a\"\nimage = \"" + name + "\"\n"),
            Texts{"3: image: " + name + rule});
  std::filesystem::remove(beside);
}

// ---- ids -------------------------------------------------------------------------------------

TEST_F(JobList, IdsThatAreNoFolderNamesAreRefused) {
  const std::string rule = "\" is not 1 to 100 of A-Z a-z 0-9 . _ - that do not begin with .";
  for (const std::string& id : Texts{"..", ".", ".a", "a/b", "../a", "a b", "ä", "a\\b", "a:b",
                                     "$a", std::string(101, 'a')}) {
    EXPECT_EQ(read("csv", "prompt,id\na,\"" + id + "\"\n"), Texts{"2: id: \"" + id + rule}) << id;
  }
  EXPECT_EQ(read("jsonl", "{\"prompt\":\"a\",\"id\":\"\"}\n"), Texts{"1: id: \"" + rule});
  for (const std::string& id : Texts{"a", "-", "a.b..c", "_", std::string(100, 'a')}) {
    EXPECT_EQ(read("csv", "prompt,id\na," + id + "\n"), none) << id;
  }
  EXPECT_EQ(read("csv", "prompt,id\na,x\nb,y\n\nc,x\n"),
            Texts{"5: id: \"x\" is also the id of line 2: ids are unique"});
}

// Would catch an id that depends on the row's place, the other rows or the run's machine.
TEST_F(JobList, MadeIdsBelongToTheJob) {
  ASSERT_EQ(
      read("csv", "prompt,seed,threads,device\nA red kite!,7,1,cpu\n日本,7,,\na red kite,8,,\n"),
      none);
  const Texts first = ids();
  EXPECT_TRUE(first[0].starts_with("A-red-kite-")) << first[0];
  EXPECT_EQ(first[0].size(), std::string("A-red-kite-").size() + 12);
  EXPECT_TRUE(first[1].starts_with("clip-")) << first[1];
  ASSERT_EQ(read("jsonl",
                 "{\"prompt\":\"new\"}\n{\"prompt\":\"日本\",\"seed\":7}\n"
                 "{\"prompt\":\"A red kite!\",\"seed\":7,\"sampler\":\"unipc\"}\n"),
            none);
  EXPECT_EQ(ids()[1], first[1]);
  EXPECT_EQ(ids()[2], first[0]);
  // Any other key makes it another job.
  for (const char* row : {"A red kite,7,", "A red kite!,8,", "A red kite!,7,5"}) {
    ASSERT_EQ(read("csv", fmt::format("prompt,seed,steps\n{}\n", row)), none);
    EXPECT_NE(ids()[0], first[0]) << row;
  }
}

TEST_F(JobList, OnePathHasOneSpelling) {
  std::set<std::string> made;
  for (const char* model : {"/models/wan", "/models/wan/", "/models//wan", "/models/./x/../wan"}) {
    defaults_.model = model;
    ASSERT_EQ(read("csv", "prompt\na\n"), none);
    made.insert(ids()[0]);
  }
  EXPECT_EQ(made.size(), 1);
}

TEST_F(JobList, EqualJobsAreNumbered) {
  ASSERT_EQ(read("csv", "prompt\na\n"), none);
  const std::string a = ids()[0];
  ASSERT_EQ(read("csv", "prompt,id\na,\nb,\na,\na,\nc," + a + "-2\n"), none);
  EXPECT_EQ(ids()[0], a);
  EXPECT_EQ(ids()[2], a + "-3");  // -2 is taken by name
  EXPECT_EQ(ids()[3], a + "-4");
  std::string text = "prompt\n";
  for (int i = 0; i < 20'000; ++i) text += "a\n";
  ASSERT_EQ(read("csv", text), none);
  EXPECT_EQ(ids().back(), a + "-20000");
}

TEST_F(JobList, SlugsAreCutToFortyCharacters) {
  ASSERT_EQ(read("csv", "prompt\n" + std::string(39, 'x') + " -- yyyy\n"), none);
  EXPECT_EQ(ids()[0].size(), 39 + 1 + 12);
}

// ---- a job as text ---------------------------------------------------------------------------

TEST_F(JobList, JobTextReadsBackAsTheSameJob) {
  Job job;
  job.model = "/models/a \"b\" \\c\n";
  job.record = "none";
  job.output = "/out/clip.mp4";
  for (int c = 1; c < 128; ++c) job.prompt += static_cast<char>(c);
  job.prompt += "日本 😀 ''' \"\"\" # [x] \\u0041 \r\n end\\";
  job.storyboard = "33: a 'moon' | 65: \"sun\"";
  job.negative_prompt = "\t\"\"\"";
  job.width = 1280;
  job.seed = std::numeric_limits<std::uint64_t>::max();
  job.guidance_scale = 0.1 + 0.2;
  job.guidance_scale_2 = 1e-7;
  job.flow_shift = 1e22;
  job.fps = 24;
  job.overlap = 0;
  job.sampler = "euler";
  job.metadata = false;
  job.contact_sheet = true;
  const std::filesystem::path file = folder_ / "job.toml";
  std::ofstream(file, std::ios::binary) << job_text(job);
  Job back;
  Problems problems;
  read_job_file(file, back, problems, JobFileFrom::weft);
  EXPECT_EQ(problems.list(), none);
  for (const JobKey& key : job_keys()) EXPECT_EQ(key.get(back), key.get(job)) << key.name;
  EXPECT_EQ(job_text(Job{}), "");
  Job relative;
  relative.model = "wan";
  EXPECT_EQ(job_text(relative),
            fmt::format("model = \"{}\"\n", (std::filesystem::current_path() / "wan").string()));
}

// ---- anything at all -------------------------------------------------------------------------

// Bytes that lean towards each format's own signs; whatever comes out, it comes back.
TEST_F(JobList, RandomBytesOnlyEverGiveProblems) {
  const Texts words{"prompt",
                    "seed",
                    "id",
                    "model",
                    "[[job]]",
                    "\n",
                    "\r\n",
                    ",",
                    "\"",
                    "\"\"\"",
                    "'",
                    "=",
                    "{",
                    "}",
                    "[",
                    "]",
                    ":",
                    ".",
                    "\\",
                    "#",
                    "1e999",
                    "-7",
                    "0x",
                    "true",
                    "1979-05-27",
                    "T07:32:00Z",
                    "\\u0000",
                    "\\ud800",
                    "\xEF\xBB\xBF",
                    "\xFF",
                    " ",
                    "a",
                    "null",
                    "nan",
                    "+inf",
                    "9223372036854775808",
                    "日本",
                    "job"};
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::string text = round % 3 == 0 ? "prompt,seed\n" : "";
    const auto length = random() % 60;
    for (unsigned i = 0; i < length; ++i) {
      text += random() % 12 == 0 ? std::string(1, static_cast<char>(random()))
                                 : words[random() % words.size()];
    }
    for (const char* extension : {"csv", "jsonl", "toml"}) {
      const Texts problems = read(extension, text);
      EXPECT_FALSE(problems.empty() && jobs_.empty()) << text;
    }
  }
}

}  // namespace
}  // namespace weft
