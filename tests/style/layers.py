#!/usr/bin/env python3
"""Who may include whom, and what else holds for every source file.

The arrows are those of docs/ARCHITECTURE.md, the same as USES in the CMakeLists.txt. A layer is a
folder. Each finding is one line, file:line and the arrow that is broken. First this program proves
to itself that every rule can fail: planted() breaks each of them once.
"""
import re
import subprocess
import sys

# layer: (layers it may include, libraries it may use, what of libc: "pure" or "any")
LAYERS = {
    "proto/base": ([], [], "any"),
    "proto": (["proto/base"], ["msgpack"], "pure"),
    "proto/json": (["proto", "proto/base"], ["json-c"], "any"),
    "proto/net": (["proto", "proto/base"], ["czmq", "zmq", "uv", "uthash"], "any"),
    "assertions": (["proto", "proto/base"], ["uthash"], "pure"),
    "assertions/lib": (["assertions", "proto", "proto/base"], ["ktassert"], "any"),
    "bpf": (["proto/base"], ["libbpf", "json-c", "uthash"], "any"),
    "coordinator/core": (["proto", "proto/base"], ["uthash"], "pure"),
    "coordinator/core/matrix": (["assertions", "proto", "proto/base"], ["uthash"], "pure"),
    "coordinator": (["coordinator/core", "coordinator/core/matrix", "assertions", "proto/json", "proto/net", "proto",
                     "proto/base"],
                    ["uv", "czmq", "zmq", "sqlite", "zstd", "json-c", "toml++", "libelf", "archive",
                     "sodium", "uthash", "ktassert"], "any"),
    "worker/core": (["proto", "proto/base"], ["uthash"], "pure"),
    "worker/introspect": (["proto", "proto/base"],
                          ["libbpf", "libelf", "zstd", "archive", "sodium", "uthash"], "any"),
    "worker": (["worker/core", "worker/introspect", "proto/json", "proto/net", "proto", "proto/base"],
               ["uv", "czmq", "zmq", "sqlite", "zstd", "json-c", "archive", "sodium", "uthash"], "any"),
    "worker/guest": (["worker/guest/work", "proto", "proto/base"], ["uthash"], "any"),
    "worker/guest/work": (["worker/guest", "proto", "proto/base"], ["uthash"], "any"),
}

# What one file may use and its layer may not.
FILES_MAY = {
    "proto/base/digest.c": ["sodium"],  # SHA-256
    "proto/schema_digest.c": ["sodium"],
}
# Only the shells log.
NEVER_LOG = ("proto", "proto/net", "assertions", "coordinator/core", "coordinator/core/matrix", "worker/core")
# Pure layers get "now" with their input. (clock.h also holds kt_clock_add_ns, which they may use.)
NEVER_CALLED_IN_CORE = re.compile(
    r"(?<![\w.>])(f?printf|puts|putchar|perror|fopen|fdopen|popen|tmpfile|remove|rename|getenv|setenv|"
    r"system|fork|time|clock|clock_gettime|kt_clock_now_ns|kt_clock_wall_ns|rand|random|exit|open|close|read|write|socket)\s*\(")
CORES = ("coordinator/core", "coordinator/core/matrix", "worker/core", "assertions", "proto")

LIBRARIES = [  # what stands between < and >: whose it is
    (r"msgpack(/.*)?\.h", "msgpack"), (r"czmq\.h", "czmq"), (r"zmq\.h", "zmq"), (r"uv\.h", "uv"),
    (r"sqlite3\.h", "sqlite"), (r"json\.h|json-c/.*", "json-c"), (r"archive(_entry)?\.h", "archive"),
    (r"zstd(_errors)?\.h", "zstd"), (r"(g?elf|libelf)\.h", "libelf"), (r"bpf/.*", "libbpf"),
    (r"ktassert(_plugin)?\.h", "ktassert"),  # as strangers write it
    (r"sodium\.h", "sodium"), (r"ut(hash|list|array|string)\.h", "uthash"), (r"toml\+\+/.*", "toml++"),
]
PURE_LIBC = set("""assert ctype errno float inttypes limits math regex stdalign stdarg stdbool stddef stdint
    stdio stdlib string strings iso646 endian byteswap""".split())
LIBC = PURE_LIBC | set("""cpuid dirent dlfcn elf fcntl fnmatch fts ftw getopt glob grp libgen locale poll pthread pwd
    sched setjmp signal spawn stdatomic syslog termios threads time ucontext unistd wchar""".split())
