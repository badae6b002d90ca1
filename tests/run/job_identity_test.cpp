// What makes a checkpoint another job's.
#include <gtest/gtest.h>

#include "weft/run/checkpoint.h"

namespace weft {
namespace {

TEST(JobIdentity, FiguresAboutAClipAreNotPartOfIt) {
  Problems problems;
  PreparedJob prepared;
  prepared.model = ModelFolder::read(std::string(WEFT_TEST_DATA) + "/golden/tiny-wan21", problems);
  ASSERT_TRUE(problems.empty());
  Job job;
  job.device = "cpu";
  job.prompt = "kite";
  const JobIdentity before = job_identity(job, prepared);
  job.quality_figures = true;
  EXPECT_EQ(job_identity(job, prepared), before);
  job.prompt = "sea";
  EXPECT_NE(job_identity(job, prepared), before);
}

}  // namespace
}  // namespace weft
