#include "weft/base/error.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using List = std::vector<std::string>;

TEST(Error, CarriesWhatIsBeingDoneInnermostFirst) {
  const ScopedContext job("job a");
  try {
    const ScopedContext window("window 12");
    fail("no room for {} bytes", 8);
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "no room for 8 bytes\n  while window 12\n  while job a");
  }
  EXPECT_STREQ(Error("later").what(), "later\n  while job a");  // the inner context is gone
}

TEST(InputError, ListsEveryProblem) {
  const InputError error(List{"first", "second"});
  EXPECT_EQ(error.problems(), (List{"first", "second"}));
  EXPECT_STREQ(error.what(), "first\nsecond");
  EXPECT_THROW(fail_input("{} is wrong", "x"), InputError);
}

TEST(Problems, CollectsErrorsAndKeepsGoing) {
  Problems problems;
  EXPECT_NO_THROW(problems.throw_if_any());
  problems.add("{} of {}", 1, 2);
  problems.collect([] { throw InputError(List{"a", "b"}); });
  problems.collect([] { fail("c"); });
  problems.collect([] {});
  EXPECT_EQ(problems.list(), (List{"1 of 2", "a", "b", "c"}));
  EXPECT_THROW(problems.collect([] { throw std::logic_error("not ours"); }), std::logic_error);
  EXPECT_THROW(problems.throw_if_any(), InputError);
}

TEST(Assertion, IsAlwaysOnAndNamesItsPlace) {
  EXPECT_NO_THROW(WEFT_ASSERT(1 + 1 == 2, "sum"));
  const int ranks = 3;
  try {
    WEFT_ASSERT(ranks == 4, "ranks is {}", ranks);
    FAIL() << "did not throw";
  } catch (const Error& e) {
    const std::string text = e.what();
    for (const char* part : {"bug in weft: ranks == 4", "error_test.cpp:", "ranks is 3"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
    }
  }
}

TEST(NearestName, FindsSlipsOfThePenOnly) {
  const List known{"steps", "seed", "guidance-scale", "guidance-scale-2", "width"};
  EXPECT_EQ(nearest_name("step", known), "steps");
  EXPECT_EQ(nearest_name("guidance_scale", known), "guidance-scale");
  EXPECT_EQ(nearest_name("guidance-scal-2", known), "guidance-scale-2");
  EXPECT_EQ(nearest_name("widht", known), "width");  // swapped letters are one slip
  EXPECT_EQ(nearest_name("wdt", known), "");
  EXPECT_EQ(nearest_name("bananas", known), "");
  EXPECT_EQ(nearest_name("", known), "");
  EXPECT_EQ(nearest_name("steps", {}), "");
}

}  // namespace
}  // namespace weft