LIBC_FOLDERS = ("sys/", "linux/", "asm/", "arpa/", "net/", "netinet/")
CXX = set("algorithm cerrno cinttypes climits cmath cstdarg cstddef cstdint cstdio cstdlib cstring exception "
          "fstream memory optional sstream string string_view utility vector".split())

# Included more than once, by what they are.
NO_GUARD = {"proto/def_begin.h", "proto/def_end.h", "proto/schema_structs.h", "proto/schema_tables.h"}
# Exported beside the stem's own prefix, and why the file wins here.
ALSO_EXPORTS = {
    "coordinator/core/dispatch.c": ["kt_out_"],  # the effects it collects, named for their readers
    "proto/value.c": ["kt_pack_"],  # both are verbs of the packer, and need the value's inside
}
MAIN = {"main"}  # one per program

HOST_NAME = re.compile(
    r"\b(?:[a-z0-9-]+\.)*(?:debian\.(?:org|net)|ubuntu\.com|npmjs\.(?:org|com)|pypi\.org|crates\.io|"
    r"pythonhosted\.org|golang\.org|docker\.(?:io|com)|ghcr\.io|rubygems\.org)\b")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCE = re.compile(r"\.(c|h|cpp|def)$")


def layer_of(path):
    folder = path.rpartition("/")[0]
    return folder if folder in LAYERS else None


def stem_of(path):
    return path.rpartition("/")[2].partition(".")[0]


def library_of(header):
    for pattern, library in LIBRARIES:
        if re.fullmatch(pattern, header):
            return library
    name = header[:-2] if header.endswith(".h") else None
    if name in LIBC or header.startswith(LIBC_FOLDERS) or header in CXX:
        return "libc"
    return None


def blank(text):
    """text without comments and the inside of strings; every line keeps its number."""
    def keep_lines(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] + piece[0]
        return "\n" * piece.count("\n") or " "
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', keep_lines, text,
                  flags=re.S)


def exported(text):
    """(line, name) of every function and variable that is defined without static."""
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), blank(text),
                  flags=re.M)
    depth = start = 0
    found = []

    def take(declaration, at, opens):
        words = re.sub(r"__attribute__\s*\(\(.*?\)\)(?=\s)|_Static_assert\s*\(.*\)|\bKT_\w+\([^()]*\)", " ",
                       declaration, flags=re.S)
        if re.search(r"\b(static|typedef|extern)\b", words) or not words.strip():
            return
        if opens == ";" and "(" in words:
            return  # a prototype
        if opens == "{" and "(" not in words:
            return  # a struct, union or enum
        head = words.partition("(")[0] if "(" in words else words
        head = re.sub(r"\[.*", "", head.partition("=")[0], flags=re.S)
        names = re.findall(r"[A-Za-z_]\w*", head)
        if len(names) < 2 and "(" not in words:
            return
        if names and names[-1] not in ("struct", "enum", "union") and \
           not re.fullmatch(r"\s*(struct|enum|union)\s+\w+\s*", head):
            line = text.count("\n", 0, at + len(declaration) - len(declaration.lstrip())) + 1
            found.append((line, names[-1]))

    initializer = False
    for at, char in enumerate(text):
        if char == "{":
            if depth == 0 and not initializer:
                declaration = text[start:at]
                initializer = "=" in declaration.partition("(")[0]
                if not initializer:
                    take(declaration, start, "{")
                else:
                    take(declaration.partition("=")[0], start, "=")
            depth += 1
        elif char == "}":
            depth = max(0, depth - 1)
            if depth == 0 and not initializer:
                start = at + 1
        elif char == ";" and depth == 0:
            if not initializer:
                take(text[start:at], start, ";")
            initializer = False
            start = at + 1
    return found


