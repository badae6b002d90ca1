# Imported targets for the libraries weft stands on. Debian and Ubuntu names: jobs/install-deps.sh.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(toml11 REQUIRED)
find_package(CLI11 REQUIRED)
# oneDNN's own CMake package insists on OpenCL headers, which its CPU part does not need.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(DNNL::dnnl UNKNOWN IMPORTED)
set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
                      INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})

# weft_pkg(TARGET modules...): imported target weft::TARGET from pkg-config.
function(weft_pkg target)
  pkg_check_modules(weft_${target} REQUIRED IMPORTED_TARGET ${ARGN})
  add_library(weft::${target} ALIAS PkgConfig::weft_${target})
endfunction()
weft_pkg(ffmpeg libavcodec libavformat libavutil libswscale)
weft_pkg(sentencepiece sentencepiece)
weft_pkg(utf8proc libutf8proc)
weft_pkg(hdf5 hdf5)
