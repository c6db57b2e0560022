# layers.cmake - how a folder becomes a library, and a test file a test.
#
# A layer is a folder: kt_layer(proto/net ...) compiles proto/net/*.c into the static library
# kt_proto_net. Who may use whom is written once, in each layer's USES; tests/style/layers.py reads
# the includes and checks the same arrows.

find_package(PkgConfig REQUIRED)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack)
pkg_check_modules(CZMQ REQUIRED IMPORTED_TARGET libczmq)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(JSON REQUIRED IMPORTED_TARGET json-c)
pkg_check_modules(TOML REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(BPF REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(ELF REQUIRED IMPORTED_TARGET libelf)

set(KT_WARNINGS -Wall -Wextra -Wshadow -Wpointer-arith -Wvla -Wno-unused-parameter)
set(KT_WARNINGS_C -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition)
set(KT_DEFINES _GNU_SOURCE KT_VERSION="${PROJECT_VERSION}")

add_library(kt_options INTERFACE)
target_include_directories(kt_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
target_compile_definitions(kt_options INTERFACE ${KT_DEFINES})
target_compile_options(kt_options INTERFACE ${KT_WARNINGS} $<$<COMPILE_LANGUAGE:C>:${KT_WARNINGS_C}>
	-fstack-protector-strong)
if(KT_WERROR)
	target_compile_options(kt_options INTERFACE -Werror)
endif()
if(KT_SANITIZE)
	target_compile_options(kt_options INTERFACE -fsanitize=${KT_SANITIZE} -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
	target_link_options(kt_options INTERFACE -fsanitize=${KT_SANITIZE})
endif()
if(KT_FUZZ)
	target_compile_options(kt_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# kt_layer(<folder> [USES target...] [EXCEPT file...]): *.c and *.cpp of the folder, not of those below.
function(kt_layer folder)
	cmake_parse_arguments(ARG "" "" "USES;EXCEPT" ${ARGN})
	string(REPLACE "/" "_" target "kt_${folder}")
	file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c
		${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
	foreach(file ${ARG_EXCEPT})
		list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/${folder}/${file})
	endforeach()
	if(NOT sources)
		add_library(${target} INTERFACE)
		target_link_libraries(${target} INTERFACE kt_options ${ARG_USES})
		return()
	endif()
	add_library(${target} STATIC ${sources})
	target_link_libraries(${target} PUBLIC kt_options ${ARG_USES})
endfunction()

# kt_guest_program(<name> <source...>): static, unsanitized, for inside the guest. It compiles what it
# needs from proto itself, because a sanitized archive cannot go into a static program.
function(kt_guest_program name)
	cmake_parse_arguments(ARG "" "" "LIBS;INCLUDES" ${ARGN})
	add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated
		${ARG_INCLUDES})
	target_compile_definitions(${name} PRIVATE ${KT_DEFINES})
	target_compile_options(${name} PRIVATE ${KT_WARNINGS} ${KT_WARNINGS_C} -O2
		$<$<BOOL:${KT_WERROR}>:-Werror>)
	target_link_options(${name} PRIVATE -static -Wl,--gc-sections $<$<NOT:$<CONFIG:Debug>>:-s>)
	# else CMake ends the line with -Bdynamic, and libc comes out shared
	set_target_properties(${name} PROPERTIES LINK_SEARCH_END_STATIC ON)
	target_link_libraries(${name} PRIVATE ${ARG_LIBS})
endfunction()
