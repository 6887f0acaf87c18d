"""Starts anvil and measures the gas of every step on it, through the daemon's adapter: gas.py BUILD [CHANNELS]"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import anvil  # noqa: E402


def main(build, *channels):
    with anvil.Anvil(hardfork="cancun") as chain, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "token.hex")
        with open(path, "w", encoding="ascii") as file:
            file.write(anvil.artifact("TestToken")["bytecode"].removeprefix("0x") + "\n")
        argv = [os.path.join(build, "tests", "bench_gas"), chain.url, *channels]
        return subprocess.run(argv, env={**os.environ, "TOKEN_CODE": path}, check=False).returncode


sys.exit(main(*sys.argv[1:]))
