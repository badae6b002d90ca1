# weft::cudnn: NVIDIA's cuDNN 9 and the headers of its C++ frontend (a Python package carries them:
# jobs/install-deps.sh unpacks it into build/deps).
find_path(CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV CUDNN_PATH PATH_SUFFIXES include)
find_library(CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR} ENV CUDNN_PATH PATH_SUFFIXES lib lib64)
find_path(CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
          HINTS ${CMAKE_SOURCE_DIR}/build/deps/cudnn-frontend ENV CUDNN_FRONTEND_PATH
          PATH_SUFFIXES include)
foreach(what CUDNN_INCLUDE CUDNN_LIBRARY CUDNN_FRONTEND_INCLUDE)
  if(NOT ${what})
    message(FATAL_ERROR "The CUDA backend needs cuDNN 9 and cudnn-frontend: ${what} was not found. "
            "Run jobs/install-deps.sh, set CUDNN_PATH or CUDNN_FRONTEND_PATH, or build with -DWEFT_CUDA=OFF.")
  endif()
endforeach()
add_library(weft_cudnn INTERFACE)
target_include_directories(weft_cudnn SYSTEM INTERFACE ${CUDNN_INCLUDE} ${CUDNN_FRONTEND_INCLUDE}
                           ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(weft_cudnn INTERFACE ${CUDNN_LIBRARY} CUDA::nvrtc)  # the frontend calls nvrtc
add_library(weft::cudnn ALIAS weft_cudnn)
