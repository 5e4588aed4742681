"""No text takes a pattern of AWS's models for ever."""

from __future__ import annotations

import itertools
import re
import time

import pytest

from colonnade.kernel import models
from colonnade.kernel.patterns import java_pattern

ENDLESS = {
    ("sagemaker", "ClusterSchedulerPriorityClassName"): "a-0",
    ("ecr", "ScanningRepositoryFilterValue"): "a*.-",
    ("events", "HeaderValue"): " \ta\n",
    ("events", "AuthHeaderParameters"): " \ta:",
}
"""With the characters that matter to each."""


@pytest.mark.parametrize(("service", "name"), ENDLESS)
def test_a_text_that_almost_fits_is_refused_at_once(service: str, name: str) -> None:
    pattern = java_pattern(models.service(service).shape_for(name).metadata["pattern"])
    assert pattern is not None
    began = time.process_time()

    for letters in ENDLESS[service, name]:
        pattern.fullmatch(letters * 1000 + "\0")

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(("service", "name"), ENDLESS)
def test_the_pattern_that_we_match_instead_means_the_same(service: str, name: str) -> None:
    written = models.service(service).shape_for(name).metadata["pattern"]
    ours, theirs = java_pattern(written), re.compile(written, re.ASCII)
    assert ours is not None

    for length in range(6):
        for letters in itertools.product(ENDLESS[service, name], repeat=length):
            text = "".join(letters)
            assert bool(ours.fullmatch(text)) == bool(theirs.fullmatch(text)), repr(text)
