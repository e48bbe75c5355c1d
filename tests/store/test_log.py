"""A damaged write-ahead log: what was committed is read, or said to be lost; and what can be read of it is gone on from
to the root hash of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import duckdb
import pytest
from shelf import NOW, Clock, episode_row, experiment_row
from stage import walk

from tradearena.errors import StoreError
from tradearena.store import files, writer
from tradearena.store.log import Log
from tradearena.store.reader import Reader
from tradearena.store.recorder import Recorder
from tradearena.store.recovery import mend
from tradearena.store.rows import Recorded
from tradearena.store.seal import seal_of
from tradearena.store.writer import Writer

STEPS = 6


class Cut(NamedTuple):
    """A file of a run that was cut, its log and its note, and how long the log was after so many steps."""

    path: object
    log: bytes
    note: bytes
    lengths: list[int]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory, steps_of):
    """A commit for each step: as parameters, as those of a model are, or as an Arrow stream."""
    found = {}
    for few in (10**9, 0):
        path, lengths = tmp_path_factory.mktemp("cut") / "mine.duckdb", []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "FEW", few)
            here = Writer(path, Clock())
            here.create(experiment_row(), walk(1, 30, 3), NOW)
            recorder = Recorder("e1", Recorded([], []), here.wait)
            here.begin_episode(episode_row("e1"), recorder)
            for step in (None, *steps_of(3, STEPS).steps):
                if step:
                    recorder.keep(step)
                    here.commit()
                lengths.append(Log(path).file.stat().st_size)
        found[few] = Cut(path, Log(path).file.read_bytes(), Log(path).note.read_bytes(), lengths)
    return found


def copied(made, folder):
    for end in ("", ".wal", ".wal.commits"):
        shutil.copyfile(f"{made.path}{end}", folder / f"mine.duckdb{end}")
    return made._replace(path=folder / "mine.duckdb")


@pytest.fixture
def cut(made_once, tmp_path):
    return copied(made_once[10**9], tmp_path)


@pytest.fixture(params=[10**9, 0], ids=["few rows", "many rows"])
def either(request, made_once, tmp_path):
    return copied(made_once[request.param], tmp_path)


def steps_on(path):
    with Reader(path) as reader:
        return len(reader.recorded("e1").hashes)


def complaint(path, what=""):
    """What every reader of this file is told, in one sentence."""
    with pytest.raises(StoreError) as caught:
        pytest.fail(f"was read: {what}, {Reader(path).episodes()}")
    said = str(caught.value)
    assert said.startswith(f"{path}: its write-ahead log is damaged, the newest steps are in it (")
    assert "run the same command again to keep what can be read and make the rest again" in said
    assert "move mine.duckdb.wal* away" in said
    assert "\n" not in said
    return said


def gone_on(path, made):
    """The root hash and seal of the episode, taken up from what is on file."""
    with Reader(path) as reader:
        known = {row.id for row in reader.episodes()}
        recorded = reader.recorded("e1")
    here = Writer(path, Clock())
    recorder = Recorder("e1", recorded, here.commit_if_due)
    here.begin_episode(episode_row("e1"), recorder)
    for step in made.steps:
        recorder.keep(step)
    root = recorder.close("complete", made.marks, made.fills)
    here.end_episode("e1", {"status": "complete", "root_hash": root, "finished_at": NOW}, finished=True)
    here.compact()
    with Reader(path) as reader:
        assert reader.episode("e1").seal == seal_of(reader.db, "e1")
    assert known <= {"e1"}
    return root


def entries(log):
    """Where the entries of a log begin."""
    place = log.index(b"\xff\xff") + 2
    while place < len(log):
        yield place
        place += 16 + int.from_bytes(log[place : place + 8], "little")


def damages(log, dice, count):
    """Damaged logs: the place of the first byte that is other, and the bytes; None where the log is gone."""
    begun = [*entries(log)]
    lengths = [place + byte for place in begun for byte in range(8)]
    for number in range(count):
        kind = ("head", "length", "anywhere", "cut", "zeros")[number % 5]
        place = {"head": lambda: dice.randrange(begun[0]), "length": lambda: dice.choice(lengths)}.get(
            kind, lambda: dice.randrange(len(log))
        )()
        other = bytearray(log)
        if kind == "cut":
            del other[place:]
        elif kind == "zeros":
            block = log[place : place + 512].rstrip(b"\0")
            if not block:
                continue
            other[place : place + len(block)] = bytes(len(block))
            place = next(i for i in range(place, len(log)) if log[i])
        else:
            other[place] ^= 1 << dice.randrange(8) if dice.random() < 0.5 else 0xFF
        yield kind, place, bytes(other)


def restore(cut, log, *, noted=True):
    for each in cut.path.parent.glob("mine.duckdb.wal*"):
        each.unlink()
    Log(cut.path).file.write_bytes(log)
    if noted:
        Log(cut.path).note.write_bytes(cut.note)


def as_far(path, kept):
    """What is there is read, unless DuckDB says that it cannot be."""
    with suppress(StoreError), Reader(path) as reader:
        assert [len(reader.recorded(row.id).hashes) for row in reader.episodes()] in ([kept], [])
    return 1


def missed(path):
    """DuckDB's checksum is the XOR of that of each eight bytes: of equal ones an even number may turn to zeros."""
    with suppress(StoreError), Reader(path):
        return True
    return False


