# An installation works from wherever it is moved to. Run as
#   cmake -D BUILD=<build folder> -D WORK=<folder to write in> -P install_test.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE result
                  OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: ${result}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REAL_PATH ${BUILD} BUILD)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/here)
file(RENAME ${WORK}/here ${WORK}/moved)

# Root in a container may start MPI programs too.
set(ENV{OMPI_ALLOW_RUN_AS_ROOT} 1)
set(ENV{OMPI_ALLOW_RUN_AS_ROOT_CONFIRM} 1)
run(${WORK}/moved/bin/weft --version)
if(NOT output MATCHES "${VERSION}")
  message(FATAL_ERROR "bin/weft --version does not name ${VERSION}:\n${output}")
endif()
foreach(file LICENSE README.md jobs/env.sh)
  if(NOT EXISTS ${WORK}/moved/share/weft/${file})
    message(FATAL_ERROR "share/weft/${file} is not installed")
  endif()
endforeach()

# Nothing in the program remembers where it was built or installed.
file(STRINGS ${WORK}/moved/bin/weft traces REGEX "${WORK}/here")
if(traces)
  message(FATAL_ERROR "bin/weft holds its first place: ${traces}")
endif()
file(REMOVE_RECURSE ${WORK})
