# weft::nccl: NVIDIA's NCCL, for messages between GPUs, linked dynamically.
find_path(NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV NCCL_PATH PATH_SUFFIXES include)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${CUDAToolkit_LIBRARY_DIR} ENV NCCL_PATH
             PATH_SUFFIXES lib lib64)
foreach(what NCCL_INCLUDE NCCL_LIBRARY)
  if(NOT ${what})
    message(FATAL_ERROR "The CUDA backend needs NCCL 2.18 or newer: ${what} was not found. Install "
            "libnccl2 and libnccl-dev, set NCCL_PATH, or build with -DWEFT_CUDA=OFF.")
  endif()
endforeach()
file(STRINGS ${NCCL_INCLUDE}/nccl.h nccl_lines REGEX "^#define NCCL_(MAJOR|MINOR) +[0-9]+")
string(REGEX REPLACE ".*NCCL_MAJOR +([0-9]+).*" "\\1" nccl_major "${nccl_lines}")
string(REGEX REPLACE ".*NCCL_MINOR +([0-9]+).*" "\\1" nccl_minor "${nccl_lines}")
if("${nccl_major}.${nccl_minor}" VERSION_LESS 2.18)
  message(FATAL_ERROR "The CUDA backend needs NCCL 2.18 or newer: ${NCCL_INCLUDE}/nccl.h is of "
          "${nccl_major}.${nccl_minor}. Set NCCL_PATH to a newer one, or build with -DWEFT_CUDA=OFF.")
endif()
add_library(weft_nccl INTERFACE)
target_include_directories(weft_nccl SYSTEM INTERFACE ${NCCL_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(weft_nccl INTERFACE ${NCCL_LIBRARY})
add_library(weft::nccl ALIAS weft_nccl)
