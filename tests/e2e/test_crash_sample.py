"""A sample of the crash points (tests/crash/run.py), within CRASH_SECONDS. `scripts/test crash` runs them all."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
import run  # noqa: E402

sys.exit(run.main(["--seconds", os.environ.get("CRASH_SECONDS", "30")]))
