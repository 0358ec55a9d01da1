# How everything here is built: one set of flags, and libraries that see only what they link.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Without NDEBUG: a broken invariant ends the process with a message, also in a release.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

set(SARANG_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, for example address,undefined")
option(SARANG_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
# The libraries that are linked, found once for all folders.
foreach(module jansson liburing zlib libzstd libseccomp libcap-ng)
	pkg_check_modules(${module} REQUIRED IMPORTED_TARGET ${module})
endforeach()

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
	-Wpointer-arith -Wvla -Wformat=2 -Wundef -Wwrite-strings -fno-strict-aliasing
	-fstack-protector-strong)
add_compile_definitions(_GNU_SOURCE SARANG_VERSION="${PROJECT_VERSION}")
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
	add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-Wl,-z,relro,-z,now)
if(SARANG_SANITIZE)
	add_compile_options(-fsanitize=${SARANG_SANITIZE} -fno-omit-frame-pointer
		-fno-sanitize-recover=all)
	add_link_options(-fsanitize=${SARANG_SANITIZE})
endif()
if(SARANG_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
	add_link_options(-fsanitize=address,undefined)
endif()

# sarang_library(NAME SOURCES... [PUBLIC LIBS...] [PRIVATE LIBS...])
#
# A folder is a static library. Its headers are reached as "NAME/header.h", through a link that
# only targets which link the library have on their include path: a wrong include does not build.
function(sarang_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
	set(root ${CMAKE_BINARY_DIR}/include/${name})
	file(MAKE_DIRECTORY ${root})
	file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
	add_library(${name} STATIC ${ARG_SOURCES})
	target_include_directories(${name} PUBLIC ${root})
	target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# sarang_unit_test(NAME SOURCES... LIBS...): one Check program, run by ctest under the label "unit".
function(sarang_unit_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
	if(SARANG_FUZZ)
		return()
	endif()
	add_executable(unit-${name} ${ARG_SOURCES})
	target_link_libraries(unit-${name} PRIVATE ${ARG_LIBS} unit_main PkgConfig::check Threads::Threads)
	add_test(NAME unit/${name} COMMAND unit-${name})
	# Bounds against hangs, far from what a sanitizer on a busy machine needs.
	set_tests_properties(unit/${name} PROPERTIES LABELS unit TIMEOUT 900
		ENVIRONMENT CK_TIMEOUT_MULTIPLIER=10)
endfunction()

# sarang_fuzzer(NAME SOURCES... LIBS...): a libFuzzer target, built by the preset "fuzz" only.
function(sarang_fuzzer name)
	cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
	if(NOT SARANG_FUZZ)
		return()
	endif()
	add_executable(fuzz-${name} ${ARG_SOURCES})
	target_link_libraries(fuzz-${name} PRIVATE ${ARG_LIBS} Threads::Threads)
	target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
endfunction()