def check_includes(path, text, files):
    layer = layer_of(path)
    if not layer:
        return
    may, libraries, libc = LAYERS[layer]
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        where, header = f"{path}:{number}", match.group(2)
        if match.group(1) == '"':
            target = layer_of(header)
            if header.endswith(".skel.h"):
                continue  # made by bpftool
            if header not in files:
                yield f"{where}: \"{header}\": there is no such file (includes go from the root)"
            elif target is None:
                yield f"{where}: {layer} -> {header}: that is no layer"
            elif header == "proto/base/log.h" and layer in NEVER_LOG:
                yield f"{where}: {layer} -> {header}: this layer never logs"
            elif target != layer and target not in may:
                yield f"{where}: {layer} -> {target}: it may include only {', '.join(may) or 'libc'}"
            continue
        library = library_of(header)
        if library is None:
            yield f"{where}: <{header}>: whose is it? (LIBRARIES or LIBC in tests/style/layers.py)"
        elif library == "libc":
            if libc == "pure" and header.endswith(".h") and header[:-2] not in PURE_LIBC:
                yield f"{where}: {layer} -> <{header}>: this layer is pure: no clock, file, socket, process"
        elif library not in libraries and library not in FILES_MAY.get(path, ()):
            yield f"{where}: {layer} -> {library} (<{header}>): it may use only {', '.join(libraries) or 'libc'}"


def check_calls(path, text):
    in_core = layer_of(path) in CORES
    for number, line in enumerate(blank(text).split("\n"), 1):
        if re.search(r"\bzsock_fd\s*\(", line) and path != "proto/net/zwatch.c" and layer_of(path):
            yield f"{path}:{number}: zsock_fd: only proto/net/zwatch.c touches the fd (it is edge-triggered)"
        call = NEVER_CALLED_IN_CORE.search(line) if in_core else None
        if call:
            yield f"{path}:{number}: {layer_of(path)} calls {call.group(1)}(): this layer is pure"


def check_names(path, text):
    if not layer_of(path) or not path.endswith(".c") or path.endswith(".bpf.c"):
        return
    prefix = "kt_" + stem_of(path)
    for number, name in exported(text):
        if any(name.startswith(other) for other in ALSO_EXPORTS.get(path, ())):
            continue
        if name != prefix and not name.startswith(prefix + "_") and name != "main":
            yield f"{path}:{number}: {name}: what {path} exports begins with {prefix}_ (or is static)"


def check_header(path, text):
    if not layer_of(path) or not path.endswith(".h"):
        return
    if not text.lstrip().startswith("/*"):
        yield f"{path}:1: a header begins with a comment that says what it is for"
    guard = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
    if path not in NO_GUARD and (not guard or guard.group(1) != guard.group(2)):
        yield f"{path}:1: a header without a guard"


def check_stems(files):
    homes = {}
    for path in sorted(files):
        if layer_of(path) and path.endswith((".c", ".h", ".cpp")) and stem_of(path) not in MAIN:
            homes.setdefault(stem_of(path), []).append(path)
    for stem, paths in homes.items():
        if len({layer_of(path) for path in paths}) > 1:
            yield f"{paths[-1]}:1: the stem {stem} is taken by {paths[0]}: stems are unique in the tree"


