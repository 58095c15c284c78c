#!/usr/bin/env python3
"""Makes `mlrsearch.json`: recorded trials at several loads, and which bounds the library MLRsearch sees in them.

    pip install MLRsearch==1.2.1
    python3 mlrsearch_cases.py mlrsearch.json

The trials are drawn here, from a fixed seed: the same file each time. The answers are the library's own: its
database of measurements is given the trials of a case, one after the other, and is then asked for the relevant bounds
of the goal's final target. The library (Apache-2.0, by the authors of draft-ietf-bmwg-mlrsearch) knows loads on a
grid only, so every load is one of its grid; the file holds it rounded to a whole message a second.

A JSON array with one case a line:

    duration_s      how long each trial was, and the goal's final trial duration
    duration_sum_s  the goal's duration sum
    exceed_ratio    the goal's exceed ratio
    trials          [load, bad] in the order in which they were recorded; bad is 0 or 1
    lower, upper    the relevant bounds: loads, or null where there is none
"""

import json
import pathlib
import random
import sys

from MLRsearch import GoalResult, MeasurementResult, SearchGoal
from MLRsearch.discrete_load import DiscreteLoad
from MLRsearch.discrete_result import DiscreteResult
from MLRsearch.load_rounding import LoadRounding
from MLRsearch.measurement_database import MeasurementDatabase
from MLRsearch.search_goal_tuple import SearchGoalTuple
from MLRsearch.target_scaling import TargetScaling

SEED = 20240917
CASES = 300
LOADS_MAX = 8
FEW, MANY = (1, 12), (13, 60)  # Trials of a case.
LOAD_RANGE = (1_000.0, 1_000_000.0)
WIDTH = 0.05  # Of the grid; at the least load its steps are many messages a second.
DURATIONS_S = (1, 5, 10)
TRIALS_IN_SUM = (1, 3, 5, 7)
SUMS_S = (12, 21, 32)  # No multiples of most durations.
EXCEED_RATIOS = (0.0, 0.1, 0.25, 0.5, 0.75)


# How likely a trial is bad, by load from the least to the largest.


def same(draw, count):
    return [draw.choice((0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0))] * count


def rising(draw, count):
    """Good below what the cluster holds, bad above, and in between a matter of chance."""
    holds, noise = draw.uniform(0, count), draw.choice((0.01, 0.3, 1.0, 2.0))
    return [min(1.0, max(0.0, 0.5 + (index - holds) / (2 * noise))) for index in range(count)]


def hiccups(draw, count):
    """As `rising`, on a host that spoils some trials at any load."""
    return [max(0.15, chance) for chance in rising(draw, count)]


def band(draw, count):
    """Bad in a band of loads, good below and above."""
    first = draw.randrange(count)
    last = draw.randint(first, count - 1)
    return [0.9 if first <= index <= last else 0.05 for index in range(count)]


def falling(draw, count):
    return rising(draw, count)[::-1]


def unrelated(draw, count):
    return [draw.choice((0.0, 0.1, 0.3, 0.5, 0.7, 1.0)) for _ in range(count)]


CHANCES = (same, rising, rising, rising, hiccups, hiccups, band, falling, unrelated)


def drawn_goal(draw):
    duration = draw.choice(DURATIONS_S)
    sums = {duration * trials for trials in TRIALS_IN_SUM} | {one for one in SUMS_S if one >= duration}
    return SearchGoal(
        loss_ratio=0.0,
        exceed_ratio=draw.choice(EXCEED_RATIOS),
        relative_width=WIDTH,
        initial_trial_duration=duration,
        final_trial_duration=duration,
        duration_sum=draw.choice(sorted(sums)),
        preceding_targets=1,
    )


def drawn_trials(draw, rounding):
    """Pairs of a load of the grid and whether the trial was bad."""
    trials = draw.randint(*draw.choice((FEW, MANY, MANY)))
    count = draw.randint(1, LOADS_MAX)
    grid = sorted(draw.sample(range(rounding.max_int_load + 1), count))
    loads = [DiscreteLoad(rounding=rounding, int_load=place) for place in grid]
    chances = draw.choice(CHANCES)(draw, count)
    # As in a search, some loads are tried more often than others.
    weights = [draw.choice((1, 1, 2, 4)) for _ in loads]
    picked = draw.choices(range(count), weights, k=trials)
    return [(loads[index], draw.random() < chances[index]) for index in picked]


def measured(draw, goal, load, bad):
    """What a trial measured, as the library takes it; one message lost is as bad as all."""
    offered = round(float(load) * goal.final_trial_duration)
    lost = draw.choice((1, draw.randint(1, offered), offered)) if bad else 0
    result = MeasurementResult(
        intended_duration=goal.final_trial_duration,
        intended_load=float(load),
        offered_count=offered,
        loss_count=lost,
    )
    return DiscreteResult.with_load(result=result, load=load)


def case(draw):
    goal = drawn_goal(draw)
    rounding = LoadRounding(min_load=LOAD_RANGE[0], max_load=LOAD_RANGE[1], float_goals=[goal.relative_width])
    scaling = TargetScaling(goals=SearchGoalTuple([goal]), rounding=rounding)
    database = MeasurementDatabase(scaling.targets)
    trials = drawn_trials(draw, rounding)
    for load, bad in trials:
        database.add(measured(draw, goal, load, bad))
    found = GoalResult.from_bounds(database.get_relevant_bounds(scaling.goal_to_final_target[goal]))
    whole = {float(load): round(float(load)) for load, _ in trials}
    assert len(set(whole.values())) == len(whole), "two loads of the grid are one when rounded"

    def told(bound):
        return None if bound is None else whole[float(bound)]

    return {
        "duration_s": int(goal.final_trial_duration),
        "duration_sum_s": int(goal.duration_sum),
        "exceed_ratio": goal.exceed_ratio,
        "trials": [[whole[float(load)], int(bad)] for load, bad in trials],
        "lower": told(found.relevant_lower_bound),
        "upper": told(found.relevant_upper_bound),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE")
    draw = random.Random(SEED)
    lines = (json.dumps(case(draw), separators=(",", ":")) for _ in range(CASES))
    pathlib.Path(sys.argv[1]).write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
