"""kill -9 in the midst of a burst, on either and on both sides: afterwards every payment is accounted exactly once, on
both sides and on the chain. KILL_SEED repeats a run, KILL_ROUNDS makes it longer."""
import collections
import http.client
import json
import os
import random
import sys
import threading

from daemon import World, open_channel, run, until

SEED = int(os.environ.get("KILL_SEED", random.randrange(2**32)))
ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
DEPOSIT, BATCH, BATCHES = 1000000, 20, 40
RANDOM = random.Random(SEED)


class Burst:
    """Payments of one node in several threads, until all are made or the daemon is gone."""

    def __init__(self, node, channel, prefix):
        self.node, self.channel = node, channel
        self.batches = [[{"id": f"{prefix}-{i}-{k}", "channel": channel, "amount": str(1 + (i + k) % 9)}
                         for k in range(BATCH)] for i in range(BATCHES)]
        self.made = [p for batch in self.batches for p in batch]
        self.answered, self.wrong = 0, []

    def work(self, mine):
        for batch in mine:
            try:
                status, body = self.node.request("POST", "/v1/payments", {"payments": batch, "wait_ms": 2000})
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                return  # the daemon was killed
            except AssertionError as error:
                self.wrong.append(str(error))
                return
            if status not in (200, 202):
                self.wrong.append(f"{status} {body}")
            self.answered += 1

    def start(self):
        self.threads = [threading.Thread(target=self.work, args=(self.batches[i::4],)) for i in range(4)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()
        assert not self.wrong, self.wrong[:3]

    def repeat(self):
        """The same ids again: what was made is not made again, what was lost is made now."""
        for batch in self.batches:
            body = {"payments": batch, "wait_ms": 60000}
            done = self.node.post("/v1/payments", body)["payments"]
            assert all(p["status"] == "settled" for p in done), [p for p in done if p["status"] != "settled"][:3]


def count(payments):
    return collections.Counter((p["id"], p["amount"]) for p in payments)


def account(payer, payee, channel, bursts):
    """What one side paid, in both sides' books. Returns the sum."""
    want = count(p for burst in bursts for p in burst.made)
    assert max(want.values()) == 1
    for node, direction in ((payer, "out"), (payee, "in")):
        rows = node.payments(channel=channel, direction=direction)
        assert count(rows) == want, f"{node.name}: {count(rows) - want} too many, {want - count(rows)} missing"
        assert all(p["status"] == "settled" for p in rows)
    return sum(int(amount) for _, amount in want)


def one_round(a, b, channel, number, victims, bursts):
    mine = {a: Burst(a, channel, f"a{number}"), b: Burst(b, channel, f"b{number}")}
    enough = RANDOM.randrange(1, BATCHES)
    for burst in mine.values():
        burst.start()
    until("the burst", lambda: all(m.answered >= enough or not any(t.is_alive() for t in m.threads) for m in mine.values()))
    for node in victims:
        node.kill()
    for node in victims:
        mine[node].join()
        node.start()
    for node, burst in mine.items():
        burst.join()
        burst.repeat()
        bursts[node].append(burst)


def killed(victims_of):
    with World() as world:
        a, b = world.node("a"), world.node("b", "--max-deposit", str(DEPOSIT))
        for node in (a, b):
            node.fund(DEPOSIT)
        a.connect(b)
        channel = open_channel(a, b, DEPOSIT, DEPOSIT)
        bursts = {a: [], b: []}
        for number in range(ROUNDS):
            one_round(a, b, channel, number, victims_of(a, b, number), bursts)
        moved = account(a, b, channel, bursts[a]) - account(b, a, channel, bursts[b])
        for node, balance in ((a, DEPOSIT - moved), (b, DEPOSIT + moved)):
            until("the balance", lambda: node.show(channel)["balance"]["mine"] == str(balance))
            assert not node.show(channel)["frozen"]
            assert "the chain is stale" not in node.log_text()  # a new process waits for a block before it greets
        b.post(f"/v1/channels/{channel}/close", {"wait_ms": 60000})
        a.until_phase(channel, "closed")
        assert (a.balance(), b.balance()) == (DEPOSIT - moved, DEPOSIT + moved)


def one_side_is_killed():
    killed(lambda a, b, number: [(a, b)[number % 2]])


def both_sides_are_killed():
    killed(lambda a, b, number: [a, b])


print(f"# KILL_SEED={SEED}")
sys.exit(run("kill -9", (one_side_is_killed, both_sides_are_killed)))
