# Shows that layering_test.cmake finds what it is there to find. Run as
#   cmake -D SCRIPT=<layering_test.cmake> -D WORK=<folder to write in> -P layering_self_test.cmake

cmake_minimum_required(VERSION 3.25)

# expect(OUTCOME FILE LINE): a tree with a good file and FILE, which holds LINE, gives OUTCOME: "ok" or
# a part of the message.
function(expect outcome file line)
  file(REMOVE_RECURSE ${WORK})
  file(WRITE ${WORK}/src/grid/good.cpp "#include <string>\n#include \"weft/base/error.h\"\n")
  file(WRITE ${WORK}/${file} "${line}\n")
  execute_process(COMMAND ${CMAKE_COMMAND} -D ROOT=${WORK} -P ${SCRIPT}
                  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(outcome STREQUAL "ok")
    if(NOT result EQUAL 0)
      message(SEND_ERROR "${file} with ${line} was refused:\n${output}")
    endif()
  elseif(result EQUAL 0)
    message(SEND_ERROR "${file} with ${line} was accepted")
  elseif(NOT output MATCHES "${outcome}")
    message(SEND_ERROR "${file} with ${line}: no '${outcome}' in:\n${output}")
  endif()
endfunction()

expect("ok" src/grid/box.cpp "#include \"weft/grid/box.h\"")
expect("ok" src/app/main.cpp "#include \"weft/run/job.h\"")
expect("ok" kernels/cpu/dense.cpp "#include \"weft/ops/ops.h\"")
expect("ok" src/model/wan/block.cpp "#include \"../config.h\"")
expect("src/grid/bad.cpp" src/grid/bad.cpp "#include \"weft/comm/session.h\"")
expect("src/model/wan/bad.cpp" src/model/wan/bad.cpp "  #  include \"weft/app/options.h\"")
expect("include/weft/io/bad.h" include/weft/io/bad.h "#include \"weft/model/vae.h\"")
expect("kernels/cuda/bad.cu" kernels/cuda/bad.cu "#include \"weft/grid/box.h\"")
expect("belongs in include/weft" src/run/bad.cpp "#include \"../render/private.h\"")
expect("not a layer" src/extra/new.cpp "#include <string>")
file(REMOVE_RECURSE ${WORK})
