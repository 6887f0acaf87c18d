"""Starts anvil, the EVM node of the contract's tools, on a port of its own, and asks it things.

    with Anvil() as chain: chain.url, chain.rpc("eth_blockNumber")

Its hard fork is its own default unless `hardfork` names one.
"""
import json
import os
import re
import subprocess
import threading
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
EVM = os.path.join(ROOT, "proto", "evm")
TOOLS = os.path.join(EVM, "node_modules", "@foundry-rs")
ANVIL = os.path.join(TOOLS, "anvil-linux-amd64", "bin", "anvil")
CAST = os.path.join(TOOLS, "cast-linux-amd64", "bin", "cast")


class AnvilError(Exception):
    pass


def install():
    """The contract's tools, if they are not there."""
    subprocess.run([os.path.join(ROOT, "scripts", "evm"), "setup"], check=True)


def artifact(name):
    with open(os.path.join(EVM, "artifact", f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)


class Anvil:
    def __init__(self, *options, hardfork=None):
        install()
        argv = [ANVIL, "--port", "0", *(["--hardfork", hardfork] if hardfork else []), *options]
        self.serial = 0
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        said = ""
        for line in self.process.stdout:
            said += line
            found = re.search(r"Listening on ([0-9.]+:\d+)", line)
            if found:
                self.url = f"http://{found[1]}"
                break
        else:
            raise AnvilError(f"anvil ended: {said}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()  # it logs every call

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def rpc(self, method, *params):
        self.serial += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self.serial, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        if "error" in answer:
            raise AnvilError(f"{method}: {answer['error']}")
        return answer["result"]
