"""The admission controller over simulated services, in virtual time: what is accepted stays fast, ends get through."""

from collections import Counter, deque
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.diameter.overload import NEVER, PRIORITY_DEFAULT, Controller, Kind, rank_of
from ocs.limits import OVERLOAD_DELAY_MS, OVERLOAD_INTERVAL_MS, OVERLOAD_WAITING_MIN

MS_NS = 1_000_000
TARGET_NS = OVERLOAD_DELAY_MS * MS_NS
SECOND_NS = 1_000 * MS_NS

USUAL = {kind: rank_of(kind, PRIORITY_DEFAULT, abates=False) for kind in Kind}
# Of sessions with eight updates: one request in ten begins something, one ends something.
MIX = (Kind.NEW, *[Kind.UPDATE] * 8, Kind.LAST)


class Service:
    """One server, as a process is: requests are served one after another, and refused in between for a tenth of that.

    bunch: so many answers leave together, as batches of a store do. load(t): requests per second at second t.
    """

    def __init__(self, per_s=1_000, bunch=1, mix=MIX, priorities=(PRIORITY_DEFAULT,), controlled=True, pause_ns=0):
        self.service_ns = SECOND_NS // per_s
        self.refusal_ns = self.service_ns // 10
        self.bunch = bunch
        self.mix = mix
        self.priorities = priorities
        self.controlled = controlled
        self.pause_ns = pause_ns  # so long it stands still every two seconds
        self.controller = Controller(TARGET_NS)
        self.waiting = deque()
        self.served = deque()
        self.free_at_ns = 0
        self.offered, self.refused, self.answered = Counter(), Counter(), Counter()
        self.waits = []
        self.looks = []

    def run(self, load, seconds):
        now_ns = count = 0
        while now_ns < seconds * SECOND_NS:
            before_ns, now_ns = now_ns, now_ns + SECOND_NS // load(now_ns // SECOND_NS)
            if now_ns // (2 * SECOND_NS) > before_ns // (2 * SECOND_NS):
                self.free_at_ns += self.pause_ns
            kind = self.mix[count % len(self.mix)]
            priority = self.priorities[count // len(self.mix) % len(self.priorities)]
            count += 1
            self.advance(now_ns)
            self.arrive(now_ns, kind, priority)
        return self

    def advance(self, now_ns):
        """Serve what can be served until now."""
        while self.waiting:
            done_ns = max(self.free_at_ns, self.waiting[0][0]) + self.service_ns
            if done_ns > now_ns:
                return
            self.free_at_ns = done_ns
            self.served.append((*self.waiting.popleft(), self.free_at_ns))
            if len(self.served) >= self.bunch or not self.waiting:
                self.answer()

    def answer(self):
        for came_ns, kind, priority, _ in self.served:
            waited_ns = self.served[-1][-1] - came_ns
            self.waits.append((came_ns, waited_ns))
            self.answered[kind, priority] += 1
            self.controller.answered(waited_ns)
        self.served.clear()

    def arrive(self, now_ns, kind, priority):
        oldest = next(iter((*self.served, *self.waiting)[:1]), (now_ns,))[0]
        waiting = len(self.waiting) + len(self.served)
        if now_ns >= self.controller.look_at_ns:
            look = self.controller.look(now_ns, waiting, oldest)
            if look is not None:
                self.looks.append((now_ns, look))
        self.offered[kind, priority] += 1
        if self.controller.admit(rank_of(kind, priority, abates=False), waiting) or not self.controlled:
            self.waiting.append((now_ns, kind, priority))
        else:
            self.refused[kind, priority] += 1
            # What is being served is interrupted for it.
            self.free_at_ns = (self.free_at_ns if self.waiting else max(self.free_at_ns, now_ns)) + self.refusal_ns

    def p99_ms(self, after_s=0):
        waits = sorted(waited for came, waited in self.waits if came >= after_s * SECOND_NS)
        return waits[len(waits) * 99 // 100] / MS_NS

    def of(self, counter, kind):
        return sum(number for (each, _), number in counter.items() if each is kind)


@pytest.mark.conformance("I6")
@pytest.mark.parametrize("bunch", [1, 64], ids=["one by one", "in batches"])
@pytest.mark.parametrize("per_s", [200, 2_000])
def test_at_twice_the_capacity_what_is_accepted_stays_fast_and_ends_get_through(per_s, bunch):
    service = Service(per_s, min(bunch, per_s // 20)).run(lambda _: 2 * per_s, 8)
    assert service.p99_ms(after_s=3) <= 2.5 * OVERLOAD_DELAY_MS
    assert service.p99_ms() <= 8 * OVERLOAD_DELAY_MS, "the first second, before it is sure that it lasts"
    assert service.of(service.refused, Kind.LAST) == 0
    # Of each second the refusals take a tenth; at most a tenth more is lost to caution.
    assert sum(service.answered.values()) >= 8 * per_s * 8 // 10
    assert service.of(service.refused, Kind.NEW) >= service.of(service.offered, Kind.NEW) * 9 // 10


@pytest.mark.conformance("I6")
def test_without_control_the_same_service_collapses():
    service = Service(controlled=False).run(lambda _: 2_000, 8)
    assert service.p99_ms(after_s=3) > 3_000


@pytest.mark.conformance("I5", "I4")
def test_new_ones_first_then_updates_the_lower_priorities_first_ends_never():
    service = Service(mix=(Kind.NEW, Kind.UPDATE, Kind.LAST), priorities=(0, 10, 15)).run(lambda _: 1_600, 12)
    share = {key: service.refused[key] / service.offered[key] for key in service.offered}
    order = [(kind, priority) for kind in Kind for priority in (15, 10, 0)]
    shares = [share[key] for key in order]
    assert all(later <= earlier + 0.001 for earlier, later in pairwise(shares)), shares
    assert share[Kind.NEW, 0] > 0.8, "this is more than the new ones can make up for"
    assert share[Kind.UPDATE, 15] > 0.5
    assert share[Kind.UPDATE, 10] < 0.2
    assert [share[Kind.LAST, priority] for priority in (0, 10, 15)] == [0, 0, 0]


@pytest.mark.conformance("I6")
def test_after_the_overload_everything_is_let_in_again():
    service = Service().run(lambda second: 2_000 if second < 6 else 700, 14)
    late = [(now_ns, look) for now_ns, look in service.looks if now_ns > 10 * SECOND_NS]
    assert sum(look.refused for _, look in late) == 0
    assert not service.controller.shedding
    assert service.p99_ms(after_s=10) < OVERLOAD_DELAY_MS


@pytest.mark.conformance("I6")
def test_a_service_that_stands_still_at_times_loses_no_more_than_that():
    service = Service(pause_ns=300 * MS_NS).run(lambda _: 2_000, 12)
    assert sum(service.answered.values()) >= 12 * 1_000 * 8 // 10 * 85 // 100
    assert service.p99_ms(after_s=3) <= 6 * OVERLOAD_DELAY_MS
    assert service.of(service.refused, Kind.LAST) == 0


def test_a_service_that_keeps_up_refuses_nothing():
    for per_s, bunch in ((1_000, 1), (1_000, 50), (4_000, 64)):
        service = Service(per_s, bunch).run(lambda _, rate=per_s * 9 // 10: rate, 8)
        assert not service.refused, (per_s, bunch)


def test_a_short_stall_is_borne():
    controller = Controller(TARGET_NS)
    now_ns = (OVERLOAD_INTERVAL_MS - 1) * MS_NS
    for _ in range(100):
        controller.answered(3 * TARGET_NS)
    assert controller.look(now_ns, 100, 0).delay_ns == 3 * TARGET_NS
    assert all(controller.admit(rank) for rank in range(NEVER + 1))


@pytest.mark.conformance("I6")
def test_where_nothing_is_answered_the_oldest_says_how_long_it_takes():
    controller = Controller(TARGET_NS)
    for _ in range(100):
        controller.admit(USUAL[Kind.NEW])
    assert controller.look(500 * MS_NS, 100, 0) is None, "a batch may take so long"
    look = controller.look(1_000 * MS_NS, 100, 0)
    assert (look.answered, look.delay_ns) == (0, SECOND_NS)
    assert controller.shedding
    assert not controller.admit(USUAL[Kind.NEW])
    assert not controller.admit(USUAL[Kind.UPDATE])
    assert controller.admit(USUAL[Kind.LAST])


def test_a_few_slow_ones_are_no_overload():
    controller = Controller(TARGET_NS)
    for turn in range(1, 30):
        offer(controller, 30)
        controller.answered(SECOND_NS)
        assert controller.look(turn * 100 * MS_NS, OVERLOAD_WAITING_MIN - 1, 0) is not None
        assert not controller.shedding
    for turn in range(30, 60):
        offer(controller, 30)
        for _ in range(3):
            controller.answered(MS_NS)
        controller.answered(SECOND_NS)
        controller.look(turn * 100 * MS_NS, 1_000, 0)
        assert not controller.shedding, "a quarter that waits for one account is no queue"


def offer(controller, number):
    """How many of so many updates are let in."""
    return sum(controller.admit(USUAL[Kind.UPDATE]) for _ in range(number))


class Looks:
    """A controller whose tenths of seconds are made by hand: 200 come, so many are answered after so long."""

    def __init__(self):
        self.controller = Controller(TARGET_NS)
        self.now_ns = 0

    def turn(self, pressure_ms, answered=100, ahead_ms=None):
        """Returns how many were let in."""
        let_in = offer(self.controller, 200)
        for _ in range(answered):
            self.controller.answered(pressure_ms * MS_NS)
        self.now_ns += 100 * MS_NS
        ahead_ms = pressure_ms if ahead_ms is None else ahead_ms
        self.controller.look(self.now_ns, max(ahead_ms * answered // 100, OVERLOAD_WAITING_MIN), 0)
        return let_in


def test_what_has_been_worked_off_already_is_no_reason_to_refuse():
    looks = Looks()
    for _ in range(20):
        looks.turn(300, ahead_ms=30)
    assert not looks.controller.shedding, "they have waited long, but nobody is left"


def test_the_share_falls_above_the_target_rises_below_half_of_it_and_stays_in_between():
    looks = Looks()
    for _ in range(10):
        looks.turn(100)
    high = [looks.turn(100) for _ in range(5)]
    assert all(later < earlier for earlier, later in pairwise(high)), high
    between = [looks.turn(75) for _ in range(6)][1:]
    assert max(between) - min(between) <= 1, between
    low = [looks.turn(25) for _ in range(6)][1:]
    assert all(later >= earlier + 4 for earlier, later in pairwise(low)), low


def test_a_backlog_is_worked_off_without_lowering_the_share():
    looks = Looks()
    for _ in range(4):
        looks.turn(100)
    before = looks.turn(300)
    assert looks.turn(300) < before * 7 // 10
    assert looks.turn(75) < before * 7 // 10
    assert abs(looks.turn(75) - before) <= 2


def test_the_speed_is_remembered_for_a_while():
    """After a second in which next to nothing was let in, next to nothing was answered: that says nothing."""
    looks = Looks()
    for _ in range(4):
        looks.turn(100)
    before = looks.turn(75)
    for _ in range(5):
        looks.turn(75, answered=16)
    assert looks.turn(75) >= before * 8 // 10


def test_in_an_overload_no_more_wait_than_are_served_in_time():
    """One turn of the loop may bring more than the next look could make good."""
    looks = Looks()
    controller = looks.controller
    assert controller.admit(USUAL[Kind.NEW], 10_000), "how fast it is, is not known yet"
    for _ in range(12):
        looks.turn(100)
    assert controller.shedding
    high = {kind: rank_of(kind, 0, abates=True) for kind in Kind}
    served = 1_000 * 2 * OVERLOAD_DELAY_MS // 1_000  # in twice the target
    assert [controller.admit(high[Kind.UPDATE], waiting) for waiting in (2 * served - 20, 2 * served + 20)] == [
        True,
        False,
    ]
    for _ in range(40):
        looks.turn(25)
    assert controller.admit(high[Kind.LAST], 10_000)


def test_speed_is_what_was_served_in_a_second_not_in_a_moment():
    """What one long turn let in may all be answered in the short one after it."""
    looks = Looks()
    for _ in range(12):
        looks.turn(100)
    before = looks.turn(75)
    for _ in range(3):
        looks.turn(75, answered=16)
    assert looks.turn(75, answered=400) <= before * 11 // 10
    assert looks.turn(75) <= before * 13 // 10


def test_a_moment_in_which_nothing_comes_is_not_the_end_of_an_overload():
    """One turn of the loop reads all there is: what comes is bunched, and a look may see none of it."""
    looks = Looks()
    for _ in range(4):
        looks.turn(100)
    looks.controller.answered(50 * MS_NS)
    looks.controller.look(looks.now_ns + 100 * MS_NS, 50, 0)
    assert looks.controller.shedding


def test_what_was_let_in_after_all_does_not_count_as_refused():
    looks = Looks()
    for _ in range(4):
        looks.turn(100)
    controller = looks.controller
    assert not controller.admit(USUAL[Kind.NEW])
    controller.readmit()
    controller.answered(MS_NS)
    assert controller.look(looks.now_ns + 100 * MS_NS, 50, 0).refused == 0


@pytest.mark.conformance("I6")
def test_what_waits_to_be_read_counts_too():
    """All that was let in is answered at once, and as much again has piled up where nobody sees it."""
    controller = Controller(TARGET_NS)
    for turn in range(1, 10):
        for _ in range(100):
            controller.admit(USUAL[Kind.UPDATE])
            controller.answered(MS_NS)
        look = controller.look(turn * 250 * MS_NS, 50, 0, 600)
        assert (look.delay_ns, look.unread_ns) == (0, 150 * MS_NS)
    assert controller.shedding


def test_who_obeys_reports_is_refused_after_who_does_not():
    for kind in (Kind.NEW, Kind.UPDATE):
        for priority in range(16):
            assert rank_of(kind, priority, abates=True) == rank_of(kind, priority, abates=False) + 1
            if priority:
                assert rank_of(kind, priority - 1, abates=False) > rank_of(kind, priority, abates=True)
    assert rank_of(Kind.UPDATE, 15, abates=False) > rank_of(Kind.NEW, 0, abates=True)
    assert rank_of(Kind.LAST, 15, abates=False) == rank_of(Kind.LAST, 0, abates=True) == NEVER


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(0, NEVER)),
        st.tuples(st.just("answered"), st.integers(0, 20 * TARGET_NS)),
        st.tuples(st.just("look"), st.integers(0, 2_000)),
    ),
    max_size=120,
)


@settings(max_examples=200)
@given(EVENTS)
def test_whatever_comes(events):
    """Ends get in; nothing of a higher rank is refused than what is let in; equal calls agree."""
    one, two = Controller(TARGET_NS), Controller(TARGET_NS)
    now_ns = waiting = arrived = refused = 0
    let_in, turned_away = set(), set()
    for what, number in events:
        if what == "admit":
            admitted = one.admit(number)
            assert two.admit(number) == admitted
            assert admitted or number < NEVER
            (let_in if admitted else turned_away).add(number)
            arrived += 1
            refused += not admitted
            waiting += admitted
            assert one.shedding or not turned_away
        elif what == "answered":
            one.answered(number)
            two.answered(number)
            waiting = max(0, waiting - 1)
        else:
            now_ns += number * MS_NS
            look = one.look(now_ns, waiting, 0)
            assert two.look(now_ns, waiting, 0) == look
            if look is not None:
                assert (look.arrived, look.refused) == (arrived, refused)
                arrived = refused = 0
                let_in, turned_away = set(), set()
        assert not turned_away or not let_in or max(turned_away) <= min(let_in), "one rank at most is let in in part"


@settings(max_examples=200)
@given(st.lists(st.integers(0, 400), min_size=3, max_size=3), st.integers(0, 1_300))
def test_as_many_are_let_in_as_are_served(came, served):
    controller = Controller(TARGET_NS)
    kinds = [kind for kind in Kind for _ in range(came[kind])]
    for kind in kinds:
        controller.admit(USUAL[kind])
    for _ in range(served):
        controller.answered(TARGET_NS)
    controller.look(OVERLOAD_INTERVAL_MS * 4 * MS_NS, OVERLOAD_WAITING_MIN + served, 0)
    let_in = Counter(kind for kind in kinds if controller.admit(USUAL[kind]))
    wanted = max(min(served * 95 // 100, len(kinds)), came[Kind.LAST])
    assert abs(sum(let_in.values()) - wanted) <= 2
    if let_in[Kind.UPDATE] < came[Kind.UPDATE]:
        assert let_in[Kind.NEW] == 0
