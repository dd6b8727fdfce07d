# SPDX-License-Identifier: GPL-2.0-or-later
"""A few random sequences of failures and switch-overs (`make chaos` runs more of them)."""

import pytest

import chaos

EVENTS = 12
SEEDS = [1, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_sequence_ends_in_one_primary_and_one_backup(seed):
    wrong, _, report = chaos.run_seed(seed, EVENTS)
    assert not wrong, f"{wrong}\n{report}"
