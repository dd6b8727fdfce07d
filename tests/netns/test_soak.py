# SPDX-License-Identifier: GPL-2.0-or-later
"""A short soak (`make soak` has 900 s): its events come from a seed, its load is one that any machine carries."""

import soak

SECONDS, SEED, CHANGES = 30, 7, 2000


def test_a_pair_under_load_and_trouble_ends_equal_and_every_warning_is_explained():
    wrong, story, report = soak.soak(SECONDS, SEED, CHANGES, print)
    assert not wrong, f"{wrong}\n{report}"
    assert any("events in" in line for line in story)
