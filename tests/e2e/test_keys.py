"""Keys at rest, as a person and as a script meet them: `channeld init`, `channeld passphrase`, and the daemon's start.

A person is a pseudo-terminal: what is shown is read, what is asked is answered.
"""
import os
import pty
import re
import resource
import select
import subprocess
import sys
import time

from daemon import CHANNELD, WAIT, World, assert_fails, channeld, run

PASS = "correct horse battery"
LEGAL = "legal winner thank year wave sausage worth useful legal winner thank yellow"


class Person:
    """A program at a terminal."""

    def __init__(self, *argv, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, {**os.environ, "TERM": "xterm", **(env or {})})
        self.seen, self.at = "", 0

    def expect(self, pattern):
        """Reads until the pattern comes; what was before it is not looked at again."""
        deadline = time.monotonic() + WAIT
        while True:
            found = re.compile(pattern).search(self.seen, self.at)
            if found:
                self.at = found.end()
                return found
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"`{pattern}` did not come; seen: {self.seen!r}"
            assert self.read(), f"it ended before `{pattern}`; seen: {self.seen!r}"

    def read(self):
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # the other side is closed
            data = b""
        self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def say(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def end(self):
        """The exit status; all output is in `seen`."""
        while self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def read_words(person):
    person.expect("Write them down")
    person.expect("Press Enter")
    return [word for _, word in sorted((int(n), w) for n, w in re.findall(r" (\d+) ([a-z]+)", person.seen))]


def confirm(person, words):
    """Answers the three questions; returns the places that were asked for."""
    asked = []
    for _ in range(3):
        asked.append(int(person.expect(r"Word number (\d+): ")[1]))
        person.say(words[asked[-1] - 1])
    return asked


def node_id(text):
    return re.search(r"node id: ([0-9a-f]{66})", text)[1]


def passphrase_file(world, text, mode=0o600):
    path = os.path.join(world.folder, "passphrase")
    with open(path, "w") as file:
        file.write(text + "\n")
    os.chmod(path, mode)
    return path


def first_word(directory):
    with open(os.path.join(directory, "seed")) as file:
        return file.read().split()[1]


# --- Making keys ------------------------------------------------------------------------------------------------------

def init_with_a_person():
    """The passphrase twice, unseen; the words once, confirmed; and the words give the same node again."""
    with World() as world:
        one, two = (os.path.join(world.folder, name) for name in ("one", "two"))
        person = Person(CHANNELD, "init", "--dir", one, "--number", "24")
        for prompt in ("New passphrase: ", "The same again: "):
            person.expect(prompt)
            person.say(PASS)
        words = read_words(person)
        assert len(words) == 24
        person.say("")
        person.expect(r"\x1b\[2J\x1b\[3J")  # the screen and its past are cleared before anything is asked
        asked = confirm(person, words)
        assert asked == sorted(set(asked))
        assert person.end() == 0, person.seen
        assert PASS not in person.seen and first_word(one) == "argon2id"
        again = channeld("init", "--dir", two, "--words", "--no-passphrase", text=" ".join(words))
        assert again.returncode == 0 and node_id(again.stdout) == node_id(person.seen)


def init_with_wrong_answers():
    """One slip is forgiven, three are not, and then nothing was made."""
    with World() as world:
        one, two = (os.path.join(world.folder, name) for name in ("one", "two"))
        for directory, slips in ((one, 1), (two, 3)):
            person = Person(CHANNELD, "init", "--dir", directory, "--no-passphrase")
            words = read_words(person)
            person.say("")
            for _ in range(slips):
                person.expect(r"Word number (\d+): ")
                person.say("wrong")
                person.expect("not what was shown")
            if slips < 3:
                confirm(person, words)
            assert (person.end() == 0) == (slips < 3), person.seen
            assert os.path.exists(os.path.join(directory, "seed")) == (slips < 3)
        assert "nothing was made" in person.seen


def passphrases_that_differ():
    with World() as world:
        directory = os.path.join(world.folder, "one")
        person = Person(CHANNELD, "init", "--dir", directory)
        for prompt, answer in (("New passphrase: ", PASS), ("The same again: ", PASS + "x")):
            person.expect(prompt)
            person.say(answer)
        assert person.end() == 1
        assert "differ" in person.seen and not os.path.exists(os.path.join(directory, "seed"))


def cancelled_at_the_prompt():
    """Ctrl-C at a hidden prompt ends it, and what is typed afterwards is seen again."""
    with World() as world:
        directory = os.path.join(world.folder, "one")
        person = Person("/bin/sh", "-c", f"{CHANNELD} init --dir {directory}; stty -a; echo done")
        person.expect("New passphrase: ")
        os.write(person.fd, b"half a pass\x03")
        person.expect("Cancelled")
        person.expect("done")
        assert person.end() == 0
        assert re.search(r"(?<!-)\becho\b", person.seen) and re.search(r"(?<!-)\bisig\b", person.seen), person.seen
        assert not os.path.exists(os.path.join(directory, "seed"))


def scripts_must_say_how():
    with World() as world:
        directory = os.path.join(world.folder, "one")
        assert_fails(channeld("init", "--dir", directory, "--yes"), "--no-passphrase", "--passphrase-file")
        assert_fails(channeld("init", "--dir", directory, "--no-passphrase"), "--yes")
        assert_fails(channeld("init", "--dir", directory, "--yes", env={"CHANNELD_PASSPHRASE": "short"}), "too short")
        readable = passphrase_file(world, PASS, 0o604)
        assert_fails(channeld("init", "--dir", directory, "--yes", "--passphrase-file", readable), "chmod o=", readable)
        assert not os.path.exists(os.path.join(directory, "seed"))
        for nonsense in (("--nonsense",), ("--dir",), ("--number", "13"), ("more",)):
            assert channeld("init", "--yes", "--no-passphrase", *nonsense).returncode == 1
        done = channeld("init", "--dir", directory, "--yes", env={"CHANNELD_PASSPHRASE": PASS})
        assert done.returncode == 0 and first_word(directory) == "argon2id"


# --- Using them -------------------------------------------------------------------------------------------------------

def start(node, **env):
    """Runs the daemon to its end: for starts that fail."""
    return subprocess.run(node.argv(), capture_output=True, text=True, timeout=WAIT, stdin=subprocess.DEVNULL,
                          env={**os.environ, **env})


def encrypted(world):
    """A node whose seed is encrypted, not started."""
    node = world.node("node", start=False)
    done = channeld("passphrase", "--dir", node.dir, env={"CHANNELD_NEW_PASSPHRASE": PASS})
    assert done.returncode == 0 and first_word(node.dir) == "argon2id", done.stderr
    return node


def daemon_with_a_file():
    with World() as world:
        node = world.node("node")
        before = node.id
        node.stop()
        assert channeld("passphrase", "--dir", node.dir, env={"CHANNELD_NEW_PASSPHRASE": PASS}).returncode == 0
        node.flags = ["--passphrase-file", passphrase_file(world, PASS)]
        node.start()
        assert node.id == before
        node.stop()
        with open(os.path.join(node.dir, "config"), "w") as file:
            file.write(f"passphrase-file = {node.flags[1]}\n")
        node.flags = []
        node.start()
        assert node.id == before


def daemon_with_the_environment():
    """The variable is gone from the process that has read it."""
    with World() as world:
        node = encrypted(world)
        os.environ["CHANNELD_PASSPHRASE"] = PASS
        try:
            node.start()
        finally:
            del os.environ["CHANNELD_PASSPHRASE"]
        with open(f"/proc/{node.process.pid}/environ", "rb") as file:
            assert PASS.encode() not in file.read()


def daemon_with_a_person():
    with World() as world:
        node = encrypted(world)
        person = Person(*node.argv("--log", "info"))
        person.expect("Passphrase: ")
        person.say(PASS)
        person.expect("ready version=")
        os.write(person.fd, b"\x03")  # now Ctrl-C is a signal again, and means a clean stop
        assert person.end() == 0 and PASS not in person.seen, person.seen


def wrong_passphrases():
    with World() as world:
        node = encrypted(world)
        assert_fails(start(node), "--passphrase-file", "CHANNELD_PASSPHRASE")
        assert_fails(start(node, CHANNELD_PASSPHRASE="wrong"), "passphrase is wrong")
        assert_fails(start(node, CHANNELD_PASSPHRASE=""), "empty")
        node.flags = ["--passphrase-file", passphrase_file(world, "wrong")]
        assert_fails(start(node, CHANNELD_PASSPHRASE=PASS), "passphrase is wrong")
        node.flags = []
        person = Person(*node.argv())
        person.expect("Passphrase: ")
        person.say("wrong")
        assert person.end() == 1 and person.seen.count("passphrase is wrong") == 1
        person = Person(*node.argv())  # Ctrl-Space is a zero byte: what stands before it is not all that was meant
        person.expect("Passphrase: ")
        person.say(PASS + "\0 and more")
        person.expect("zero byte")
        assert person.end() == 1


def passphrase_changed():
    with World() as world:
        node = encrypted(world)
        path = passphrase_file(world, PASS)
        assert_fails(channeld("passphrase", "--dir", node.dir, env={"CHANNELD_PASSPHRASE": "wrong one",
                                                                    "CHANNELD_NEW_PASSPHRASE": "other one"}), "wrong")
        person = Person(CHANNELD, "passphrase", "--dir", node.dir, "--passphrase-file", path)
        for prompt in ("New passphrase: ", "The same again: "):
            person.expect(prompt)
            person.say("the second one")
        assert person.end() == 0, person.seen
        assert_fails(start(node, CHANNELD_PASSPHRASE=PASS), "passphrase is wrong")
        node.flags = ["--passphrase-file", passphrase_file(world, "the second one")]
        node.start()
        assert_fails(channeld("passphrase", "--dir", node.dir, "--no-passphrase",
                              env={"CHANNELD_PASSPHRASE": "the second one"}), "another channeld")
        node.stop()
        assert channeld("passphrase", "--dir", node.dir, "--no-passphrase",
                        env={"CHANNELD_PASSPHRASE": "the second one"}).returncode == 0
        assert first_word(node.dir) == "plain"


def process_is_closed():
    """No core dumps, and the pages with keys are locked."""
    with World() as world:
        node = world.node("node")
        pid = node.process.pid
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
        with open(f"/proc/{pid}/status") as file:
            locked = int(re.search(r"VmLck:\s+(\d+) kB", file.read())[1])
        with open(CHANNELD, "rb") as file:
            sanitized = re.search(rb"__[at]san_init", file.read())  # whose mlock does nothing
        assert locked >= 4 or sanitized, f"{locked} kB are locked"


sys.exit(run("keys", (init_with_a_person, init_with_wrong_answers, passphrases_that_differ, cancelled_at_the_prompt,
                      scripts_must_say_how, daemon_with_a_file, daemon_with_the_environment, daemon_with_a_person,
                      wrong_passphrases, passphrase_changed, process_is_closed)))
