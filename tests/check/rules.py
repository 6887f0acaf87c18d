"""The rules of this repository that a machine can check: rules.py ROOT BUILD_DIR prints TAP, one line a rule.

Each rule is a function that yields one sentence per violation. rules_test.py shows that each of them can fail.
"""
import os
import re
import shutil
import subprocess
import sys

CHECK = "tests/check"
MAX_FUNCTION = 60
MAX_FILE = 800


class Repo:
    def __init__(self, root, build):
        self.root, self.build = os.path.abspath(root), os.path.abspath(build)
        self.files = sorted(self._list())
        self.c_files = [f for f in self.files if f.endswith((".c", ".h"))]
        self.headers = [f for f in self.files if re.fullmatch(r"libchannel/include/channel/\w+\.h", f)]
        self.archive = os.path.join(self.build, "libchannel", "libchannel.a")
        self.shared = os.path.join(self.build, "libchannel", "libchannel.so")

    def _list(self):
        """Tracked and new files where git knows them, else every file that is no build product."""
        if shutil.which("git") and os.path.exists(os.path.join(self.root, ".git")):
            command = ["git", "-C", self.root, "ls-files", "-z", "-c", "-o", "--exclude-standard"]
            names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
            return [n for n in names if n and os.path.isfile(os.path.join(self.root, n))]
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if f not in (".git", "node_modules", "__pycache__")]
            if folder == self.root:
                folders[:] = [f for f in folders if f != "build" and not f.startswith("build-")]
            found += [os.path.relpath(os.path.join(folder, n), self.root) for n in names]
        return found

    def text(self, name):
        """The file's text, or "" for a binary file."""
        with open(os.path.join(self.root, name), "rb") as file:
            data = file.read()
        return "" if b"\0" in data else data.decode(errors="replace")

    def allowed(self, name):
        lines = (line.split("#")[0].strip() for line in self.text(f"{CHECK}/{name}").splitlines())
        return [line for line in lines if line]


def command(argv, **options):
    """(exit status, output) of a command, errors included."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    return done.returncode, done.stdout


def parallel(function, items):
    """The violations that function(item) yields, over all processors."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for violations in pool.map(lambda item: list(function(item)), items):
            yield from violations


# --- Include directions: proto <- libchannel <- ports of channeld <- channeld -----------------------------------------

PURE_HEADERS = re.compile(r"(std(int|def|bool|lib|align|noreturn)|string|limits|inttypes|assert|endian)\.h|secp256k1\w*\.h|"
                          r"sodium(/\w+)?\.h|pb(_\w+)?\.h")
PUBLIC_HEADERS = re.compile(r"(std(int|def|bool)|string|limits)\.h")
SEARCHED = ("", "libchannel/include", "libchannel/src", "channeld", "proto", "tests", "tests/support")
MAY_INCLUDE = {
    "public": {"public"},
    "library": {"public", "library", "proto"},
    "util": {"public", "util", "proto"},
    "ports.h": {"public", "util", "proto", "ports.h"},
    "port": {"public", "util", "proto", "ports.h"},  # and its own folder, and those around it
    "cli": {"public", "util"},  # the same
}


def layer(name):
    """The layer a file belongs to, and the folder within it for a port."""
    if name.endswith(".pb.h"):
        return "proto"
    for prefix, found in (("libchannel/include/", "public"), ("libchannel/", "library"), ("channeld/util/", "util"),
                          ("channeld/ports.", "ports.h"), ("proto/", "proto")):
        if name.startswith(prefix):
            return found
    port = re.match(r"channeld/((?:l1/)?\w+)/", name)  # each chain's adapter is a port of its own
    return f"port {port[1]}" if port else "top"


def resolve(repo, includer, target):
    """The file of the repository that an #include means, or None."""
    for folder in (os.path.dirname(includer), *SEARCHED):
        candidate = os.path.normpath(os.path.join(folder, target))
        if candidate in repo.known:
            return candidate
    return None


def include_violation(repo, includer, bracket, target):
    own = layer(includer)
    found = target if target.endswith(".pb.h") else resolve(repo, includer, target)
    if found is None:
        if bracket == '"':
            return f"cannot find {target}"
        pure = {"public": PUBLIC_HEADERS, "library": PURE_HEADERS}.get(own)
        return f"<{target}> is not on the list of pure headers" if pure and not pure.fullmatch(target) else None
    other = layer(found)
    if own == "top":
        inner = other == "library" and includer.startswith("channeld/")
        return f"{found} is private to libchannel" if inner else None
    kind = "cli" if own == "port cli" else "port" if own.startswith("port ") else own
    allowed = MAY_INCLUDE.get(kind, set())
    return None if other in allowed or other == own or own.startswith(f"{other}/") else f"{own} may not include {found} ({other})"


