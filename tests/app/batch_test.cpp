// Lists of jobs from the checks to the clips, shared by groups of ranks and by runs.
#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>

#include "weft/run/run_record.h"

#include "running.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

class Batch : public testing::Test {
 protected:
  Outcome batch(const Words& more, int ranks = 0) {
    Words words{"batch", "-o", clips().string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  /// With the model, a size and two steps as defaults.
  Outcome batch_of(const std::string& list, const Words& more = {}, int ranks = 0) {
    const fs::path file = folder_.path() / "list.csv";
    std::ofstream(file) << list;
    Words words{file.string(), "--model", golden_model("tiny-wan21")};
    words.insert(words.end(), small.begin(), small.end());
    words.insert(words.end(), more.begin(), more.end());
    return batch(words, ranks);
  }
  [[nodiscard]] fs::path clips() const { return folder_.path() / "clips"; }
  [[nodiscard]] fs::path in_job(const std::string& id, const std::string& name) const {
    return clips() / "jobs" / id / name;
  }

  const Words small{"--width", "64", "--height", "64",        "--frames", "5",
                    "--steps", "2",  "--quiet",  "--threads", "1",        "--no-metadata"};
  const std::string four =
      "id,prompt,seed\na,a red kite,1\nb,a grey heron,2\nc,the sea,3\nd,a moon,4\n";
  TempFolder folder_;
};

// Would catch: a job that two groups render or none does, models or prompts kept from the job
// before, files of the overlapped encoder mixed up.
TEST_F(Batch, GroupsRenderEveryJobAsASingleRunWould) {
  const Outcome ran = batch_of(four, {"--ranks-per-job", "1"}, 2);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("4 of 4 jobs are done, 4 of them here"), std::string::npos) << ran.out;
  const std::string prompts[] = {"a red kite", "a grey heron", "the sea", "a moon"};
  for (int i = 0; i < 4; ++i) {
    const std::string id(1, static_cast<char>('a' + i));
    const fs::path alone = folder_.path() / "alone.mp4";
    Words words{"render",       "--model", golden_model("tiny-wan21"), "--prompt", prompts[i], "-o",
                alone.string(), "--seed",  std::to_string(i + 1)};
    words.insert(words.end(), small.begin(), small.end());
    ASSERT_EQ(run_weft(words).exit_code, 0);
    EXPECT_TRUE(read_file(in_job(id, "clip.mp4")) == read_file(alone)) << id;
    EXPECT_EQ(read_run_record(in_job(id, "clip.record.h5")).command, "batch") << id;
    EXPECT_TRUE(fs::exists(in_job(id, "weft.log"))) << id;
    EXPECT_FALSE(fs::exists(in_job(id, "clip.weft"))) << id;
    EXPECT_FALSE(fs::exists(in_job(id, "lease"))) << id;
  }
  EXPECT_NE(run_weft({"batch", "--status", clips().string()}).out.find("4 done"),
            std::string::npos);
  // Again: nothing is left, and the same list is no conflict, whatever the machine's keys say.
  const auto before = fs::last_write_time(in_job("a", "clip.mp4"));
  const Outcome again = batch_of(four, {"--threads", "2", "--checkpoint-every", "off"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.out.find("4 of 4 jobs are done, 0 of them here"), std::string::npos) << again.out;
  EXPECT_EQ(fs::last_write_time(in_job("a", "clip.mp4")), before);
}

TEST_F(Batch, GroupOfTwoRanksPerJob) {
  ASSERT_EQ(batch_of(four, {"--ranks-per-job", "2"}, 4).exit_code, 0);
  const std::string pair = read_file(in_job("c", "clip.mp4"));
  fs::remove_all(clips());
  ASSERT_EQ(batch_of(four).exit_code, 0);
  EXPECT_TRUE(read_file(in_job("c", "clip.mp4")) == pair);
}

// Would catch: problems told one by one, or after something was computed or written.
TEST_F(Batch, AllProblemsOfAllJobsBeforeAnything) {
  const Outcome ran = batch_of("prompt,width,codec\nkite,100,auto\n,64,auto\nheron,64,x265\n",
                               {"--ranks-per-job", "3", "--balance", "fair"}, 2);
  EXPECT_EQ(ran.exit_code, 2);
  for (const char* part : {"list.csv:2: width", "list.csv:3: prompt", "list.csv:4: ", "x265",
                           "ranks-per-job", "balance"}) {
    EXPECT_NE(ran.err.find(part), std::string::npos) << part << " in " << ran.err;
  }
  EXPECT_FALSE(fs::exists(clips()));
}

TEST_F(Batch, DryRunWritesNothing) {
  const Outcome ran = batch_of(four, {"--dry-run"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("4 jobs"), std::string::npos) << ran.out;
  EXPECT_FALSE(fs::exists(clips()));
  EXPECT_EQ(batch({}).exit_code, 2);  // no list, and no folder of a batch
}

// Would catch: one job's failure that ends the run, is forgotten, or cannot be tried again.
TEST_F(Batch, AFailingJobIsParkedAndTheOthersAreDone) {
  const fs::path model = folder_.path() / "model";
  fs::copy(golden_model("tiny-wan21"), model, fs::copy_options::recursive);
  const fs::path weights = model / "transformer/diffusion_pytorch_model.safetensors";
  fs::permissions(weights, fs::perms::owner_write, fs::perm_options::add);
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-64, std::ios::end);
  for (int i = 0; i < 64; ++i) file.put('\xff');  // NaN in bfloat16
  file.close();
  const Outcome ran = batch_of(
      "id,prompt,model\na,kite,\nbad,heron," + model.string() + "\nc,sea,\n", {"--attempts", "2"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.out.find("2 of 3 jobs are done"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("--retry-parked"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("not finite"), std::string::npos) << ran.out;
  EXPECT_FALSE(fs::exists(in_job("bad", "clip.mp4")));

  fs::copy(golden_model("tiny-wan21") + "/transformer/diffusion_pytorch_model.safetensors", weights,
           fs::copy_options::overwrite_existing);
  EXPECT_EQ(batch({"--quiet"}).exit_code, 1);  // parked jobs are left alone
  const Outcome mended = batch({"--retry-parked", "--quiet"});
  EXPECT_EQ(mended.exit_code, 0) << mended.err << mended.out;
  EXPECT_TRUE(fs::exists(in_job("bad", "clip.mp4")));
}

// Would catch: a failure that ends the other ranks of its group, and with them all groups of the
// run.
TEST_F(Batch, AFailureOnSeveralRanksIsThatJobsAlone) {
  const fs::path model = folder_.path() / "model";
  fs::copy(golden_model("tiny-wan21"), model, fs::copy_options::recursive);
  const fs::path weights = model / "transformer/diffusion_pytorch_model.safetensors";
  fs::permissions(weights, fs::perms::owner_write, fs::perm_options::add);
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-64, std::ios::end);
  for (int i = 0; i < 64; ++i) file.put('\xff');  // NaN in bfloat16
  file.close();
  const std::string list = "id,prompt,model,width,window\na,kite,,64,auto\nbad,heron," +
                           model.string() + ",128,64x64x5\nc,sea,,64,auto\nd,moon,,64,auto\n";
  const Outcome ran = batch_of(list, {"--ranks-per-job", "2", "--attempts", "2"}, 4);
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_NE(ran.out.find("3 of 4 jobs are done, 3 of them here"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("1 parked"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("not finite"), std::string::npos) << ran.out;
}

TEST_F(Batch, AJobFileThatCannotBeReadIsThatJobsAlone) {
  ASSERT_EQ(batch_of(four, {"--time-limit", "1s"}).exit_code, 75);
  std::ofstream(in_job("b", "job.toml")) << "prompt = \"half a";
  const Outcome ran = batch({"--ranks-per-job", "2", "--attempts", "2", "--quiet"}, 2);
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_NE(ran.out.find("3 of 4 jobs are done, 3 of them here"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("job.toml:1: not valid TOML"), std::string::npos) << ran.out;
}

// The text encoder is read by rank 0 alone, while the other waits for it.
TEST_F(Batch, AFailureOfOneRankAloneEndsTheRunToBeStartedAgain) {
  const fs::path model = folder_.path() / "model";
  fs::copy(golden_model("tiny-wan21"), model, fs::copy_options::recursive);
  std::ofstream(folder_.path() / "list.csv")
      << "id,prompt,threads,steps\na,kite,1,1000\nb,heron,2,2\nc,sea,2,2\n";
  Words words{"batch",    (folder_.path() / "list.csv").string(),
              "-o",       clips().string(),
              "--model",  model.string(),
              "--verbose"};
  words.insert(words.end(), small.begin(), small.end());
  Running running(words, 2);
  ASSERT_TRUE(running.says("denoise: step ")) << running.err();
  const fs::path weights = model / "text_encoder/model.safetensors";
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(5));
  const Outcome end = running.wait(120);
  EXPECT_EQ(end.exit_code, 69) << end.err;
  EXPECT_NE(end.err.find("it has changed since the job was checked"), std::string::npos) << end.err;
  EXPECT_TRUE(running.processes().empty());
  EXPECT_TRUE(fs::exists(in_job("a", "done")));  // what was done before counts
  EXPECT_NE(read_file(in_job("b", "attempts")).find("\tfailed\t"), std::string::npos);
  const Outcome again = run_weft(words, 2);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.out.find("3 of 3 jobs are done, 2 of them here"), std::string::npos) << again.out;
}

// A machine on which nothing works, here one that does not see the models, takes itself out, and
// its jobs are done elsewhere with all their attempts.
TEST_F(Batch, AHostThatFailsDifferentJobsIsTakenOut) {
  if (std::system("unshare -m sh -c 'mount -t tmpfs none /mnt' 2>/dev/null") != 0) {
    GTEST_SKIP() << "this machine does not let us hide a folder from a process (unshare -m)";
  }
  const fs::path model = folder_.path() / "model";
  fs::copy(golden_model("tiny-wan21"), model, fs::copy_options::recursive);
  ASSERT_EQ(batch_of(four, {"--model", model.string(), "--time-limit", "1s"}).exit_code, 75);
  const Outcome broken = run_weft({"batch", "-o", clips().string(), "--quiet"}, 0,
                                  "mount -t tmpfs none " + shell_word(model.string()) + " && ");
  EXPECT_EQ(broken.exit_code, 1) << broken.err;
  EXPECT_NE(broken.err.find("failed 3 jobs in a row and takes no more"), std::string::npos)
      << broken.err;
  EXPECT_NE(broken.err.find("no more jobs are taken here"), std::string::npos) << broken.err;
  const Outcome status = run_weft({"batch", "--status", clips().string()});
  EXPECT_NE(status.out.find("4 queued, 0 parked"), std::string::npos) << status.out;
  EXPECT_NE(status.out.find("blocked  worker "), std::string::npos) << status.out;
  const Outcome well = batch({"--quiet"});
  EXPECT_EQ(well.exit_code, 0) << well.err << well.out;
  EXPECT_NE(well.out.find("4 of 4 jobs are done, 4 of them here"), std::string::npos) << well.out;
}

int count_of(const std::string& part, const std::string& text) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(Batch, ModelsAreLoadedOnceAndStay) {
  const Outcome ran = batch_of(four, {"--verbose"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* model : {"text encoder", "transformer", "decoder"}) {
    EXPECT_EQ(count_of(std::string("load: the ") + model, ran.err), 1) << model << ran.err;
  }
  EXPECT_EQ(count_of("encode_text: \"", ran.err), 5);  // and the empty one of guidance, once
}

// Would catch: a text encoder that comes and goes for every prompt.
TEST_F(Batch, WhereModelsCannotStayPromptsAreEncodedTogether) {
  std::ofstream(folder_.path() / "list.csv") << four;
  Words words{"batch",         (folder_.path() / "list.csv").string(),
              "--model",       golden_model("tiny-wan21"),
              "--verbose",     "-o",
              clips().string()};
  words.insert(words.end(), small.begin(), small.end());
  Running little(words, 0, {{"LD_PRELOAD", preloaded("small_memory")}});
  ASSERT_EQ(little.wait(120).exit_code, 0) << little.err();
  const std::string log = little.err();
  EXPECT_EQ(count_of("load: the text encoder", log), 1) << log;
  EXPECT_EQ(count_of("load: the transformer", log), 4) << log;
  EXPECT_EQ(count_of("encode_text: \"", log.substr(0, log.find("denoise: step 1,"))), 5) << log;
  EXPECT_EQ(count_of("encode_text: \"", log), 5);
  const std::string apart = read_file(in_job("d", "clip.mp4"));
  fs::remove_all(clips());
  ASSERT_EQ(batch_of(four).exit_code, 0);
  EXPECT_TRUE(read_file(in_job("d", "clip.mp4")) == apart);
}

// The last frames of a clip are encoded beside the next job: its text and its first steps.
TEST_F(Batch, TheEncoderOverlapsTheNextJob) {
  const Outcome ran = batch_of(four, {"--verbose", "--steps", "20"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  std::vector<std::string> order;
  std::istringstream lines(ran.err);
  for (std::string line; std::getline(lines, line);) {
    for (const char* part : {"job b: ", "encode_text: \"a grey heron", "denoise: step 1,",
                             "denoise: step 2,", "encode_video: "}) {
      if (line.find(part) != std::string::npos) order.emplace_back(part);
    }
  }
  const auto second = std::ranges::find(order, "job b: ");
  ASSERT_GT(std::distance(second, order.end()), 4) << ran.err;
  EXPECT_EQ(std::vector<std::string>(second, second + 5),
            (std::vector<std::string>{"job b: ", "encode_text: \"a grey heron", "denoise: step 1,",
                                      "encode_video: ", "denoise: step 2,"}))
      << ran.err;
}

// Would catch: a flag that does not reach the queue, a priority column that is read and forgotten.
TEST_F(Batch, ScheduleDecidesTheOrder) {
  const std::string list =
      "id,prompt,frames,priority\nlow,kite,1,low\nlong,kite,9,normal\nmid,kite,5,\n"
      "high,kite,5,high\n";
  for (const auto& [schedule, order] :
       {std::pair<std::string, Words>{"fifo", {"low", "long", "mid", "high"}},
        {"priority", {"high", "long", "mid", "low"}},
        {"shortest", {"low", "mid", "high", "long"}},
        {"largest", {"long", "mid", "high", "low"}}}) {
    fs::remove_all(clips());
    const Outcome ran = batch_of(list, {"--schedule", schedule, "--steps", "1"});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    Words done;
    std::istringstream lines(ran.out);
    for (std::string word; lines >> word;) {
      if (word == "done" && lines >> word) done.push_back(word);
    }
    ASSERT_GE(done.size(), 4U) << ran.out;
    EXPECT_EQ(Words(done.begin(), done.begin() + 4), order) << schedule << ran.out;
  }
}

TEST_F(Batch, JobTimeout) {
  const Outcome ran =
      batch_of("id,prompt\na,kite\n", {"--job-timeout", "0.001", "--attempts", "1"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.out.find("--job-timeout"), std::string::npos) << ran.out;
}

// Would catch: a request to stop that counts as a failure, or leaves the lease behind.
TEST_F(Batch, ToldToStopGoesOnLater) {
  const Outcome ran = batch_of(four, {"--time-limit", "30s"});  // less than the time to keep free
  EXPECT_EQ(ran.exit_code, 75) << ran.err;
  for (const auto& entry : fs::recursive_directory_iterator(clips())) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name != "attempts" && name != "lease") << entry.path();
  }
  EXPECT_EQ(batch_of(four).exit_code, 0);
}

// Would catch: a dead run's job that nobody takes over.
TEST_F(Batch, AKilledRunsJobsAreDoneByAnother) {
  std::ofstream(folder_.path() / "list.csv") << four;
  std::string command =
      shell_word(WEFT_PROGRAM) + " batch " + shell_word((folder_.path() / "list.csv").string()) +
      " -o " + shell_word(clips().string()) + " --model " + shell_word(golden_model("tiny-wan21"));
  for (const std::string& word : small) command += " " + word;
  // Killed as soon as it holds a job; the shell's own words about that are not shown.
  const std::string lease = shell_word(clips().string()) + "/jobs/*/lease";
  command = "{ " + command + " --steps 60 & until ls " + lease +
            " >/dev/null 2>&1; do sleep 0.02; done; kill -9 $!; wait $!; } >/dev/null 2>&1";
  ASSERT_NE(std::system(command.c_str()), 0);
  ASSERT_EQ(std::system(("ls " + lease + " >/dev/null").c_str()), 0);  // left behind
  const Outcome ran = batch_of(four, {"--steps", "60"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("4 of 4 jobs are done"), std::string::npos) << ran.out;
}

TEST_F(Batch, AnotherJobUnderTheSameNameIsRefused) {
  ASSERT_EQ(batch_of("id,prompt\na,kite\n").exit_code, 0);
  const Outcome ran = batch_of("id,prompt\na,heron\n");
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(ran.err.find("another content"), std::string::npos) << ran.err;
}

TEST_F(Batch, FormatAndSheetByRow) {
  const Outcome ran =
      batch_of("id,prompt,codec,contact-sheet\na,kite,ffv1,true\nb,kite,auto,false\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(fs::exists(in_job("a", "clip.mkv")));
  EXPECT_TRUE(fs::exists(in_job("a", "clip.sheet.png")));
  EXPECT_TRUE(fs::exists(in_job("b", "clip.mp4")));
  EXPECT_FALSE(fs::exists(in_job("b", "clip.sheet.png")));
}

}  // namespace
}  // namespace weft::test
