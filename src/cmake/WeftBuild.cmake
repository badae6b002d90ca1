# Compiler flags for every target, the choice of the CUDA backend, and weft_layer().
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${WEFT_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${WEFT_CCACHE})
endif()

# CUDA is found or not without editing anything.
set(WEFT_HAVE_CUDA OFF)
if(NOT WEFT_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(WEFT_HAVE_CUDA ON)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      # 90a: Hopper's own instructions. 80 and up run from the machine code or PTX of the others.
      set(CMAKE_CUDA_ARCHITECTURES 80-real 89-real 90a-real 90-virtual)
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 20)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 has C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
  elseif(WEFT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "WEFT_CUDA=ON, but no CUDA compiler was found: put nvcc on PATH or set CUDACXX")
  endif()
endif()
message(STATUS "weft: CUDA backend ${WEFT_HAVE_CUDA}")

add_library(weft_flags INTERFACE)
target_include_directories(weft_flags INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(weft_flags INTERFACE WEFT_VERSION="${PROJECT_VERSION}")
# No contraction behind our back: windows and ranks must round alike wherever a loop's tail falls.
# Kernels ask for fused multiply-add by name (std::fma).
target_compile_options(weft_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror -ffp-contract=off>)
# -Wpedantic and -Wconversion stay out: nvcc's generated host code breaks both.
target_compile_options(weft_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xcompiler=-Wall,-Wextra,-Wshadow,-Werror,-ffp-contract=off>)
# fmt 9 takes nvcc for a compiler without constexpr and then contradicts itself in C++20.
target_compile_definitions(weft_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
# GCC 12 warns of overlapping copies inside std::string where there are none (GCC bug 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(weft_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# In a unity build sources are included by another file: GCC takes their anonymous namespaces for a
# header's, and one source's names shadow another's.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(weft_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage -Wno-shadow>)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(weft_arch $<IF:$<BOOL:${WEFT_NATIVE}>,-march=native,-march=x86-64-v3>)
  target_compile_options(weft_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${weft_arch}>)
elseif(WEFT_NATIVE)
  target_compile_options(weft_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-mcpu=native>)
endif()
if(WEFT_SANITIZE)
  target_compile_options(weft_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(weft_flags INTERFACE -fsanitize=${WEFT_SANITIZE})
endif()

# weft_layer(NAME DEPENDS public... PRIVATE private... [EXCLUDE regex]): library weft::NAME from src/NAME/*.cpp
# (main.cpp is left to the program),
# less those that match the regular expression EXCLUDE.
function(weft_layer name)
  cmake_parse_arguments(arg "" "EXCLUDE" "DEPENDS;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp
       ${CMAKE_SOURCE_DIR}/src/${name}/*/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(arg_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${arg_EXCLUDE}")
  endif()
  if(sources)
    add_library(weft_${name} STATIC ${sources})
    target_include_directories(weft_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src/${name})
    target_link_libraries(weft_${name} PUBLIC weft_flags ${arg_DEPENDS} PRIVATE ${arg_PRIVATE})
  else()
    add_library(weft_${name} INTERFACE)  # headers only
    target_link_libraries(weft_${name} INTERFACE weft_flags ${arg_DEPENDS})
  endif()
  add_library(weft::${name} ALIAS weft_${name})
endfunction()
