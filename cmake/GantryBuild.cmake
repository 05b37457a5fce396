# Compiler settings, third-party packages and the helpers that every folder's CMakeLists.txt uses.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# One code model for libraries and programs alike, so that all share one precompiled header.
add_compile_options(-fPIC -pthread)

option(GANTRY_TESTS "Build the tests" ON)
# Sanitizers and static linking exclude each other, so the sanitizer presets turn this off.
option(GANTRY_STATIC_SHIM "Link the shim statically" ON)
# Needs clang++ (preset `fuzz`); without it the fuzz targets only replay their corpora, as tests.
option(GANTRY_FUZZ "Link the fuzz targets with libFuzzer" OFF)
set(GANTRY_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

add_compile_options(-Wall -Wextra -Werror -Wno-missing-field-initializers
                    $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees these in its own std::string and std::vector (GCC bugs 105329, 105651): shown, not fatal.
  add_compile_options(-Wno-error=array-bounds -Wno-error=restrict -Wno-error=stringop-overflow
                      -Wno-error=stringop-overread)
endif()
add_compile_definitions(_GNU_SOURCE)
if(NOT GANTRY_SANITIZE)
  add_compile_options(-fstack-protector-strong)
  add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
else()
  add_compile_options(-fsanitize=${GANTRY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
                      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_link_options(-fsanitize=${GANTRY_SANITIZE})
endif()
# Instruments everything for coverage; the driver itself is linked to the fuzz targets alone.
if(GANTRY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# ccache and mold when they are there; neither is needed.
find_program(GANTRY_CCACHE ccache)
if(GANTRY_CCACHE)
  # The precompiled header makes ccache refuse without these.
  set(GANTRY_CCACHE_SETTINGS CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
                             CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env ${GANTRY_CCACHE_SETTINGS} ${GANTRY_CCACHE})
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
endif()
find_program(GANTRY_MOLD mold)
if(GANTRY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(LIBZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LIBISAL REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
find_package(spdlog CONFIG REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
find_program(GANTRY_PROTOC protoc REQUIRED)
find_program(GANTRY_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
if(GANTRY_TESTS)
  find_package(GTest CONFIG REQUIRED)
  include(GoogleTest)
endif()

# gantry_library(NAME SOURCES a.cc... [DEPS public...] [PRIVATE_DEPS ...] [GRPC] [NO_PCH])
#
# A static library whose include root is the repository. GRPC links gRPC and uses the precompiled
# header that holds it; without it a file that includes grpcpp still compiles, which is why the
# `layering` test reads the includes as well.
function(gantry_library name)
  cmake_parse_arguments(ARG "GRPC;NO_PCH" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
  endif()
  if(NOT ARG_NO_PCH)
    gantry_use_pch(${name} ${ARG_GRPC})
  endif()
endfunction()

# One precompiled header for plain code and one for code that speaks gRPC; every target reuses them.
function(gantry_use_pch name grpc)
  if(grpc)
    if(TARGET gantry_pch_grpc)
      target_precompile_headers(${name} REUSE_FROM gantry_pch_grpc)
    endif()
  elseif(TARGET gantry_pch)
    target_precompile_headers(${name} REUSE_FROM gantry_pch)
  endif()
endfunction()

file(WRITE ${CMAKE_BINARY_DIR}/pch/empty.cc "")
add_library(gantry_pch OBJECT ${CMAKE_BINARY_DIR}/pch/empty.cc)
target_link_libraries(gantry_pch PUBLIC absl::status absl::statusor absl::strings absl::time)
target_precompile_headers(gantry_pch PRIVATE
  <algorithm> <atomic> <cerrno> <cstdint> <cstring> <functional> <map> <memory> <mutex> <optional>
  <set> <span> <string> <utility> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/string_view.h>
  <absl/time/time.h>)

file(WRITE ${CMAKE_BINARY_DIR}/pch/empty_grpc.cc "")
add_library(gantry_pch_grpc OBJECT ${CMAKE_BINARY_DIR}/pch/empty_grpc.cc)
target_link_libraries(gantry_pch_grpc PUBLIC gRPC::grpc++ absl::status absl::statusor absl::strings absl::time)
target_precompile_headers(gantry_pch_grpc PRIVATE
  <cerrno> <cstdint> <cstring> <functional> <map> <memory> <mutex> <optional> <set> <span> <string>
  <utility> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/string_view.h>
  <absl/time/time.h> <grpcpp/grpcpp.h>)

# gantry_test(NAME SOURCES a_test.cc... [DEPS ...] [LABELS ...] [TIMEOUT seconds] [GRPC] [SANITIZED] [THREADED])
#
# A GoogleTest program; each TEST is a ctest of its own, so that they run in parallel. SANITIZED ones are
# run again under the address and undefined-behaviour sanitizers by tests/run.sh, THREADED ones under the
# thread sanitizer: those whose threads meet only in code of ours, since Debian's gRPC is not instrumented.
function(gantry_test name)
  cmake_parse_arguments(ARG "GRPC;SANITIZED;THREADED" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  gantry_use_pch(${name} ${ARG_GRPC})
  if(ARG_SANITIZED)
    list(APPEND ARG_LABELS sanitized)
    set_property(GLOBAL APPEND PROPERTY GANTRY_SANITIZED_TESTS ${name})
  endif()
  if(ARG_THREADED)
    list(APPEND ARG_LABELS threaded)
    set_property(GLOBAL APPEND PROPERTY GANTRY_THREADED_TESTS ${name})
  endif()
  # A list would not survive gtest_discover_tests; ctest -L takes a regular expression, so one word does.
  list(JOIN ARG_LABELS "-" labels)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${labels}")
endfunction()

# gantry_fuzz(NAME SOURCES a_fuzz.cc... [DEPS ...] [GRPC])
#
# A libFuzzer target whose seeds lie in corpus/NAME beside the caller. It is a test too: one that replays
# the seeds, so that what was found once stays fixed. tests/fuzz/run.sh searches for more.
function(gantry_fuzz name)
  cmake_parse_arguments(ARG "GRPC" "" "SOURCES;DEPS" ${ARGN})
  set(target gantry_fuzz_${name})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(NOT GANTRY_FUZZ)
    list(APPEND ARG_SOURCES ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
  endif()
  add_executable(${target} ${ARG_SOURCES})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS})
  gantry_use_pch(${target} ${ARG_GRPC})
  if(GANTRY_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    add_test(NAME FuzzCorpus.${name} COMMAND ${target} ${corpus})
    set_tests_properties(FuzzCorpus.${name} PROPERTIES TIMEOUT 60 LABELS fuzz-sanitized)
    set_property(GLOBAL APPEND PROPERTY GANTRY_SANITIZED_TESTS ${target})
  endif()
  set_property(GLOBAL APPEND PROPERTY GANTRY_FUZZ_TARGETS ${target})
endfunction()

# gantry_link_static(PROGRAM LIBRARY...)
#
# Links PROGRAM statically with libraries of ours, all of them named, and with what they need of
# abseil, protobuf-lite, libseccomp and libcrypto. Stripped. By file name: abseil's CMake targets name
# its shared libraries, which a static link takes without a word (mold) and leaves calls to address 0.
function(gantry_link_static program)
  set(archives "")
  foreach(library IN LISTS ARGN)
    list(APPEND archives $<TARGET_FILE:${library}>)
  endforeach()
  get_target_property(absl_shared absl::status IMPORTED_LOCATION_NONE)
  if(NOT absl_shared)
    get_target_property(absl_shared absl::status LOCATION)
  endif()
  get_filename_component(absl_dir ${absl_shared} DIRECTORY)
  file(GLOB absl_archives ${absl_dir}/libabsl_*.a)
  if(NOT absl_archives)
    message(FATAL_ERROR "GANTRY_STATIC_SHIM needs abseil's static libraries beside ${absl_shared}")
  endif()
  add_dependencies(${program} ${ARGN})
  set_target_properties(${program} PROPERTIES LINK_DEPENDS "${archives}")
  target_link_options(${program} PRIVATE -static -Wl,--gc-sections -Wl,-s)
  target_link_libraries(${program} PRIVATE
    -Wl,--start-group ${archives} ${PROTOBUF_LITE_STATIC} ${absl_archives} -l:libseccomp.a
    -l:libcrypto.a -Wl,--end-group)
endfunction()

# Adds a folder if it has a CMakeLists.txt.
function(gantry_add_folder folder)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()
