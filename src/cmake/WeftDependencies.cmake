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

# weft_pkg(TARGET modules...): imported target weft::TARGET from pkg-config.
function(weft_pkg target)
  pkg_check_modules(weft_${target} REQUIRED IMPORTED_TARGET ${ARGN})
  add_library(weft::${target} ALIAS PkgConfig::weft_${target})
endfunction()
weft_pkg(ffmpeg libavcodec libavformat libavutil libswscale)
weft_pkg(sentencepiece sentencepiece)
weft_pkg(utf8proc libutf8proc)
weft_pkg(hdf5 hdf5)

# libcsv has no pkg-config file.
find_path(WEFT_CSV_INCLUDE csv.h REQUIRED)
find_library(WEFT_CSV_LIBRARY csv REQUIRED)
add_library(weft_csv INTERFACE)
target_include_directories(weft_csv SYSTEM INTERFACE ${WEFT_CSV_INCLUDE})
target_link_libraries(weft_csv INTERFACE ${WEFT_CSV_LIBRARY})
add_library(weft::csv ALIAS weft_csv)

include(WeftOpenCv)  # optional: weft::flow, WEFT_FLOW_OTHER
