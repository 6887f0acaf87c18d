"""What goes wrong in use: each error is a sentence that says what to do, and a non-zero exit or the right status."""
import os
import socket
import sqlite3
import subprocess
import sys

from daemon import WAIT, World, assert_fails, channeld, run


def wrong_token():
    with World() as world:
        node = world.node("node")
        for token in ("", "0" * 64, node.token[:-1]):
            status, error = node.request("GET", "/v1/info", token=token)
            assert status == 401 and set(error) == {"code", "message", "hint"}, error
        path = os.path.join(world.folder, "token")
        with open(path, "w") as file:
            file.write("1" * 64 + "\n")
        os.chmod(path, 0o600)
        assert_fails(node.cli("info", token_file=path), "token")


def wrong_arguments():
    with World() as world:
        node = world.node("node")
        good = {"id": "p", "channel": "0x123456", "amount": "1"}
        for change in ({"amount": 1}, {"amount": "1.5"}, {"amount": "-1"}, {"id": "a b"}, {"id": "x" * 65}, {"more": 1}):
            status, error = node.request("POST", "/v1/payments", {**good, **change})
            assert status == 400, f"{change}: {status} {error}"
        assert node.request("POST", "/v1/payments", good)[0] == 404
        assert node.request("GET", "/v1/channels/0x123456")[0] == 404
        assert node.request("GET", "/v1/payments/unknown")[0] == 404
        assert node.request("DELETE", "/v1/peers/02" + 64 * "1")[0] == 404
        assert node.request("POST", "/v1/peers", {"node_id": "12", "address": "127.0.0.1:1"})[0] == 400
        assert node.request("POST", "/v1/peers", {"node_id": "02" + 64 * "1", "address": "nowhere"})[0] == 400
        assert node.request("POST", "/v1/channels", {"peer": node.id, "deposit": "1"})[0] == 400
        assert_fails(node.cli("pay", "1"), "AMOUNT")
        assert_fails(node.cli("channel", "show", "0x123456"), "no channel")
        assert_fails(node.cli("nonsense"), "nonsense")


def daemon_not_running():
    with World() as world:
        node = world.node("node", start=False)
        assert_fails(node.cli("info"), "not running", "channeld --dir")
        node.start()
        node.stop()
        assert_fails(node.cli("info"), "not running")


def directory_locked():
    with World() as world:
        node = world.node("node")
        assert_fails(subprocess.run(node.argv(), capture_output=True, text=True, timeout=WAIT), "another channeld", node.dir)
        assert node.get("/v1/info")["node_id"] == node.id
        assert_fails(channeld("init", "--dir", node.dir), "another channeld")


def port_in_use():
    with World() as world, socket.socket() as taken:
        node = world.node("node", start=False)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for flag in ("--api", "--listen"):
            done = subprocess.run(node.argv(flag, address), capture_output=True, text=True, timeout=WAIT)
            # One line is the log's: the daemon was nearly up when it found out.
            assert done.returncode == 1 and "Traceback" not in done.stderr
            assert any(address in line and "channeld: " in line for line in done.stderr.splitlines()), done.stderr
        node.start()


def not_initialised():
    with World() as world:
        nowhere = os.path.join(world.folder, "nowhere")
        assert_fails(channeld("--dir", nowhere), "channeld init", nowhere)
        os.mkdir(nowhere)
        assert_fails(channeld("--dir", nowhere), "channeld init")


def bad_settings():
    with World() as world:
        node = world.node("node", start=False)
        with open(os.path.join(node.dir, "config"), "w") as file:
            file.write("# mine\nworkers = many\n")
        assert_fails(channeld("--dir", node.dir), "line 2", "workers")
        os.unlink(os.path.join(node.dir, "config"))
        assert_fails(channeld("--dir", node.dir, "--nonsense"), "--nonsense", "--help")
        assert_fails(channeld("--dir", node.dir, env={"CHANNELD_WORKERS": "x"}), "CHANNELD_WORKERS")
        assert_fails(channeld("--dir", node.dir, "--l1", "nonsense"), "dev:FILE")


def seed():
    with World() as world:
        node = world.node("node", start=False)
        path = os.path.join(node.dir, "seed")
        assert_fails(channeld("init", "--dir", node.dir), "already")
        os.chmod(path, 0o644)
        assert_fails(channeld("--dir", node.dir, "--l1", f"dev:{node.chain}"), "chmod 600")
        os.chmod(path, 0o600)
        with open(path, "w") as file:
            file.write("nonsense\n")
        assert_fails(channeld("--dir", node.dir, "--l1", f"dev:{node.chain}"), "seed", "init --words")


def words():
    """The words give the same node again; wrong ones are refused."""
    with World() as world:
        legal = "legal winner thank year wave sausage worth useful legal winner thank yellow"

        def restore(name, text):
            return channeld("init", "--dir", os.path.join(world.folder, name), "--words", "--no-passphrase", text=text)
        shown = [restore("one", legal), restore("two", "  " + legal.upper().replace(" ", "   ") + "\n")]
        ids = [next(line for line in done.stdout.splitlines() if line.startswith("node id")) for done in shown]
        assert ids[0] == ids[1]
        one, three = (os.path.join(world.folder, name) for name in ("one", "three"))
        assert os.stat(one).st_mode & 0o777 == 0o700 and os.stat(os.path.join(one, "seed")).st_mode & 0o777 == 0o600
        assert_fails(restore("three", legal.replace("yellow", "year")), "recovery words")
        assert_fails(restore("three", ""), "Nothing was given")
        assert not os.path.exists(os.path.join(three, "seed"))


def database():
    with World() as world:
        node = world.node("node")
        node.stop()
        path = os.path.join(node.dir, "channeld.db")
        version = sqlite3.connect(path)
        version.execute("PRAGMA user_version = 9999")
        version.commit()
        version.close()
        argv = node.argv() + ["--log", "broken"]  # the sentence only, without the log line that names the page
        assert_fails(subprocess.run(argv, capture_output=True, text=True, timeout=WAIT), "another program")
        with open(path, "wb") as file:
            file.write(b"nonsense" * 1000)
        assert_fails(subprocess.run(argv, capture_output=True, text=True, timeout=WAIT), "channeld.db")


def stop_command():
    with World() as world:
        node = world.node("node")
        assert node.cli("stop").returncode == 0
        assert node.process.wait(WAIT) == 0
        assert not os.path.exists(os.path.join(node.dir, "api.address"))
        node.process = None


sys.exit(run("errors", (wrong_token, wrong_arguments, daemon_not_running, directory_locked, port_in_use,
                        not_initialised, bad_settings, seed, words, database, stop_command)))
