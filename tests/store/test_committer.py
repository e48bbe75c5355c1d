"""Commits beside the event loop: it goes on meanwhile, who waits is told once it is on disk, and whatever happens to
those who wait, the file is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import duckdb
import pytest
from shelf import NOW, episode_row, experiment_row, hold
from stage import walk

from tradearena.errors import StoreError
from tradearena.store.committer import Committer
from tradearena.store.reader import Reader
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.seal import seal_of
from tradearena.store.writer import GROUP, Writer


class Counting(Writer):
    """Knows how many steps each commit held."""

    def __init__(self, path, clock):
        super().__init__(path, clock)
        self.sizes = []

    def write(self, batch, *options):
        self.sizes.append(sum(len(waiting.steps) for _, waiting in batch.kept))
        super().write(batch, *options)


def begun(path, clock, *names):
    """A writer, and the recorders of episodes that run in it."""
    writer = Counting(path, clock)
    writer.create(experiment_row(), walk(1, 30, 3), NOW)
    recorders = [Recorder(name, Recorded([], []), writer.wait) for name in names]
    for name, recorder in zip(names, recorders, strict=True):
        writer.begin_episode(episode_row(name), recorder, at_once=False)
    writer.commit()
    writer.sizes.clear()
    return writer, *recorders


def on_file(path):
    """Number of steps of each episode on file."""
    with duckdb.connect(str(path), read_only=True) as db:
        return dict(db.execute("SELECT episode, count(*) FROM step GROUP BY episode").fetchall())


def let_go(holder):
    assert holder.wait() == 0
    holder.stdout.close()


def threads():
    return [each.name for each in threading.enumerate() if each.name.startswith("commit")]


def test_who_asks_while_a_commit_is_written_waits_a_moment_for_others_even_when_it_is_done(path, clock, steps_of):
    writer, first, second, third = begun(path, clock, "e1", "e2", "e3")
    made = steps_of(1).steps

    async def play(committer, recorder, pause, moment):
        await asyncio.sleep(pause)
        recorder.keep(made[0])
        await committer.commit(moment)

    async def main():
        with Committer(writer) as committer:
            holder = hold(path, 0.3)
            one = asyncio.create_task(play(committer, first, 0.0, 0.0))
            late = [play(committer, second, 0.1, 3.0), play(committer, third, 0.2, 3.0)]
            others = [asyncio.create_task(each) for each in late]
            await one
            assert writer.sizes == [1]
            await asyncio.sleep(0.2)
            assert writer.sizes == [1]
            await asyncio.gather(*others)
            assert writer.sizes == [1, 2]
            let_go(holder)

    asyncio.run(main())
    assert on_file(path) == {"e1": 1, "e2": 1, "e3": 1}


def test_those_who_share_a_commit_go_on_one_after_the_other(path, clock, steps_of):
    """Each goes some turns of the loop further before the last is woken; who was cancelled holds nobody up."""
    writer, recorder = begun(path, clock, "e1")
    recorder.keep(steps_of(1).steps[0])
    seen = []

    async def wait(committer, name):
        await committer.commit(0.0)
        for turn in range(4):
            seen.append((name, turn))
            await asyncio.sleep(0)

    async def main():
        with Committer(writer) as committer:
            waiting = [asyncio.create_task(wait(committer, name)) for name in range(8)]
            await asyncio.sleep(0)
            waiting[2].cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert waiting[2].cancelled()

    asyncio.run(main())
    assert {name for name, _ in seen} == {0, 1, 3, 4, 5, 6, 7}
    assert seen.index((0, 3)) < seen.index((7, 0))
    assert [name for name, turn in seen if turn == 0] == [0, 1, 3, 4, 5, 6, 7]


def test_the_event_loop_goes_on_while_a_commit_is_written(path, clock, steps_of):
    writer, recorder = begun(path, clock, "e1")
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def main():
        with Committer(writer) as committer:
            ticking = asyncio.create_task(tick())
            recorder.keep(steps_of(1).steps[0])
            holder = hold(path, 0.5)
            await committer.commit(0.0)
            ticking.cancel()
            let_go(holder)

    asyncio.run(main())
    assert ticks > 15
    assert on_file(path) == {"e1": 1}


def test_who_asks_within_a_moment_or_while_a_commit_is_written_shares_one(path, clock, steps_of):
    writer, first, second = begun(path, clock, "e1", "e2")
    made = steps_of(1).steps, steps_of(2).steps

    async def play(committer, recorder, steps, pause):
        for step in steps:
            await asyncio.sleep(pause)
            recorder.keep(step)
            await committer.commit(0.1)

    async def main():
        with Committer(writer) as committer:
            await asyncio.gather(play(committer, first, made[0][:1], 0.0), play(committer, second, made[1][:1], 0.01))
            assert writer.sizes == [2]
            holder = hold(path, 0.5)
            await asyncio.gather(
                play(committer, first, made[0][1:2], 0.0),
                *(play(committer, second, [step], 0.2 + step.t / 100) for step in made[1][1:4]),
            )
            assert writer.sizes == [2, 1, 3]
            let_go(holder)

    asyncio.run(main())
    assert on_file(path) == {"e1": 2, "e2": 4}


def test_steps_that_nobody_waits_for_are_written_once_they_are_due_and_no_step_waits_for_that(path, clock, steps_of):
    writer, recorder = begun(path, clock, "e1")
    steps = steps_of(1).steps

    async def main():
        with Committer(writer) as committer:
            recorder.kept = committer.keep_pace
            recorder.keep(steps[0])
            assert writer.sizes == []
            holder = hold(path, 0.3)
            for step in steps[1:]:
                clock.now += GROUP
                recorder.keep(step)  # one of them begins a commit, which waits for the reader
            let_go(holder)
            await committer.rest()
            assert writer.sizes == [2]
            committer.tend()

    asyncio.run(main())
    assert writer.sizes == [2, 6]
    assert on_file(path) == {"e1": 8}


def test_a_commit_that_fails_tells_all_who_wait_why_and_nothing_is_written_after_it(path, clock, steps_of):
    writer, first, second = begun(path, clock, "e1", "e2")
    with duckdb.connect(str(path)) as db:
        db.execute("ALTER TABLE mark RENAME TO elsewhere")

    async def main():
        with Committer(writer) as committer:
            for recorder in (first, second):
                recorder.keep(steps_of(1).steps[0])
            failed = await asyncio.gather(*(committer.commit(0.01) for _ in range(2)), return_exceptions=True)
            assert [type(error) for error in failed] == [StoreError] * 2
            assert all("mark" in str(error) for error in failed)
            with duckdb.connect(str(path)) as db:
                db.execute("ALTER TABLE elsewhere RENAME TO mark")
            first.keep(steps_of(1).steps[1])
            clock.now += GROUP
            for again in (committer.commit(0.0), committer.rest()):
                with pytest.raises(StoreError, match="mark"):
                    await again
            with pytest.raises(StoreError, match="mark"):
                committer.keep_pace()
            with pytest.raises(StoreError, match="the last commit failed; run the same command again"):
                committer.commit_here()

    asyncio.run(main())
    assert on_file(path) == {}
    assert threads() == []


def test_whatever_goes_wrong_before_a_commit_is_told_to_those_who_wait_for_it(path, clock):
    class Broken(Recorder):
        def drain(self):
            raise ArithmeticError("broken")

    writer, _ = begun(path, clock, "e1")
    writer.begin_episode(episode_row("e2"), Broken("e2", Recorded([], []), writer.wait), at_once=False)

    async def main():
        with Committer(writer) as committer:
            with pytest.raises(ArithmeticError, match="broken"):
                await committer.commit(0.0)
            with pytest.raises(StoreError, match="the last commit failed"):
                await committer.commit(0.0)

    asyncio.run(main())


def test_who_is_cancelled_meanwhile_takes_nothing_from_the_commit_nor_from_the_others(path, clock, steps_of):
    writer, first, second = begun(path, clock, "e1", "e2")
    made = steps_of(1)

    async def main():
        with Committer(writer) as committer:
            first.keep(made.steps[0])
            second.keep(made.steps[0])
            holder = hold(path, 0.4)
            one, other = (asyncio.create_task(committer.commit(0.0)) for _ in range(2))
            await asyncio.sleep(0.1)
            one.cancel()
            await other
            assert one.cancelled()
            let_go(holder)
            for step in made.steps[1:]:
                first.keep(step)

    asyncio.run(main())
    root = first.close("complete", made.marks, made.fills)
    writer.end_episode("e1", {"status": "complete", "root_hash": root, "finished_at": NOW}, finished=True)
    assert on_file(path) == {"e1": 8, "e2": 1}
    with Reader(path) as reader:
        assert reader.episode("e1").seal == seal_of(reader.db, "e1")


class Hurry(KeyboardInterrupt):
    """Ctrl-C once more."""


def test_whoever_breaks_off_in_the_middle_of_a_commit_leaves_it_whole_behind(path, clock, steps_of):
    writer, recorder = begun(path, clock, "e1")

    async def main(committer):
        recorder.keep(steps_of(1).steps[0])
        told = asyncio.create_task(committer.commit(0.0))
        await asyncio.sleep(0.1)
        assert not told.done()
        raise Hurry

    holder = hold(path, 0.5)
    with pytest.raises(Hurry), Committer(writer) as committer:
        asyncio.run(main(committer))
    assert threads() == []
    let_go(holder)
    assert on_file(path) == {"e1": 1}


def test_ctrl_c_while_the_last_commit_is_waited_for_comes_after_it(path, clock, steps_of):
    writer, recorder = begun(path, clock, "e1")

    def press(*_):
        raise Hurry

    async def main(committer):
        recorder.keep(steps_of(1).steps[0])
        told = asyncio.create_task(committer.commit(0.0))
        await asyncio.sleep(0.1)
        told.cancel()

    def leave():
        with Committer(writer) as committer:
            asyncio.run(main(committer))
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    holder, before = hold(path, 0.5), signal.signal(signal.SIGALRM, press)
    try:
        with pytest.raises(Hurry):
            leave()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert threads() == []
    let_go(holder)
    assert on_file(path) == {"e1": 1}


KILLED = """
import asyncio, os, signal, sys
import numpy as np
from pathlib import Path
from shelf import NOW, Clock, episode_row, experiment_row, random_step
from stage import walk
from tradearena.store.committer import Committer
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.writer import Writer

async def main():
    writer = Writer(Path(sys.argv[1]), Clock())
    writer.create(experiment_row(), walk(1, 30, 3), NOW)
    with Committer(writer) as committer:
        recorder = Recorder("e1", Recorded([], []), committer.keep_pace, lambda: committer.commit(0.0))
        writer.begin_episode(episode_row("e1"), recorder, at_once=False)
        dice = np.random.default_rng(3)
        for t in range(1, 40):
            step = random_step(dice, t, previous=t - 1, paid=True)
            recorder.keep(step)
            await recorder.settled()
            if any(each.calls for each in step.decision.exchanges) and t > 10:
                print(t, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_step_that_was_paid_for_is_on_disk_when_it_is_acted_upon(path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert on_file(path) == {"e1": int(done.stdout)}