@pytest.mark.parametrize(("seed", "count"), [(1, 5), pytest.param(2, 200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("noted", [True, False], ids=["", "alone"])
def test_no_damage_of_a_log_is_passed_over_and_what_is_before_it_is_kept(
    either, steps_of, tmp_path, seed, count, noted
):
    dice, told = random.Random(seed), Counter()
    whole = tmp_path / "whole.duckdb"
    for name in ("", ".wal", ".wal.commits"):
        shutil.copyfile(f"{either.path}{name}", f"{whole}{name}")
    made = steps_of(3, STEPS)
    root = gone_on(whole, made)
    copy = either.path.read_bytes()
    for number, (kind, place, other) in enumerate(damages(either.log, dice, count)):
        restore(either, other, noted=noted)
        kept = sum(length <= place for length in either.lengths[1:])
        if not noted and not other.endswith(either.log[-13:]):  # as a crash in the middle of a commit leaves it
            told["as far as it goes, since its end is not there and nobody can tell"] += as_far(either.path, kept)
            continue
        if not noted and kind == "zeros" and missed(either.path):
            told["zeros that DuckDB's checksum does not see, missed without the note"] += 1
            continue
        said = complaint(either.path, f"{kind} at {place}")
        if noted:
            assert f"with {STEPS - kept} steps, cannot be read" in said or kept == STEPS
        assert Log(either.path).file.read_bytes() == other  # reading changes nothing
        loss = mend(either.path)
        assert loss.startswith(f"{either.path}: its write-ahead log was damaged: ")
        assert f"on file are {kept} steps (" in loss or kept == 0
        aside = either.path.with_name("mine.duckdb.wal.damaged")
        assert aside.read_bytes() == other if other else not aside.exists()
        assert mend(either.path) is None
        if number % 10 == 0:
            assert gone_on(either.path, made) == root
            either.path.write_bytes(copy)
        told[kind] += 1
    print(f"seed {seed}: noticed and mended: {dict(told)}")


def test_a_commit_that_was_not_finished_is_no_damage(cut, steps_of):
    """What was noted is whole; the next commit was cut anywhere."""
    last = cut.note[: cut.note.rindex(b"\n")]
    for length in range(cut.lengths[-2], cut.lengths[-1], 1_331):
        restore(cut, cut.log[:length])
        Log(cut.path).note.write_bytes(last)
        assert steps_on(cut.path) == STEPS - 1
        assert mend(cut.path) is None
    assert gone_on(cut.path, steps_of(3, STEPS))


def test_a_commit_that_was_not_noted_is_read(cut):
    Log(cut.path).note.write_bytes(cut.note[: cut.note.rindex(b"\n")])
    assert steps_on(cut.path) == STEPS
    assert mend(cut.path) is None


def test_a_commit_that_was_not_finished_and_is_no_log_is_dropped_and_nothing_else(cut):
    """As after a power cut, which may write the end of a commit and not its middle."""
    other = bytearray(cut.log)
    middle = (cut.lengths[-2] + cut.lengths[-1]) // 2
    other[middle] ^= 0xFF
    restore(cut, bytes(other))
    Log(cut.path).note.write_bytes(cut.note[: cut.note.rindex(b"\n")])
    assert "no whole commit is lost" in mend(cut.path)
    assert steps_on(cut.path) == STEPS - 1


def test_a_log_that_is_gone_is_missed(cut, steps_of):
    Log(cut.path).file.unlink()
    assert f"{STEPS + 1} of {STEPS + 1} commits in it, with {STEPS} steps, cannot be read" in complaint(cut.path)
    assert f"{STEPS + 1} of {STEPS + 1} commits" in mend(cut.path)
    assert gone_on(cut.path, steps_of(3, STEPS))


def test_a_note_that_is_damaged_says_nothing(cut):
    for place in range(0, len(cut.note), 31):
        other = bytearray(cut.note)
        other[place] ^= 0x11
        Log(cut.path).note.write_bytes(other)
        assert steps_on(cut.path) == STEPS
    Log(cut.path).note.write_bytes(b"\xff\0" * 40)
    assert steps_on(cut.path) == STEPS


def test_a_note_of_a_log_that_was_folded_in_is_past(cut):
    duckdb.connect(str(cut.path)).close()  # plain DuckDB folds it in
    assert not Log(cut.path).file.exists()
    assert Log(cut.path).note.exists()
    assert steps_on(cut.path) == STEPS
    assert mend(cut.path) is None
    assert not Log(cut.path).note.exists()


def test_a_log_that_a_killed_checkpoint_left_is_past(cut, tmp_path):
    """All of it is in the file, and only the removal of the log was missing."""
    kept = tmp_path / "kept.wal"
    os.link(Log(cut.path).file, kept)
    here = Writer(cut.path, Clock())
    here.compact()
    shutil.copyfile(kept, Log(cut.path).file)
    for noted in (cut.note, None):
        if noted:
            Log(cut.path).note.write_bytes(noted)
        else:
            Log(cut.path).note.unlink(missing_ok=True)
        assert steps_on(cut.path) == STEPS
        assert mend(cut.path) is None


def test_a_disk_that_has_no_room_for_a_note_does_without(cut, steps_of, monkeypatch):
    monkeypatch.setattr(Log, "_add", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    Log(cut.path).note.unlink()
    assert gone_on(cut.path, steps_of(3, STEPS))


def test_as_advised_the_file_is_read_as_of_its_last_checkpoint(cut):
    Log(cut.path).file.write_bytes(cut.log[:100])
    complaint(cut.path)
    for each in cut.path.parent.glob("mine.duckdb.wal*"):
        each.rename(each.with_name(f"away-{each.name}"))
    with Reader(cut.path) as reader:
        assert reader.experiment().id == "abc"
        assert reader.episodes() == []


def test_a_damaged_log_stops_a_run_that_is_under_way(cut, steps_of, write):
    other = bytearray(cut.log)
    other[len(other) // 2] ^= 0xFF
    Log(cut.path).file.write_bytes(other)
    with pytest.raises(StoreError, match="its write-ahead log is damaged"):
        write(cut.path, steps_of(4), name="e2")
    assert Log(cut.path).file.read_bytes() == other


def test_steps_in_the_log_are_read_without_the_log_being_touched(cut):
    assert steps_on(cut.path) == STEPS
    assert Log(cut.path).file.read_bytes() == cut.log
    assert Log(cut.path).note.read_bytes() == cut.note


def test_a_log_whose_file_is_gone_is_out_of_the_way_of_the_next(cut):
    cut.path.unlink()
    said = mend(cut.path)
    assert "the log is kept as mine.duckdb.wal.damaged" in said
    assert cut.path.with_name("mine.duckdb.wal.damaged").read_bytes() == cut.log
    assert mend(cut.path) is None


def test_a_second_damaged_log_does_not_replace_the_first(cut):
    for number, name in ((50, "damaged"), (60, "damaged-2")):
        Log(cut.path).file.write_bytes(cut.log[:number])
        Log(cut.path).note.write_bytes(cut.note)
        assert name in mend(cut.path)
    assert [cut.path.with_name(f"mine.duckdb.wal.damaged{end}").stat().st_size for end in ("", "-2")] == [50, 60]


def test_a_log_that_cannot_be_mended_says_so(cut, monkeypatch):
    Log(cut.path).file.write_bytes(cut.log[:100])
    monkeypatch.setattr("tradearena.store.recovery.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(StoreError, match=r"its log is damaged and cannot be mended: No space"):
        mend(cut.path)
    assert Log(cut.path).file.read_bytes() == cut.log[:100]


def test_a_file_that_is_damaged_itself_is_not_mended(cut):
    cut.path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreError, match="not a DuckDB file"):
        mend(cut.path)
    assert Log(cut.path).file.read_bytes() == cut.log
    assert files.Log(cut.path).note.exists()


@pytest.mark.slow
@pytest.mark.parametrize("acts", [1, 3, 5, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 2, 4, 6))])
def test_a_recovery_that_is_broken_off_anywhere_is_begun_again(cut, steps_of, monkeypatch, acts):
    """After any of the acts by which it changes the folder, as by a kill."""
    other = bytearray(cut.log)
    other[cut.lengths[3] + 5] ^= 0xFF
    Log(cut.path).file.write_bytes(other)
    left = [acts]

    def until(act):
        def acting(*given, **named):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return act(*given, **named)

        return acting

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", until(os.replace))
        patch.setattr(os, "fsync", until(os.fsync))
        patch.setattr(Log, "_add", until(Log._add))
        patch.setattr(type(cut.path), "unlink", until(type(cut.path).unlink))
        with pytest.raises(KeyboardInterrupt):
            mend(cut.path)
    mend(cut.path)
    assert steps_on(cut.path) == 3
    assert bytes(other) in [each.read_bytes() for each in cut.path.parent.glob("mine.duckdb.wal.damaged*")]
    assert gone_on(cut.path, steps_of(3, STEPS))
