"""Who may open a channel here, and how many: each refusal is a sentence that the other side's `channel open` shows."""
import sys

from daemon import Refused, World, assert_fails, open_channel, run, until


def pair(world, *flags):
    """One that wants to open, and a host with a policy."""
    guest, host = world.node("guest"), world.node("host", *flags)
    guest.fund(1000000)
    guest.connect(host)
    return guest, host


def refused(guest, host, sentence, deposit=1000):
    """Refused with this sentence, which the API and the command line both show; and nothing is left of it."""
    before = len(guest.get("/v1/channels")["channels"]), len(host.get("/v1/channels")["channels"])
    try:
        guest.post("/v1/channels", {"peer": host.id, "deposit": str(deposit)})
    except Refused as error:
        assert (error.status, error.code) == (502, "peer_refused") and sentence in error.message, str(error)
    else:
        raise AssertionError("it was not refused")
    assert_fails(guest.cli("channel", "open", host.id, "--deposit", str(deposit)), "The peer refused", sentence)
    assert before == (len(guest.get("/v1/channels")["channels"]), len(host.get("/v1/channels")["channels"]))
    assert guest.get("/v1/peers")["peers"][0]["connected"], "a refusal is no reason to disconnect"


def restart(host, guest, *flags):
    host.stop()
    host.flags = list(flags)
    host.start()
    guest.connect(host)


def nobody_or_only_some():
    with World() as world:
        guest, host = pair(world, "--open-from", "none")
        friend = world.node("friend")
        friend.fund(1000)
        refused(guest, host, "you may not open channels here (its setting open-from)")
        restart(host, guest, "--open-from", friend.id)
        refused(guest, host, "you may not open channels here (its setting open-from)")
        friend.connect(host)
        open_channel(friend, host, 10)
        host.fund(1000)
        open_channel(host, guest, 10)  # its own openings are not concerned
        restart(host, guest, "--open-from", f"{guest.id},{friend.id}")
        open_channel(guest, host, 10)


def minimum_deposit():
    with World() as world:
        guest, host = pair(world, "--min-deposit", "1000", "--max-deposit", "5000")
        refused(guest, host, "you deposit too little (its setting min-deposit)", deposit=999)
        open_channel(guest, host, 1000)


def number_of_channels():
    with World() as world:
        guest, host = pair(world, "--max-channels-per-peer", "2", "--max-channels", "3")
        other = world.node("other")
        other.fund(1000)
        other.connect(host)
        first = open_channel(guest, host, 10)
        open_channel(guest, host, 10)
        refused(guest, host, "you have as many channels here as you may have (its setting max-channels-per-peer)")
        open_channel(other, host, 10)
        refused(other, host, "this node has as many channels as it may have (its setting max-channels)", deposit=10)
        guest.post(f"/v1/channels/{first}/close", {"wait_ms": 60000})
        host.until_phase(first, "closed")
        open_channel(other, host, 10)  # one that has ended does not count


sys.exit(run("policy", (nobody_or_only_some, minimum_deposit, number_of_channels)))
