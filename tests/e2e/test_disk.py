"""The disk takes no more: nothing is reported that was not saved, memory goes back to the disk, and when there is room
again everything goes on, on the same channel and without a second signature for any version."""
import resource
import signal
import sys

from daemon import Refused, World, open_channel, run, until


class FullDisk:
    """Within it, the node's process cannot make any file longer."""

    def __init__(self, node):
        self.pid = node.process.pid

    def __enter__(self):
        self.before = resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def __exit__(self, *_):
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, self.before)


def pair(world):
    # Without this signal ignored the system would end the process that hits the limit.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    a, b = (world.node(name, "--max-deposit", "1000", restore_signals=False) for name in ("a", "b"))
    for node in (a, b):
        node.fund(1000)
    a.connect(b)
    return a, b, open_channel(a, b, 1000, 1000)


def pay(node, channel, payment_id, wait_ms=60000):
    return node.post("/v1/payments", {"id": payment_id, "channel": channel, "amount": "10", "wait_ms": wait_ms})


def balances(a, b, channel, mine):
    for node, want in ((a, mine), (b, 2000 - mine)):
        until(f"{node.name}'s balance", lambda: node.show(channel)["balance"]["mine"] == str(want))
        assert not node.show(channel)["frozen"], node.show(channel)["freeze_reason"]


def payer_cannot_save():
    with World() as world:
        a, b, channel = pair(world)
        pay(a, channel, "before")
        with FullDisk(a):
            for i in range(3):
                try:
                    pay(a, channel, f"full-{i}")
                except Refused as error:
                    assert (error.status, error.code) == (500, "not_saved"), str(error)
                else:
                    raise AssertionError("a payment that cannot be saved was accepted")
            assert a.request("GET", "/v1/payments/full-0")[0] == 404
        for i in range(3):
            assert pay(a, channel, f"full-{i}")["status"] == "settled"
        assert pay(b, channel, "other")["status"] == "settled"
        balances(a, b, channel, 970)
        a.stop()
        b.stop()


def payee_cannot_save():
    """The payer's proposal is out and signed; the payee signs an answer that it cannot save, so it must not leave."""
    with World() as world:
        a, b, channel = pair(world)
        with FullDisk(b):
            assert pay(a, channel, "full", wait_ms=300)["status"] == "pending"
            assert a.show(channel)["balance"]["mine"] == "1000"
        until("the payment", lambda: a.get("/v1/payments/full")["status"] == "settled")
        assert pay(b, channel, "back")["status"] == "settled"
        balances(a, b, channel, 1000)
        assert len(b.payments(direction="in")) == 1
        a.stop()
        b.stop()


def view_of_the_chain_cannot_be_saved():
    """What the chain showed while nothing could be saved is looked at again."""
    with World() as world:
        a, b, channel = pair(world)
        pay(a, channel, "before")
        with FullDisk(a):
            b.post(f"/v1/channels/{channel}/challenge")
            until("the window", lambda: b.show(channel)["waits_for"]["code"] == "window")
            head = b.get("/v1/l1")["head"]
            until("the payer to pass that block", lambda: a.get("/v1/l1")["head"] > head)
        a.until_phase(channel, "disputed")
        a.stop()
        b.stop()


sys.exit(run("disk", (payer_cannot_save, payee_cannot_save, view_of_the_chain_cannot_be_saved)))