def include_directions(repo):
    repo.known = set(repo.files)
    for name in repo.c_files:
        for number, line in enumerate(repo.text(name).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            problem = match and include_violation(repo, name, match[1], match[2])
            if problem:
                yield f"{name}:{number}: {problem}"


# --- Symbols ----------------------------------------------------------------------------------------------------------

def symbols(path, *options):
    """[(object, symbol)] as nm lists them."""
    status, output = command(["nm", "-A", "-P", *options, path])
    if status != 0:
        raise FileNotFoundError(f"{path} cannot be read; build first")
    return re.findall(r"^(.+?): (\S+) ", output, re.M)


def undefined_symbols(repo):
    """libchannel.a is pure: all that it needs from outside stands on a list."""
    defined = {symbol for _, symbol in symbols(repo.archive, "--defined-only")}
    allowed = re.compile("|".join(f"(?:{line})" for line in repo.allowed("symbols.allow")))
    for where, symbol in symbols(repo.archive, "--undefined-only"):
        if symbol not in defined and not allowed.fullmatch(symbol):
            yield f"{os.path.basename(where)} needs {symbol}, which {CHECK}/symbols.allow does not list"


def exported_symbols(repo):
    """libchannel.so exports what the public headers declare, no more and no less."""
    exported = {symbol for _, symbol in symbols(repo.shared, "-D", "--defined-only")}
    declared = set()
    for name in repo.headers:
        text = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#.*?$", "", repo.text(name), flags=re.S | re.M)
        declared |= set(re.findall(r"\bCH_API\s[^;{]*?\b(ch_\w+)\s*[(\[;]", text))
    yield from (f"{s} is exported without the prefix ch_" for s in sorted(exported) if not s.startswith("ch_"))
    yield from (f"{s} is exported but in no public header" for s in sorted(exported - declared) if s.startswith("ch_"))
    yield from (f"{s} is declared in a public header but not defined" for s in sorted(declared - exported))


# --- Text and form ----------------------------------------------------------------------------------------------------

def public_headers(repo):
    """Each public header compiles alone, as C and as C++, without a warning."""
    languages = (("gcc", "c", "-std=c17"), ("clang", "c", "-std=c17"), ("clang++", "c++", "-std=c++17"))

    def compile_alone(job):
        name, (compiler, language, standard) = job
        include = os.path.relpath(name, "libchannel/include")
        argv = [compiler, "-x", language, standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only",
                f"-I{repo.root}/libchannel/include", "-"]
        status, output = command(argv, input=f'#include "{include}"\n')
        if status != 0:
            yield f"{name} with {compiler} {standard}: {output.strip()}"

    yield from parallel(compile_alone, [(h, l) for h in repo.headers for l in languages])


def formatting(repo):
    """Every C file is as clang-format writes it."""
    def check(name):
        status, output = command(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", name], cwd=repo.root)
        if status != 0:
            yield (output.strip().splitlines() or [f"{name}: clang-format failed"])[0]

    yield from parallel(check, repo.c_files)


def functions(text):
    """(name, first line, number of lines) of each function, in a file that clang-format wrote; of JavaScript's, those that
    begin with a line of their own at the left margin."""
    signature, function = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if function is None and re.match(r"[A-Za-z_]", line):
            signature, start = line, number
        elif signature:
            signature += line
        if signature and line.endswith((";", "{", "}")):
            names = re.findall(r"(\w+)\(", re.sub(r"__attribute__\(\(.*?\)\)", "", signature))
            function = names[0] if names and line.endswith(") {") else None
            signature = ""
        if line.startswith("}") and function:
            yield function, start, number - start + 1
            function = None


def sizes(repo):
    """A function fits on a screen, a file is one idea."""
    allowed = set(repo.allowed("long.allow"))
    for name in repo.files:
        if not name.endswith((".c", ".h", ".js", ".py", ".sh", ".sol")):
            continue
        text = repo.text(name)
        length = text.count("\n")
        if length > MAX_FILE and name not in allowed:
            yield f"{name} has {length} lines; {MAX_FILE} are allowed"
        for function, line, length in functions(text) if name.endswith((".c", ".h", ".js")) else ():
            if length > MAX_FUNCTION and f"{name}:{function}" not in allowed:
                yield f"{name}:{line}: {function} has {length} lines; {MAX_FUNCTION} are allowed"


def open_marks(repo):
    """Nothing is left for later in the text of the repository."""
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    for name in repo.files:
        for number, line in enumerate(repo.text(name).splitlines(), 1):
            if marks.search(line):
                yield f"{name}:{number}: {line.strip()[:100]}"


def scripts(repo):
    """Shell scripts please shellcheck, Python files parse."""
    for name in repo.files:
        text = repo.text(name)
        if name.endswith(".sh") or re.match(r"#!.*\b(ba|da)?sh\b", text):
            for argv in (["bash", "-n", name], ["shellcheck", "-x", "-f", "gcc", name]):
                status, output = command(argv, cwd=repo.root)
                if status != 0:
                    yield f"{name}: {output.strip()}"
        elif name.endswith(".py"):
            try:
                compile(text, name, "exec")
            except SyntaxError as error:
                yield f"{name}:{error.lineno}: {error.msg}"


RULES = (include_directions, undefined_symbols, exported_symbols, public_headers, formatting, sizes, open_marks, scripts)


def main(root, build):
    repo = Repo(root, build)
    failed = 0
    for rule in RULES:
        name = "rule " + rule.__name__.replace("_", " ")
        try:
            violations = list(rule(repo))
        except FileNotFoundError as error:
            violations = [str(error)]
        failed += bool(violations)
        print(f"{'not ok' if violations else 'ok'} {name}")
        for violation in violations:
            print("\n".join("# " + line for line in violation.splitlines()))
    print(f"1..{len(RULES)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
