# Nothing that weft reads can make it start a program, because it starts none: no source calls what
# would, but for main(), which starts itself once more. Run as
#   cmake -D ROOT=<source folder> -P no_commands_test.cmake
cmake_minimum_required(VERSION 3.25)

set(calls "(system|popen|exec[lv][a-z]*|posix_spawnp?|v?fork)")
file(GLOB_RECURSE files ${ROOT}/src/*.cpp ${ROOT}/src/*.h ${ROOT}/include/*.h
     ${ROOT}/kernels/*.cpp ${ROOT}/kernels/*.h ${ROOT}/kernels/*.cu ${ROOT}/kernels/*.cuh)
set(found 0)
set(itself 0)
foreach(file IN LISTS files)
  # In the global namespace; methods of these names are something else.
  file(STRINGS ${file} lines REGEX "(^|[^A-Za-z0-9_.>:]|[^A-Za-z0-9_>]::|std::)${calls} *\\(")
  foreach(line IN LISTS lines)
    if(line MATCHES "execv\\(\"/proc/self/exe\", argv\\)")
      math(EXPR itself "${itself} + 1")
      continue()
    endif()
    message(NOTICE "${file}: ${line}")
    math(EXPR found "${found} + 1")
  endforeach()
endforeach()
list(LENGTH files count)
message(NOTICE "looked at ${count} files: ${found} calls that start a program, main() apart")
# main()'s own call shows that calls are found.
if(found GREATER 0 OR NOT itself EQUAL 1)
  message(FATAL_ERROR "expected none, and the one of main()")
endif()
