# OpenCV (4 or newer) finds optical flow; it is optional. Sets WEFT_HAVE_OPENCV, weft::flow to link and
# WEFT_FLOW_OTHER, the one of two sources of the io layer that is left out. Looked for by hand: on Debian
# and Ubuntu OpenCVConfig.cmake comes with the whole of OpenCV only.
include(CheckCXXSourceRuns)

# Debian's shared libopencv_video brings libprotobuf (its trackers use networks), and libsentencepiece
# brings another protobuf under the same names: together they crash before main(). From the archive only
# the flow is linked. Elsewhere the shared library may do, so what is found has to show that it runs.
function(weft_flow_runs library result)
  set(CMAKE_REQUIRED_INCLUDES ${WEFT_OPENCV_INCLUDE})
  set(CMAKE_REQUIRED_LIBRARIES PkgConfig::weft_sentencepiece ${library} ${WEFT_OPENCV_IMGPROC} ${WEFT_OPENCV_CORE})
  set(CMAKE_REQUIRED_QUIET ON)
  check_cxx_source_runs("
    #include <opencv2/video/tracking.hpp>
    #include <sentencepiece_processor.h>
    int main() {
      const sentencepiece::SentencePieceProcessor tokenizer;
      cv::Mat grey(64, 64, CV_8UC1, cv::Scalar(3)), flow;
      cv::DISOpticalFlow::create(cv::DISOpticalFlow::PRESET_FAST)->calc(grey, grey, flow);
      return tokenizer.status().ok() || flow.cols != 64;
    }" ${result})
endfunction()

set(WEFT_HAVE_OPENCV OFF)
if(NOT WEFT_OPENCV STREQUAL "OFF")
  find_path(WEFT_OPENCV_INCLUDE opencv2/video/tracking.hpp PATH_SUFFIXES opencv4)
  find_library(WEFT_OPENCV_VIDEO_ARCHIVE libopencv_video.a)
  find_library(WEFT_OPENCV_VIDEO opencv_video)
  find_library(WEFT_OPENCV_IMGPROC opencv_imgproc)
  find_library(WEFT_OPENCV_CORE opencv_core)
  if(WEFT_OPENCV_INCLUDE AND WEFT_OPENCV_IMGPROC AND WEFT_OPENCV_CORE)
    foreach(kind VIDEO_ARCHIVE VIDEO)
      if(WEFT_OPENCV_${kind} AND NOT WEFT_HAVE_OPENCV)
        weft_flow_runs(${WEFT_OPENCV_${kind}} WEFT_OPENCV_${kind}_RUNS)
        if(WEFT_OPENCV_${kind}_RUNS)
          set(WEFT_HAVE_OPENCV ON)
          set(weft_opencv_video ${WEFT_OPENCV_${kind}})
        endif()
      endif()
    endforeach()
  endif()
  if(NOT WEFT_HAVE_OPENCV AND WEFT_OPENCV STREQUAL "ON")
    message(FATAL_ERROR "WEFT_OPENCV=ON, but no OpenCV 4 was found that runs beside libsentencepiece: "
                        "install libopencv-video-dev, or add OpenCV's folder to CMAKE_PREFIX_PATH")
  endif()
endif()
message(STATUS "weft: optical flow by OpenCV ${WEFT_HAVE_OPENCV}")

add_library(weft_flow INTERFACE)
set(WEFT_FLOW_OTHER /flow_meter_opencv)
if(WEFT_HAVE_OPENCV)
  set(WEFT_FLOW_OTHER /flow_meter_absent)
  target_include_directories(weft_flow SYSTEM INTERFACE ${WEFT_OPENCV_INCLUDE})
  target_link_libraries(weft_flow INTERFACE ${weft_opencv_video} ${WEFT_OPENCV_IMGPROC} ${WEFT_OPENCV_CORE})
endif()
add_library(weft::flow ALIAS weft_flow)