def check_hosts(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        match = HOST_NAME.search(line)
        if match:
            yield f"{path}:{number}: {match.group(0)}: no host name of a mirror or registry in the tree"


def check(files):
    """files: path from the root -> text. Every finding, in the order of the files."""
    findings = []
    for path in sorted(files):
        text = files[path]
        if SOURCE.search(path):
            for rule in (check_calls, check_names, check_header):
                findings += rule(path, text)
            findings += check_includes(path, text, files)
        findings += check_hosts(path, text)
    return findings + list(check_stems(files))


def header(stem, *lines):
    guard = f"KT_{stem.upper()}_H"
    return "\n".join([f"/* {stem}.h - planted */", f"#ifndef {guard}", f"#define {guard}", *lines, "#endif", ""])


def planted():
    """Every rule broken once: (files, what must be found). And a tree where nothing is wrong."""
    good = {
        "proto/base/err.h": header("err", "int kt_err_set(void);"),
        "proto/base/log.h": header("log"), "proto/net/router.h": header("router", "#include <czmq.h>"),
        "coordinator/core/matrix/matrix.h": header("matrix"),
        "coordinator/core/sweep.h": header("sweep", '#include "proto/base/err.h"', "#include <uthash.h>"),
        "coordinator/core/sweep.c":
            '#include "coordinator/core/sweep.h"\n#include <string.h>\nstatic int hidden(void)\n{\n\treturn 1;\n}\n'
            "/* static */ struct kt_sweep *kt_sweep_new(int n)\n{\n\tif (n) {\n\t\treturn 0;\n\t}\n\treturn 0;\n}\n"
            'const char *const kt_sweep_names[] = { "a;{", "b" };\n__attribute__((cold, format(printf, 1, 2))) int\n'
            "kt_sweep_last(const char *format, ...)\n{\n\treturn hidden();\n}\nstruct row {\n\tint a;\n};\n",
    }
    one = ["coordinator/core/sweep.c"]
    bad = [
        ({"coordinator/core/a.h": header("a", "#include <time.h>")}, "coordinator/core/a.h:4: coordinator/core -> <time.h>"),
        ({"coordinator/core/a.h": header("a", "#include <sys/socket.h>")}, "-> <sys/socket.h>"),
        ({"coordinator/core/a.h": header("a", '#include "proto/base/log.h"')}, "never logs"),
        ({"coordinator/core/a.h": header("a", "#include <uv.h>")}, "coordinator/core -> uv"),
        ({"coordinator/core/a.h": header("a", '#include "proto/net/router.h"')}, "coordinator/core -> proto/net"),
        ({"coordinator/core/a.h": header("a", '#include "coordinator/core/matrix/matrix.h"')},
         "coordinator/core -> coordinator/core/matrix"),
        ({"assertions/a.h": header("a", '#include "coordinator/core/sweep.h"')}, "assertions -> coordinator/core"),
        ({"worker/a.h": header("a", '#include "coordinator/core/sweep.h"')}, "worker -> coordinator/core"),
        ({"worker/guest/a.h": header("a", "#include <czmq.h>")}, "worker/guest -> czmq"),
        ({"worker/guest/a.h": header("a", '#include "proto/net/router.h"')}, "worker/guest -> proto/net"),
        ({"proto/base/a.h": header("a", "#include <sodium.h>")}, "proto/base -> sodium"),
        ({"proto/a.h": header("a", "#include <surprise.h>")}, "whose is it?"),
        ({"proto/a.h": header("a", '#include "b.h"')}, "there is no such file"),
        ({"worker/a.c": "int kt_a_x(void)\n{\n\treturn zsock_fd(0);\n}\n"}, "worker/a.c:3: zsock_fd"),
        ({"worker/core/a.c": "int kt_a_x(void)\n{\n\treturn time(0);\n}\n"}, "worker/core/a.c:3: worker/core calls time()"),
        ({"assertions/a.c": "int kt_a(void)\n{\n\treturn kt_clock_now_ns() > 0;\n}\n"}, "calls kt_clock_now_ns()"),
        ({"worker/a.c": "int n;\n\nint kt_b_x(void)\n{\n\treturn 0;\n}\n"}, "worker/a.c:3: kt_b_x"),
        ({"worker/a.c": "\nint kt_other;\n"}, "worker/a.c:2: kt_other"),
        ({"worker/a.c": "const struct x kt_other = {\n\t.a = 1,\n};\n"}, "worker/a.c:1: kt_other"),
        ({"worker/a.h": "/* a.h - no guard */\nint kt_a_x(void);\n"}, "worker/a.h:1: a header without a guard"),
        ({"worker/a.h": header("a").split("\n", 1)[1]}, "begins with a comment"),
        ({"worker/sweep.h": header("sweep")}, "the stem sweep is taken"),
        ({"README.md": "see\nhttp://ftp.xx." + "debian" + ".org/\n"}, "README.md:2: ftp.xx."),
    ]
    findings = check(good)
    if findings:
        raise SystemExit("self-test: a good tree was refused: " + "; ".join(findings))
    names = [name for _, name in exported(good[one[0]])]
    if names != ["kt_sweep_new", "kt_sweep_names", "kt_sweep_last"]:
        raise SystemExit(f"self-test: exported() found {names}")
    for plant, expected in bad:
        findings = check({**good, **plant})
        if not any(expected in finding for finding in findings):
            raise SystemExit(f"self-test: not found: {expected}; found: {findings}")
    return len(bad)


def main():
    plants = planted()
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True, text=True,
                            capture_output=True).stdout.splitlines()
    files = {}
    for path in listed:
        try:
            with open(path, encoding="utf-8") as file:
                files[path] = file.read()
        except (FileNotFoundError, UnicodeDecodeError, IsADirectoryError):
            continue  # removed but not committed; a corpus
    findings = check(files)
    for finding in findings:
        print(finding)
    sources = sum(1 for path in files if layer_of(path) and SOURCE.search(path))
    if sources == 0:
        raise SystemExit("no source found: not run in the project's folder?")
    print(f"{len(findings)} findings in {sources} sources ({plants} planted ones were all found)")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
