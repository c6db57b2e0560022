"""Whole messages that come twice, late, in another order, broken, or from somebody who lies."""
import contextlib
import random
import socket
import time

from case import case, end, matrix, wait, wait_judged
from lab import must
from wire import FLEET, Closed
import wire

ALL = "I1 I2 I3 I4 I5 I6 I7 I8"
TAG = FLEET.tags


def through_the_middle(lab, rules, n=20, seconds=200, hits=10):
    """A sweep whose messages the man in the middle treats by these rules."""
    text = matrix(passes=n, fails=n // 4, panics=2, unlucky=2, ms=60)
    for rule in rules:
        lab.middle.order("rule " + rule)
    lab.start_all()
    lab.run(text)
    stored = end(lab, text, seconds=seconds)
    count = lab.middle.order("count")
    print(f"{count['up']} messages up, {count['down']} down, {count['hits']} treated")
    must(count["hits"] >= hits, f"the rules hit only {count['hits']} messages")
    return stored


@case(rows=[25], checks=ALL, fast=True, path="middle")
def messages_come_twice(lab):
    """Every second message comes twice, at once or a second later."""
    through_the_middle(lab, ["up 0 30 duplicate", "down 0 30 duplicate", "up 0 30 replay 1000", "down 0 30 replay 1000"])


@case(rows=[25, 27], checks=ALL, fast=True, path="middle")
def messages_overtake_each_other(lab):
    """A third is swapped with its successor, a third comes up to a second late: results before their samples,
    acknowledgements before and after what they acknowledge."""
    through_the_middle(lab, ["up 0 30 swap", "down 0 30 swap", "up 0 20 delay 300", "up 0 20 delay 1000",
                             "down 0 20 delay 500"])


@case(rows=[27], checks=ALL, path="middle")
def results_come_before_their_samples(lab):
    """All samples are late, results less so: they are asked for again, and judged when all are there."""
    through_the_middle(lab, [f"up {TAG['sample_sent']} 100 delay 700", f"up {TAG['result_sent']} 100 delay 100"])


@case(rows=[27], checks=ALL, path="middle")
def acknowledgements_come_late(lab):
    """What was judged long ago is said again, and is judged once."""
    through_the_middle(lab, [f"down {TAG['ack']} 60 delay 2500", f"down {TAG['ack']} 50 drop"])


@case(rows=[25], checks=ALL, path="middle")
def messages_are_lost(lab):
    """Every fifth message never comes, both ways."""
    through_the_middle(lab, ["up 0 20 drop", "down 0 20 drop"], seconds=250)


@case(rows=[25], checks=ALL, path="middle")
def messages_are_cut(lab):
    """Every tenth message lacks its second half."""
    through_the_middle(lab, ["up 0 10 truncate", "down 0 10 truncate"], seconds=250)


@case(rows=[25], checks=ALL, path="middle")
def messages_are_too_large(lab):
    """Some are followed by 2 MiB of garbage: whoever sends that is disconnected, and comes back."""
    stored = through_the_middle(lab, ["up 0 3 grow 2097152", "down 0 2 grow 2097152"], seconds=280, hits=2)
    must(len(stored.of("host")) >= 3, "not all hosts took part")


@case(rows=[25], checks=ALL, path="middle")
def messages_are_unknown(lab):
    """Some have a tag that nobody knows, or bytes that are no message."""
    through_the_middle(lab, ["up 0 8 set 1 99", "down 0 8 set 1 99", "up 0 5 set 2 193", "down 0 5 set 2 193"], seconds=250)


@case(rows=[25, 47], checks="I1 I6", path="local", fast=True, hosts=1)
def a_newer_protocol_is_refused_in_words(lab):
    """A worker of a protocol to come is refused, and told what is spoken here; a range that overlaps is taken."""
    text = matrix(passes=4, ms=100)
    lab.run(text)
    newer = wait("it listens", 20, lambda: attempt_peer(lab, "newer"))
    name, fields = newer.join(lab.digest(), versions=(9, 12))
    must(name == "refuse" and "version" in fields["reason"], f"{name} {fields}")
    both = lab.peer("both")
    name, fields = both.join(lab.digest(), versions=(1, 12))
    must(name == "welcome" and fields["version"] == 1, f"{name} {fields}")
    both.send("bye", session=both.session)
    lab.hosts[0].start()
    end(lab, text, status=0)


def attempt_peer(lab, ident):
    try:
        return lab.peer(ident)
    except (OSError, Closed):
        return None


def result_for(cell, epoch, session, cause="finished", samples=0):
    return dict(session=session, cell=cell, epoch=epoch,
                result=dict(cause=cause, samples_fired=samples, samples_total=samples, series_digest=bytes(32), wall_ns=1,
                            machine=dict(runner="scripted", accel="none", guest="none")))


@case(rows=[28, 45], checks=ALL, path="local", fast=True, hosts=2)
def a_liar_judges_nothing(lab):
    """A peer sends results, samples and phases for cells that are out with others, are judged, do not exist, and SYNCs that
    list leases of others: nothing of it changes anything."""
    text = matrix(passes=20, fails=8, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    liar = lab.peer("liar")
    liar.join(lab.digest())
    draw = random.Random(7)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the sweep was faster
        lie(liar, draw)
    end(lab, text)


def lie(liar, draw):
    for seq in range(1, 400):
        cell, epoch = draw.choice([0, 1, 5, 9, 20, 27, 28, 9999999]), draw.choice([1, 2, 3, 5, 8, 13, 21, 1 << 40])
        what = draw.randrange(5)
        if what == 0:
            liar.send("result_sent", **result_for(cell, epoch, liar.session))
        elif what == 1:
            liar.send("sample_sent", session=liar.session, cell=cell, epoch=epoch, seq=draw.randrange(4),
                      body=wire.pack({1: "periodic_000"}))
        elif what == 2:
            liar.send("phase", session=liar.session, cell=cell, epoch=epoch, phase="done")
        elif what == 3:
            liar.send("sync", session=liar.session, seq=seq, slots_free=0,
                      held=[dict(cell=cell, epoch=epoch, phase="run"), dict(cell=cell, epoch=epoch + 1, phase="done")])
        else:
            liar.send("result_sent", **result_for(cell, epoch, draw.choice([1, liar.session + 1, liar.session - 1])))
        time.sleep(0.004)


@case(rows=[28], checks=ALL, path="middle", fast=True, hosts=2)
def results_are_replayed(lab):
    """Every result comes again after 1 s and, when its sweep goes on, is told to be known: judged once."""
    stored = through_the_middle(lab, [f"up {TAG['result_sent']} 100 replay 900"], n=24)
    must(len(stored.of("judged")) == 24 + 6 + 2 + 2, "not each was judged once")


@case(rows=[16], checks=ALL, path="local", fast=True, hosts=2)
def two_workers_claim_one_name(lab):
    """The second of two live workers of one name is told so and gets nothing; the first goes on."""
    text = matrix(passes=24, ms=150)
    first = lab.hosts[0].start(ident="twin")
    lab.run(text)
    wait_judged(lab, 2)
    second = lab.hosts[1].start(ident="twin", env={"TWIN": "2"})
    second.wait_says("another --id|connected already", 30)
    must(first.is_alive(), "the first twin ended")
    stored = end(lab, text, status=0)
    must(not [each for each in stored.of("failed") if each["cause"] == "lease_expired"], "the first lost a lease")


@case(rows=[20], checks=ALL, path="local", hosts=2)
def a_worker_that_never_reads(lab):
    """It asks again and again and reads no answer: the coordinator's memory stays bounded, the others go on."""
    text = matrix(passes=40, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    mute = lab.peer("mute")
    mute.join(lab.digest())
    mute.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    mute.socket.settimeout(0.5)
    sent = 0
    try:
        for sent in range(1, 60000):
            mute.send("sync", session=mute.session, seq=sent, slots_free=0)
    except (socket.timeout, OSError):
        pass  # it reads no more of us, which is its right
    print(f"{sent} SYNCs unread answers, {lab.coordinator.rss_mib():.0f} MiB")
    must(lab.coordinator.rss_mib() < 200, f"the coordinator takes {lab.coordinator.rss_mib():.0f} MiB")
    end(lab, text, status=0)


def tls_hello():
    return bytes.fromhex("16030100c8010000c40303") + bytes(range(190))


STRANGERS = [
    lambda: b"",
    lambda: b"GET / HTTP/1.1\r\nHost: ktcoord\r\n\r\n",
    tls_hello,
    lambda: random.randbytes(4096),
    lambda: b"\x01\x00" + b"\x05hello",  # ZMTP 1.0: an anonymous peer
    lambda: b"\xff" + bytes(7) + b"\x01\x7f\x01\x05" + b"\x00\x00",  # ZMTP 2.0 DEALER
    lambda: b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32),
    lambda: b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32) + b"\x06" + bytes([255] * 8),
    lambda: b"SSH-2.0-OpenSSH_9.2\r\n",
]


@case(rows=[22], checks=ALL, fast=True, hosts=2)
def strangers_on_the_port(lab):
    """Port scans, HTTP, TLS, random bytes, old and broken ZeroMQ, and silence: the sweep goes on, no fd stays."""
    text = matrix(passes=40, fails=8, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    before = lab.coordinator.fds()
    silent = []
    netns, endpoint = lab.netns, lab.listen
    for round_ in range(12):
        for make in STRANGERS:
            stranger = lab.connect(netns, endpoint)
            try:
                stranger.sendall(make())
            except OSError:
                pass
            if round_ < 4:
                silent.append(stranger)  # says no more, and does not go
            else:
                stranger.close()
    must(lab.coordinator.is_alive(), f"ktcoord ended:\n{lab.coordinator.tail()}")
    for stranger in silent:
        stranger.close()
    wait("its fds are closed", 40, lambda: not lab.coordinator.is_alive() or lab.coordinator.fds() <= before + 4)
    end(lab, text)


@case(rows=[44], checks=ALL, path="middle", hosts=2)
def a_replayed_hello_takes_nothing(lab):
    """Each HELLO comes again when its worker has long been at work."""
    through_the_middle(lab, [f"up {TAG['hello']} 100 replay 1200"], n=24, hits=1)
